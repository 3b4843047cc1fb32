"""Ranges of poses that the follow-ups are summed up over, and their errors by digit (source `invariants`)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from companion.invariance.curves import figures, turn_columns
from companion.invariance.follow_ups import ANGLES, DESIGNS, SHIFTS


def columns(name: str, every: int) -> dict[str, np.ndarray]:
    """Return which of the measured poses of a design belong to which column of the authors' tables.

    Parameters
    ----------
    name : str
        A key of `DESIGNS` whose poses are turns or shifts.
    every : int
        Which of the published angles are measured, as `study` takes it.

    Returns
    -------
    dict of arrays, bool
        `in` and `out` of the trained range and, for turns, `far` (beyond 135 degrees), `p0` (exactly 0) and `at18`
        (+18 degrees); angles whose targets are not blurred are in none but `p0`.

    Raises
    ------
    ValueError
        If the design has no table of poses.
    """
    design = DESIGNS[name]
    if design.moves == "maps":
        raise ValueError(f"{name} is measured on affine maps drawn at random: it has no table of poses")
    everywhere = design.poses.within == design.poses.others  # no digit is held back
    if design.moves == "shifts":
        if everywhere:
            return {"in": (SHIFTS >= -10) & (SHIFTS <= 8), "out": np.abs(SHIFTS) >= 12}
        return {"in": np.abs(SHIFTS) <= 4, "out": np.abs(SHIFTS) >= 6}
    degrees = ANGLES[::every]
    size, table = np.abs(degrees), turn_columns(degrees)
    if everywhere:
        table |= {"in": table["all"] & (size <= 84), "out": table["all"] & (size >= 100)}
    return {column: table[column] for column in ("in", "out", "far", "p0")} | {"at18": degrees == 18}


def by_region(table: pd.DataFrame, every: int) -> pd.DataFrame:
    """Average errors over the columns of each design.

    Parameters
    ----------
    table : DataFrame
        One row per network: `name`, `seed` and `errors` (poses, 10), as `study` gives them.

    Returns
    -------
    DataFrame
        One row per network and digit (d0 to d9, and o8 for the mean of those that are not held back): name, seed,
        digit, the columns and `ratio` = out / in.
    """
    parts = []
    for row in table.itertuples():
        part = figures(np.asarray(row.errors, float), columns(row.name, every))
        parts.append(part.rename_axis("digit").reset_index().assign(name=row.name, seed=row.seed))
    return pd.concat(parts, ignore_index=True)


def steps_of_36(every: int) -> dict[str, np.ndarray]:
    """Return which measured angles are multiples of 36 degrees, within 45 degrees or beyond, and which lie halfway.

    `sharp in` and `sharp out` add the multiples at which the target is not blurred, 0 and 180 degrees.
    """
    degrees = ANGLES[::every]
    size, blurred = np.abs(degrees), turn_columns(degrees)["all"]
    at, halfway = np.isclose(degrees % 36, 0), np.isclose(degrees % 36, 18)
    return {
        "in": at & blurred & (size <= 45),
        "out": at & blurred & (size > 45),
        "at": at & blurred,
        "between": halfway & blurred,
        "sharp in": at & (size <= 45),
        "sharp out": at & (size > 45),
    }

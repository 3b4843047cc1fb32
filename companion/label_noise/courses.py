"""Tables of trainings under label noise: along the epochs, by confidence, and against the control without noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from companion.label_noise.confounding import CONFIDENCES
from companion.stats.intervals import mean_interval
from companion.tables import unroll


def along(table: pd.DataFrame, names: Mapping[str, str], milestones: Sequence[int]) -> pd.DataFrame:
    """Return what was seen along training, one row per training, epoch and kind of images.

    Parameters
    ----------
    table : DataFrame
        Results of `companion.label_noise.confounding.train`, all of as many epochs.
    names : mapping
        Column "course_..." and what to call it in the column "images"; its values are in "accuracy".
    milestones : sequence of int
        Those that were asked for; the ones beyond the last epoch were not reached.
    """
    reached = [epoch for epoch in milestones if epoch <= table["epochs"].iloc[0]]
    settings = table[["true_n", "noisy_n", "seed"]]
    parts = [
        unroll(settings.assign(accuracy=table[column]), "accuracy", epoch=reached).assign(images=name)
        for column, name in names.items()
    ]
    return pd.concat(parts, ignore_index=True)


def by_confidence(table: pd.DataFrame, column: str, least: float) -> pd.DataFrame:
    """Return shares of test images by the probability of the answer, one row per training and bin.

    Parameters
    ----------
    table : DataFrame
        Results of `companion.label_noise.confounding.train` with a column "labels".
    column : str
        "confidence_kept" or "confidence_other".
    least : float
        Bins that end there or below are left out: the least probability of an answer is one over the outputs.
    """
    middles = (CONFIDENCES[1:] + CONFIDENCES[:-1]) / 2
    flat = table[["true_n", "labels", "seed"]].assign(images=table[column])
    return unroll(flat, "images", confidence=middles)[np.tile(CONFIDENCES[1:] > least, len(flat))]


def cost(table: pd.DataFrame, value: str = "kept") -> pd.DataFrame:
    """Return what random labels cost: the value with true images alone minus that with noise, in pairs of one seed.

    Parameters
    ----------
    table : DataFrame
        Results of `companion.label_noise.confounding.train` with labellings "random" and "left out", one of each for
        every kind, noisy_n, true_n and seed.

    Returns
    -------
    DataFrame
        One row for each network and level: kind, noisy_n, true_n, mean, low, high (95 % interval), n.
    """
    group = ["kind", "noisy_n", "true_n"]
    wide = table.pivot_table(index=[*group, "seed"], columns="labelling", values=value)
    lost = (wide["left out"] - wide["random"]).dropna()
    rows = [
        dict(zip(group, level, strict=True)) | mean_interval(part.to_numpy())._asdict()
        for level, part in lost.groupby(group)
    ]
    return pd.DataFrame(rows)

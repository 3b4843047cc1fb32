"""Pictures for every stop of an explorer's sliders, kept in a folder: what a page without a kernel can show."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

VARIABLE = "COMPANION_GRIDS"  # names the folder that explorers write their pictures to
INDEX = "index.json"
Stop = tuple[str, Any]  # a slider's stop: its words and its value
MOST = 60  # places of a grid: about as many pictures as a reader may want, and a few megabytes


def thinned(choices: Mapping[str, Sequence[Stop]], most: int = MOST) -> dict[str, list[Stop]]:
    """Return the stops to keep, evenly spaced with both ends, so that the grid has at most `most` places.

    The slider with the most stops gives way first.
    """
    kept = {name: list(values) for name, values in choices.items()}
    while math.prod(map(len, kept.values())) > most and (longest := max(kept, key=lambda name: len(kept[name]))):
        if len(kept[longest]) <= 2:
            break
        whole, fewer = list(choices[longest]), len(kept[longest]) - 1
        kept[longest] = [whole[place] for place in np.linspace(0, len(whole) - 1, fewer).round().astype(int)]
    return kept


def write(folder: Path, draw: Callable[..., Sequence[bytes]], choices: Mapping[str, Sequence[Stop]]) -> Path:
    """Write the pictures of a grid into a new numbered folder in `folder`, and return it.

    Parameters
    ----------
    draw : callable
        Takes one value by name for each of `choices` and returns the pictures to show side by side, as PNG.
    choices : mapping
        The stops of each slider, in words and as values, before they are thinned.

    Raises
    ------
    ValueError
        If not every place has as many pictures as the first.

    Notes
    -----
    The picture `k` of the place (i, j, ...) is `i-j-....k.png`. The index holds, for each slider, its stops in words
    and how many it has in the notebook; it is written last, so that a folder with an index is whole.
    """
    kept = thinned(choices)
    target = folder / str(sum(1 for _ in folder.glob("*/"))) if folder.exists() else folder / "0"
    target.mkdir(parents=True)
    counts = []
    for place in itertools.product(*(range(len(stops)) for stops in kept.values())):
        chosen = {name: stops[at][1] for (name, stops), at in zip(kept.items(), place, strict=True)}
        pictures = draw(**chosen)
        counts.append(len(pictures))
        if counts[-1] != counts[0]:
            raise ValueError(
                f"{chosen} is shown in {counts[-1]} pictures, the first place in {counts[0]}; all need as many"
            )
        for number, picture in enumerate(pictures):
            (target / f"{'-'.join(map(str, place))}.{number}.png").write_bytes(picture)
    sliders = [
        {"name": name, "stops": [words for words, _ in stops], "in_notebook": len(choices[name])}
        for name, stops in kept.items()
    ]
    index = {"sliders": sliders, "pictures": counts[0]}
    (target / INDEX).write_text(json.dumps(index, ensure_ascii=False, indent=1), encoding="utf-8")
    return target

"""Parts of a data set."""

from __future__ import annotations

import torch

from companion.seeds import generator


def stratified(labels: torch.Tensor, share: float, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Split a data set at random so that every class keeps its share.

    Parameters
    ----------
    labels : Tensor, shape (N,)
        Classes.
    share : float
        Of each class that goes to the first part, rounded to whole examples.
    seed : int
        Draws the split.

    Returns
    -------
    first, rest : Tensor
        Indices of both parts, shuffled.

    Raises
    ------
    ValueError
        If the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"the share of the first part lies between 0 and 1, not {share}")
    draw = generator(seed, "points")
    parts: tuple[list[torch.Tensor], list[torch.Tensor]] = [], []
    for label in labels.unique().tolist():
        members = (labels == label).nonzero()[:, 0]
        members = members[torch.randperm(len(members), generator=draw, device="cpu")]
        cut = round(share * len(members))
        parts[0].append(members[:cut])
        parts[1].append(members[cut:])
    first, rest = (torch.cat(part) for part in parts)
    return tuple(part[torch.randperm(len(part), generator=draw, device="cpu")] for part in (first, rest))

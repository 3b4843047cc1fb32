"""Labels that are wrong on purpose."""

from __future__ import annotations

import torch

from companion.seeds import generator


def swap_halves(labels: torch.Tensor, pair: tuple[int, int], *, seed: int) -> torch.Tensor:
    """Give half of the examples of each of two classes the other's label (Generalizations, section 3).

    Parameters
    ----------
    labels : Tensor, shape (N,)
        True classes; not changed.
    pair : (int, int)
        The two classes.
    seed : int
        Draws which half, without replacement; of an odd number the smaller half.

    Returns
    -------
    Tensor
        Of the same shape and type.

    Raises
    ------
    ValueError
        If the pair is not of two different classes that occur.
    """
    one, other = pair
    members = {label: (labels == label).nonzero()[:, 0] for label in (one, other)}
    if one == other or any(len(places) == 0 for places in members.values()):
        known = ", ".join(map(str, labels.unique().tolist()))
        raise ValueError(f"a pair is two different classes out of {known}, not {tuple(pair)}")
    draw = generator(seed, "corruption")
    swapped = labels.clone()
    for label, wrong in ((one, other), (other, one)):
        places = members[label]
        half = torch.randperm(len(places), generator=draw, device="cpu")[: len(places) // 2]
        swapped[places[half.to(places.device)]] = wrong
    return swapped

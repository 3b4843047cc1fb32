"""What a test accuracy is worth if some of its labels are random."""

from __future__ import annotations


def agreement(share: float, other: float | None = None) -> float:
    """Return the chance that two independent draws of 0 or 1 are the same.

    Parameters
    ----------
    share, other : float
        Chances of a one in the two draws; the same in both if `other` is not given.

    Raises
    ------
    ValueError
        If a chance is not in [0, 1].
    """
    other = share if other is None else other
    for chance in (share, other):
        if not 0 <= chance <= 1:
            raise ValueError(f"a chance lies between 0 and 1, not at {chance}")
    return share * other + (1 - share) * (1 - other)


def expected_accuracy(true: int, noise: int, agree: float) -> float:
    """Return the accuracy on `true` points, all right, and `noise` points, right with the chance `agree`."""
    if true < 0 or noise < 0 or true + noise == 0:
        raise ValueError(f"at least one point, and no negative number, is needed; {true} true and {noise} are given")
    return (true + agree * noise) / (true + noise)

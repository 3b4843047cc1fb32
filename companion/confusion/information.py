"""What a network gains on one class by not losing another, in bits: the readings of a formula that contradicts itself.

*Finding Generalizations in Multi-Class Image Classifiers* (C. Richoux), section 4, and Figure 3.
"""

from __future__ import annotations

import numpy as np

from companion.confusion.effects import CLASSES, ORDERED, learned
from companion.confusion.experiment import PAIRS

READINGS = {
    "K1": "divergence of the mean prediction for images of T",
    "K2": "its one term for a correct prediction, signed",
    "K3": "divergence of 'predicted correctly or not'",
    "K4": "indices swapped: over true classes, signed",
}
_WEIGHTS = {pair: learned(*pair) for pair in ORDERED}


def information(probability: np.ndarray, *, given: str = "both") -> dict[str, np.ndarray]:
    """Return the four readings of the paper's statistic for all ordered pairs (target T, lost class C).

    P is the mean probability over networks that learned both classes, Q over all that learned T: seven ninths of
    these learned C, too, and two ninths had it confused (R).

    Parameters
    ----------
    probability : array, shape (..., 45, 10, 10)
        Mean probability of class j (last) for images of class i, for every pair of `PAIRS`.
    given : {"both", "lost"}
        Whether P (the formula) or R (the sentence before it) is compared with Q.

    Returns
    -------
    dict of array
        By the names of `READINGS`, (..., 10, 10) each, in bits; targets in rows, lost classes in columns, NaN on the
        diagonal.

    Raises
    ------
    ValueError
        If `given` is neither, or the shape is another.
    """
    if given not in ("both", "lost"):
        raise ValueError(f"given is both or lost, not {given!r}")
    if probability.shape[-3:] != (len(PAIRS), CLASSES, CLASSES):
        raise ValueError(f"probabilities have the shape (..., 45, 10, 10), not {probability.shape}")
    maps = {name: np.full((*probability.shape[:-3], CLASSES, CLASSES), np.nan) for name in READINGS}
    for target, lost in ORDERED:
        both, only = (probability[..., chosen, :, :].mean(-3) for chosen in _WEIGHTS[target, lost])
        q = (7 * both + 2 * only) / 9
        p = both if given == "both" else only
        own, against = p[..., target, target], q[..., target, target]
        correct = own * np.log2(own / against)
        row, column = (..., target, slice(None)), (..., slice(None), target)
        cell = (..., target, lost)
        maps["K1"][cell] = (p[row] * np.log2(p[row] / q[row])).sum(-1)
        maps["K2"][cell] = correct
        maps["K3"][cell] = correct + (1 - own) * np.log2((1 - own) / (1 - against))
        maps["K4"][cell] = (p[column] * np.log2(p[column] / q[column])).sum(-1)
    return maps

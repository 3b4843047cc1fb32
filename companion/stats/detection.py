"""How well a score tells what belongs from what does not."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from companion.stats.samples import as_sample


def auroc(inside: ArrayLike, outside: ArrayLike) -> float:
    """Return the area under the ROC curve: how often a score inside is above one outside, ties counting half.

    Parameters
    ----------
    inside, outside : array_like, shapes (n,) and (m,)
        Scores, higher for what belongs.
    """
    inside, outside = as_sample(inside), as_sample(outside)
    ranks = rankdata(np.concatenate([inside, outside]))[: inside.size].sum()
    return float((ranks - inside.size * (inside.size + 1) / 2) / (inside.size * outside.size))


def accepting(scores: ArrayLike, share: float = 0.95) -> float:
    """Return the threshold at or above which a share of the scores lies (at least that share, where scores tie)."""
    if not 0 < share <= 1:
        raise ValueError(f"the share that is accepted lies above 0 and is at most 1, not {share}")
    return float(np.quantile(as_sample(scores), 1 - share, method="lower"))


def calibration_error(confidence: ArrayLike, right: ArrayLike, *, bins: int = 15) -> float:
    """Return the expected calibration error: how far confidence and accuracy are apart, over bins of confidence.

    Parameters
    ----------
    confidence, right : array_like, shape (n,)
        Probability given to each answer, and whether it was right.
    bins : int
        Of equal width from 0 to 1; the difference in each counts by the share of answers in it (Guo et al. 2017).
    """
    confidence, right = as_sample(confidence), as_sample(right)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / confidence.size)

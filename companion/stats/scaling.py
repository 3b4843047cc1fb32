"""The law by which a mean loss is taken to depend on the size of a network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from companion.stats.samples import as_sample

STEEPEST = 4.0


class ScalingLaw(NamedTuple):
    """The fit loss = exp(alpha * size ** beta)."""

    alpha: float
    beta: float

    def __call__(self, sizes: ArrayLike) -> np.ndarray:
        """Return the loss that the law expects at each size."""
        return np.exp(self.alpha * np.asarray(sizes, float) ** self.beta)


def scaling_law(sizes: ArrayLike, losses: ArrayLike) -> ScalingLaw:
    """Fit loss = exp(alpha * size ** beta) by least squares on the logarithms of the losses.

    Parameters
    ----------
    sizes, losses : array_like, shape (n,)
        At least three sizes, and the mean loss at each; all numbers > 0.

    Raises
    ------
    ValueError
        If there are fewer points, unequal lengths, or a number that is not > 0.

    Notes
    -----
    Choromanska et al. 2015, section 5.4, scale test losses by this law. For every beta the best alpha is known in
    closed form; beta is searched for between -4 and 4.
    """
    sizes, losses = as_sample(sizes, least=3), as_sample(losses, least=3)
    if sizes.size != losses.size:
        raise ValueError(f"{sizes.size} sizes and {losses.size} losses are given; a scaling law needs equally many")
    if min(sizes.min(), losses.min()) <= 0:
        told = f"the smallest size is {sizes.min():g}, the smallest loss {losses.min():g}"
        raise ValueError(f"a scaling law needs numbers > 0; {told}")
    heights = np.log(losses)

    def best(beta: float) -> tuple[float, float]:
        bent = sizes**beta
        alpha = float(bent @ heights / (bent @ bent))
        return alpha, float(((heights - alpha * bent) ** 2).sum())

    # The misfit may have two dips: the search goes on from the lowest point of a grid.
    grid = np.linspace(-STEEPEST, STEEPEST, 161)
    start = grid[np.argmin([best(beta)[1] for beta in grid])]
    around = (max(start - 0.05, -STEEPEST), min(start + 0.05, STEEPEST))
    beta = float(optimize.minimize_scalar(lambda b: best(b)[1], bounds=around, method="bounded").x)
    return ScalingLaw(best(beta)[0], beta)

"""Two stages in cascade: what the second one can tell of the sign of a correlation in the first."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch

from companion.models.recos import activation, directions
from companion.seeds import generator

CASES = ((1, 1), (-1, -1), (1, -1), (-1, 1))  # signs of correlation and coefficient: confusing cases 1, 1, 2, 2
PAIRS = ("same coefficients", "coefficients turned")


def cases(correlation: float, coefficient: float, activations: Sequence[str]) -> pd.DataFrame:
    """Return what a cascade of one anchor vector and one coefficient answers in the four cases of sign.

    Parameters
    ----------
    correlation, coefficient : float
        Their magnitudes.
    activations : sequence of str
        Between the stages, see `companion.models.recos.activation`.

    Returns
    -------
    DataFrame
        A row for each of `CASES`, named "+0.8 × +0.5" and so on; a column for each activation.
    """
    signs = torch.tensor(CASES, dtype=torch.float64, device="cpu")
    first, second = correlation * signs[:, 0], coefficient * signs[:, 1]
    rows = [f"{a:+g} × {b:+g}".replace("-", "−") for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    answers = {name: (activation(name)(first) * second).numpy() for name in activations}
    return pd.DataFrame(answers, index=pd.Index(rows, name="correlation × coefficient"))


def pairs_by_angle(
    vectors: torch.Tensor, edges: Sequence[float], n: int, *, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw pairs of vectors that stand at a given angle to one another.

    Parameters
    ----------
    vectors : Tensor, shape (N, d)
        Of unit length.
    edges : sequence of float
        Of the bins of angles, in degrees.
    n : int
        The most pairs drawn in a bin.
    seed : int
        Of the stream "order".

    Returns
    -------
    pairs, bins : Tensor, shapes (P, 2) and (P,)
        Indices of vectors, and the bin of every pair.
    """
    draw = generator(seed, "order")
    with torch.device("cpu"):
        first, second = torch.triu_indices(len(vectors), len(vectors), offset=1)
        angle = torch.rad2deg((vectors.cpu() @ vectors.cpu().T).clamp(-1, 1).arccos())[first, second]
        bins = torch.bucketize(angle, torch.as_tensor(edges, dtype=angle.dtype)) - 1
        kept = []
        for place in range(len(edges) - 1):
            members = (bins == place).nonzero()[:, 0]
            kept.append(members[torch.randperm(len(members), generator=draw)[:n]])
        chosen = torch.cat(kept)
        return torch.stack([first[chosen], second[chosen]], 1), bins[chosen]


def confused(
    one: torch.Tensor, other: torch.Tensor, name: str, *, seed: int, anchors: int = 64, second: int = 200,
    within: float = 0.1,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Return how often random two-stage systems give both inputs of a pair nearly the same answer.

    Parameters
    ----------
    one, other : Tensor, shape (N, d)
        The inputs of N pairs, of zero mean and unit length.
    name : str
        The activation between the stages.
    seed : int
        Of the stream "weights": one first stage of random anchor vectors of zero mean and unit length, and many random
        second stages, one coefficient for each anchor vector.
    anchors, second : int
        Anchor vectors; second stages.
    within : float
        Answers that differ by less are taken to be equal, in standard deviations of a system's answers to all these
        inputs and their negatives.

    Returns
    -------
    same, turned : Tensor, shape (N,)
        Shares of the second stages that answer equally: both inputs with the same coefficients; one input with the
        coefficients, the other with all their signs turned.

    Notes
    -----
    A bias takes off the mean of every activated response over inputs and negatives. Of opposite inputs, the answers
    with the same coefficients differ by twice the odd part of the activation, those with turned ones by twice its even
    part: nothing with an odd activation, hence the confusion of Understanding, slide "Confusion Caused by Negative
    Correlations".
    """
    draw = {"generator": generator(seed, "weights"), "device": "cpu", "dtype": one.dtype}
    first = directions(torch.randn(anchors, one.shape[1], **draw)).to(one)
    coefficients = torch.randn(second, anchors, **draw).to(one)
    both = torch.cat([one, other])
    rectify = activation(name)
    mean = (rectify(both @ first.T) + rectify(-both @ first.T)).mean(0) / 2
    answers, negatives = ((rectify(sign * both @ first.T) - mean) @ coefficients.T for sign in (1, -1))
    # A system that answers everything alike confuses everything, to rounding.
    sd = torch.cat([answers, negatives]).std(0).clamp(min=1e-12)
    a, b = (answers / sd).tensor_split(2)
    # The second stage is linear: turned coefficients turn the answer.
    return tuple((gap.abs() < within).to(one.dtype).mean(1) for gap in (a - b, a + b))

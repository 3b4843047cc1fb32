"""Four ways to classify mosaics of points: a linear machine, a deep network, and two attention networks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from companion.attention.shares import SHARES, focus_shares
from companion.data.planar import FRESH, TESTS, Mixture, PointMosaics, draw_point_mosaics, draw_points
from companion.data.synthetic import Points
from companion.models.attention_planar import PlanarAttention
from companion.models.mlp import MLP
from companion.training.many import fit_many
from companion.training.replicas import Replicas

READERS = ("linear SVM", "soft SVM", "deep network", "linear attention", "deep attention")
COSTS = {"linear SVM": 100.0, "soft SVM": 0.01}  # C; the authors have 100
RATE = 0.01  # learning rate of both networks, with momentum 0.9
COURSE = (*SHARES, "half")  # what is kept of the course of a training, see `focus_shares`
SIZE = 40  # places along a side of a portrait

Frame = tuple[float, float, float, float]  # left, right, bottom, top


class Sets(NamedTuple):
    """Mosaics to train on, other mosaics of the same points, and mosaics of points that were never seen."""

    train: PointMosaics
    test: PointMosaics
    fresh: PointMosaics


def draw_sets(
    pool: Points,
    fresh: Points,
    foreground: int,
    *,
    slots: int,
    n: int,
    seed: int,
    tests: int = 1000,
    dtype: torch.dtype = torch.float64,
) -> Sets:
    """Draw `n` training mosaics, and `tests` mosaics each of the same points and of fresh ones.

    Parameters
    ----------
    pool, fresh : Points
        Points to train on, and points of the same classes that are kept aside.
    foreground, slots
        As `draw_point_mosaics` takes them.
    seed : int
        The three sets draw from streams of their own.
    dtype : dtype
        Of the coordinates, and so of what is trained on them.
    """

    def drawn(points: Points, size: int, start: int) -> PointMosaics:
        mosaics = draw_point_mosaics(points, foreground, n=size, slots=slots, seed=start)
        return mosaics._replace(points=mosaics.points.to(dtype))

    return Sets(drawn(pool, n, seed), drawn(pool, tests, seed + TESTS), drawn(fresh, tests, seed + FRESH))


def mixture_sets(mixture: Mixture, *, seed: int, **settings: Any) -> Sets:
    """Draw a pool of points, as many fresh ones, and mosaics of both; `settings` are those of `draw_sets`."""
    pool, fresh = (draw_points(mixture, seed=one) for one in (seed, seed + FRESH))
    return draw_sets(pool, fresh, mixture.foreground, seed=seed, **settings)


def classify(
    reader: str,
    sets: Sequence[Sets],
    seeds: Sequence[int],
    *,
    epochs: int,
    every: int,
    looks: int,
    where: Sequence[int] = (50,),
    what: Sequence[int] = (50,),
    frames: Sequence[Frame | None] = (),
    steps: int = 200_000,
) -> list[dict[str, Any]]:
    """Learn to classify mosaics in one of the ways of `READERS`, once for each seed on mosaics of its own.

    Parameters
    ----------
    reader : str
        "linear SVM" (C = 100), "soft SVM" (C = 0.01), "deep network" (three hidden layers of 50 units on the flat
        mosaic), "linear attention", "deep attention".
    sets : sequence of Sets
        One for each seed.
    epochs : int
        Of the networks.
    every, looks : int
        Epochs from one look at the focus of an attention network to the next; how many of them are told.
    where, what : sequence of int
        Widths of the hidden layers of deep attention.
    frames : sequence, optional
        For each seed the part of the plane of which attention networks draw a portrait, or None.
    steps : int
        Where the solver of a machine is stopped.

    Returns
    -------
    list of dict
        For each seed: train, test, fresh (accuracies); converged (1 or 0, of machines); first_loss, last_loss (of
        networks, nats); of attention networks the shares `COURSE` on the training mosaics, at the end and as course
        (looks, 5), and the portrait where, what (see `portrait`). NaN is what a reader has not.

    Raises
    ------
    ValueError
        If there is no such reader.
    """
    if reader not in READERS:
        raise ValueError(f"unknown reader {reader!r}; the readers are {', '.join(READERS)}")
    empty = dict.fromkeys(("converged", "first_loss", "last_loss", *COURSE), np.nan)
    empty |= {"course": np.full((looks, len(COURSE)), np.nan, np.float32)}
    empty |= {name: np.full((SIZE, SIZE), np.nan, np.float32) for name in ("where", "what")}
    if reader in COSTS:
        return [empty | linear_machine(one, cost=COSTS[reader], steps=steps) for one in sets]
    slots, dimensions = sets[0].train.points.shape[1:]
    classes = int(sets[0].train.labels.max()) + 1

    def build(seed: int) -> nn.Module:
        if reader == "deep network":
            return MLP((slots * dimensions, 50, 50, 50, classes), seed=seed)
        hidden = (where, what) if reader == "deep attention" else ((), ())
        return PlanarAttention((dimensions, *hidden[0], 1), (dimensions, *hidden[1], classes), seed=seed)

    attends = "attention" in reader
    replicas, told = fit_on_mosaics(build, sets, seeds, epochs=epochs, every=every if attends else None)
    rows = [empty | one | scores for one, scores in zip(told, accuracies(replicas, sets), strict=True)]
    for k, row in enumerate(rows):
        if attends:
            course = row["course"]
            row["course"] = empty["course"].copy()
            row["course"][: len(course)] = course[:looks]
        if attends and frames and frames[k] is not None:
            row |= portrait(replicas[k], sets[k].train, frames[k])
    return rows


def fit_on_mosaics(
    build: Callable[[int], nn.Module],
    sets: Sequence[Sets],
    seeds: Sequence[int],
    *,
    epochs: int,
    every: int | None = None,
) -> tuple[Replicas, list[dict[str, np.ndarray | float]]]:
    """Train one network for each seed on its own mosaics, as the authors do: SGD 0.01, momentum 0.9, batches of 250.

    Parameters
    ----------
    build : callable
        Makes the network of a seed, on mosaics (N, K, D); it takes on their precision.
    sets : sequence of Sets
        One for each seed.
    every : int, optional
        Follow the focus of attention networks at every so many epochs.

    Returns
    -------
    replicas : Replicas
        The networks.
    told : list of dict
        For each: first_loss and last_loss, the mean losses of the first and last epoch while training, in nats; and,
        if asked for, course (epochs // every, 5): the shares `COURSE` of the training mosaics.
    """
    inputs, labels = [one.train.points for one in sets], [one.train.labels for one in sets]

    def followed(replicas: Replicas) -> dict[str, list[float]]:
        found = [_shares(replicas[k], one.train) for k, one in enumerate(sets)]
        return {name: [shares[name] for shares in found] for name in COURSE}

    replicas, history = fit_many(
        lambda seed: build(seed).to(inputs[0].dtype),
        inputs,
        labels,
        seeds,
        epochs=epochs,
        lr=RATE,
        momentum=0.9,
        batch=250,
        measure=followed if every else None,
        measure_at=range(every, epochs + 1, every) if every else None,
        chunk=len(seeds),
    )
    told = []
    for _, part in history.groupby("model"):
        told.append({"first_loss": float(part["loss"].iloc[0]), "last_loss": float(part["loss"].iloc[-1])})
        if every:
            told[-1]["course"] = part.loc[part["epoch"] % every == 0, list(COURSE)].to_numpy(float)
    return replicas, told


def accuracies(replicas: Replicas, sets: Sequence[Sets]) -> list[dict[str, float]]:
    """Return the accuracy of each network on its own sets: train, test, fresh; with the shares of its focus on train.

    The shares (see `focus_shares`) are there for attention networks only.
    """
    rows: list[dict[str, float]] = [{} for _ in sets]
    for part in Sets._fields:
        mosaics = [getattr(one, part) for one in sets]
        answers = replicas.outputs([one.points for one in mosaics]).argmax(-1)
        for row, answer, one in zip(rows, answers, mosaics, strict=True):
            row[part] = (answer.cpu() == one.labels).double().mean().item()
    for k, row in enumerate(rows):
        if isinstance(net := replicas[k], PlanarAttention):
            row |= _shares(net, sets[k].train)
    return rows


@torch.no_grad()
def _shares(net: PlanarAttention, mosaics: PointMosaics) -> dict[str, float]:
    device = next(net.parameters()).device
    attended = (part.cpu() for part in net.attend(mosaics.points.to(device)))
    return focus_shares(*attended, mosaics.position, mosaics.labels)


def linear_machine(sets: Sets, *, cost: float, steps: int) -> dict[str, float]:
    """Fit a linear support vector machine to flat mosaics; return its accuracies and whether it converged.

    Parameters
    ----------
    cost : float
        C of the machine. The solver goes on for very long where it is large and the mosaics are far from separable.
    steps : int
        Where the solver is stopped, converged or not.

    Returns
    -------
    dict
        train, test, fresh, and converged (1 or 0).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import SVC

    machine = SVC(kernel="linear", C=cost, max_iter=steps)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ConvergenceWarning)
        machine.fit(sets.train.points.flatten(1).numpy(), sets.train.labels.numpy())
    scores = {
        part: float(machine.score(mosaics.points.flatten(1).numpy(), mosaics.labels.numpy()))
        for part, mosaics in sets._asdict().items()
    }
    return scores | {"converged": float(not any(issubclass(one.category, ConvergenceWarning) for one in told))}


@torch.no_grad()
def portrait(net: PlanarAttention, mosaics: PointMosaics, limits: Frame) -> dict[str, np.ndarray]:
    """Return what an attention network makes of every place in the plane.

    Parameters
    ----------
    net : PlanarAttention
        Takes points in two dimensions.
    mosaics : PointMosaics
        Their background points are what a point at a place has to stand out from.
    limits : (left, right, bottom, top)
        Of the part of the plane.

    Returns
    -------
    dict of array
        where (SIZE, SIZE): mean weight that a foreground point at this place would get, in hundredths; what
        (SIZE, SIZE): the class that the classification network gives to an average at this place. Rows run upwards.
    """
    left, right, bottom, top = limits
    across, up = np.linspace(left, right, SIZE), np.linspace(bottom, top, SIZE)
    weight = next(net.parameters())
    places = torch.as_tensor(np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)).to(weight)
    scores = net.where(mosaics.points.to(weight).flatten(0, 1)).reshape(mosaics.points.shape[:2])
    own = torch.nn.functional.one_hot(mosaics.position, scores.shape[1]).bool().to(weight.device)
    others = scores.masked_fill(own, -torch.inf).logsumexp(1)  # (N,)
    weights = torch.sigmoid(net.where(places) - others).mean(1)
    answers = net.what(places).argmax(1)
    return {
        "where": weights.cpu().numpy().reshape(SIZE, SIZE).round(2).astype(np.float32),
        "what": answers.cpu().numpy().reshape(SIZE, SIZE).astype(np.float32),
    }

"""Networks trained on points of which most have random labels: how they learn, and what they make of every place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from companion.data.confounded import REGIONS, Confounded, authors_test, confounded, true_points
from companion.models.mlp import MLP
from companion.training.many import fit_many
from companion.training.replicas import Replicas

WIDTHS = (2, 24, 64, 128, 256, 128, 64, 32, 16, 2)
ENOUGH = 0.01  # training ends at this mean loss of an epoch, in nats
FRESH = 10_000  # added to the seed: points that no network was trained on
TESTED = 1000  # fresh points of the true region
WINDOW = (-0.5, 5.5, -0.5, 4.5)  # left, right, bottom, top
PER_UNIT = 12  # places along one unit of length, on the map of the window
CLOSE = 36  # and along a side of the true square, on the map of that
COURSE = ("true points", "noise", "fresh true points")


def learn(
    kind: str,
    n: int,
    labels: str,
    seeds: Sequence[int],
    *,
    epochs: int,
    looks: Sequence[int],
    rate: float = 1e-3,
    batch: int = 30,
) -> list[dict[str, Any]]:
    """Train one network for each seed on points of its own, and tell what it knows of true points and of noise.

    Parameters
    ----------
    kind, n
        As `confounded` takes them.
    labels : {"coins", "redrawn", "alone"}
        How the noise is labelled. With "redrawn" the test set is the authors' (`authors_test`); with "alone" there is
        no noise at all in training, and the test set is that of "coins".
    epochs : int
        At most; training ends before where the mean loss of an epoch is at most `ENOUGH`.
    looks : sequence of int
        Epochs at which the accuracies `COURSE` are taken; after its end a network stays as it is.
    rate, batch : float, int
        Of Adam.

    Returns
    -------
    list of dict
        For each seed. Accuracies: train (all training points), train_true, train_noise (NaN if alone); test (the
        whole test set), no_noise (its n true points), test_noise (its noise); true (1000 fresh true points). ones:
        share of the test noise that is taken for class 1; label_ones: share of the test noise that has label 1.
        loss, epochs: at the end. course (looks, 3): `COURSE`. map (60, 72), close (36, 36): class of every place in
        `WINDOW` and in the true square, rows upwards.
    """
    sets = [_training(kind, n, labels, seed) for seed in seeds]
    fresh = [true_points(kind, TESTED, seed=seed + FRESH) for seed in seeds]

    def followed(replicas: Replicas) -> dict[str, list[float]]:
        known, new = _right(replicas, sets), _right(replicas, fresh)
        rows = [[*_parts(right, one.true), float(far.mean())] for right, one, far in zip(known, sets, new, strict=True)]
        return dict(zip(COURSE, map(list, zip(*rows, strict=True)), strict=True))

    replicas, history = fit_many(
        lambda seed: MLP(WIDTHS, seed=seed),
        [one.inputs for one in sets],
        [one.labels for one in sets],
        seeds,
        epochs=epochs,
        lr=rate,
        optimizer="adam",
        batch=batch,
        stop_below=ENOUGH,
        measure=followed,
        measure_at=looks,
    )
    final = followed(replicas)
    tests = [_test(kind, n, labels, one, seed) for one, seed in zip(sets, seeds, strict=True)]
    answers, maps = _answers(replicas, [one.inputs for one in tests]), regions(replicas, kind)
    rows = []
    for k, (_, told) in enumerate(history.groupby("model")):
        right = (answers[k] == tests[k].labels).double()
        known, noise, true = (final[name][k] for name in COURSE)
        no_noise, test_noise = _parts(right, tests[k].true)
        share = float(sets[k].true.double().mean())
        course = told.set_index("epoch")[list(COURSE)].reindex(looks)
        course = course.fillna(dict(zip(COURSE, (known, noise, true), strict=True)))  # from its end on
        rows.append(
            {"train": known * share + (noise * (1 - share) if share < 1 else 0.0), "train_true": known}
            | {"train_noise": noise, "test": float(right.mean()), "no_noise": no_noise, "test_noise": test_noise}
            | {"true": true, "ones": float(answers[k][~tests[k].true].double().mean())}
            | {"label_ones": float(tests[k].labels[~tests[k].true].double().mean())}
            | {"loss": float(told["loss"].iloc[-1]), "epochs": int(told["epoch"].iloc[-1])}
            | {"course": course.to_numpy(np.float32)}
            | {name: found[k] for name, found in maps.items()}
        )
    return rows


def regions(replicas: Replicas, kind: str) -> dict[str, np.ndarray]:
    """Return the class that each network gives to every place: map (M, 60, 72) and close (M, 36, 36), rows upwards."""
    left, bottom = REGIONS[kind]
    frames = {"map": (WINDOW, PER_UNIT), "close": ((left, left + 1, bottom, bottom + 1), CLOSE)}
    found = {}
    for name, (frame, per_unit) in frames.items():
        across, up = (_middles(*frame[side : side + 2], per_unit) for side in (0, 2))
        places = torch.stack(torch.meshgrid(across, up, indexing="xy"), dim=-1)  # (up, across, 2)
        answers = replicas.outputs(places.flatten(0, 1)).argmax(-1).cpu()
        found[name] = answers.reshape(-1, *places.shape[:2]).numpy().astype(np.float32)
    return found


def _training(kind: str, n: int, labels: str, seed: int) -> Confounded:
    return true_points(kind, n, seed=seed) if labels == "alone" else confounded(kind, n, seed=seed, labels=labels)


def _test(kind: str, n: int, labels: str, training: Confounded, seed: int) -> Confounded:
    if labels == "redrawn":
        return authors_test(kind, n, training, seed=seed + FRESH)
    return confounded(kind, n, seed=seed + FRESH)


def _middles(low: float, high: float, per_unit: int) -> torch.Tensor:
    """Return the middles of the cells that a stretch is cut into."""
    cells = round((high - low) * per_unit)
    return low + (torch.arange(cells, device="cpu") + 0.5) / per_unit


def _answers(replicas: Replicas, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    return replicas.outputs(list(inputs)).argmax(-1).cpu()


def _right(replicas: Replicas, sets: Sequence[Confounded]) -> torch.Tensor:
    """Return which points every network has right, (M, N) as numbers."""
    answers = _answers(replicas, [one.inputs for one in sets])
    return (answers == torch.stack([one.labels for one in sets])).double()


def _parts(right: torch.Tensor, true: torch.Tensor) -> list[float]:
    """Return the accuracy on true points and on noise; NaN where there is none."""
    return [float(right[true].mean()), float(right[~true].mean()) if (~true).any() else float("nan")]

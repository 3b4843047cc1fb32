"""How the loss of an attention network changes with the weights of its points, and networks followed through that."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from companion.data.mosaics import Mosaics, draw_mosaics
from companion.data.synthetic import two_planes
from companion.models.attention_planar import PlanarAttention
from companion.training.many import fit_many
from companion.training.replicas import Replicas

FOREGROUND = (0, 1, 2)
CLASSES = 10
WHERE, WHAT = (2, 50, 50, 1), (2, 50, 3)
COURSE = ("loss", "accuracy", "weight", "focus", "foreground", "background", "score", "lower", "pull_x", "pull_y")
RATE, MOMENTUM, BATCH = 0.01, 0.9, 250


class WeightGradients(NamedTuple):
    """What the loss of N mosaics of K points in D dimensions has to say on the weights.

    Attributes
    ----------
    weights : tensor
        (N, K), after the softmax.
    gradients : tensor
        (N, K), derivative of each mosaic's own loss by its weights, which are taken as free of one another.
    pull : tensor
        (N, D), derivative of each mosaic's loss by the average of its points.
    losses, answers : tensor
        (N,) in nats, and the predicted classes.
    """

    weights: torch.Tensor
    gradients: torch.Tensor
    pull: torch.Tensor
    losses: torch.Tensor
    answers: torch.Tensor

    @property
    def scores(self) -> torch.Tensor:
        """Derivatives (N, K) by the scores, before the softmax; they add up to zero."""
        mean = (self.weights * self.gradients).sum(1, keepdim=True)
        return self.weights * (self.gradients - mean)


class Cloud(NamedTuple):
    """Points in the plane made into mosaics.

    Attributes
    ----------
    points, classes : tensor
        (M, 2) and (M,), what mosaics are made of.
    members : tensor
        (N, 9), numbers of the points in the slots.
    position, labels : tensor
        (N,) slot and class of the foreground point.
    """

    points: torch.Tensor
    classes: torch.Tensor
    members: torch.Tensor
    position: torch.Tensor
    labels: torch.Tensor

    @property
    def mosaics(self) -> torch.Tensor:
        """The points of every mosaic, (N, 9, 2)."""
        return self.points[self.members]


def draw_cloud(n: int, *, points: int = 1000, seed: int) -> Cloud:
    """Draw ten round classes of points with standard deviation 0.1, and `n` mosaics of them (Mosaic, section 7)."""
    flat, classes = two_planes(points, angle=0, seed=seed)
    drawn = draw_mosaics(classes, FOREGROUND, n=n, seed=seed)
    return Cloud(flat[:, :2], classes, in_slots(drawn), drawn.position, classes[drawn.foreground])


def in_slots(mosaics: Mosaics) -> torch.Tensor:
    """Return the item in every slot, (N, 9): the foreground at its position, the others around it in their order."""
    slots = torch.arange(1 + mosaics.background.shape[1], device="cpu").expand(len(mosaics.position), -1)
    own = slots == mosaics.position[:, None]
    members = torch.empty_like(slots).masked_scatter_(~own, mosaics.background)
    return members.masked_scatter_(own, mosaics.foreground)


def weight_gradients(net: PlanarAttention, points: torch.Tensor, labels: torch.Tensor) -> WeightGradients:
    """Return the gradients of the loss with respect to the attention weights, at the weights that the network gives.

    Parameters
    ----------
    points : tensor
        (N, K, D) mosaics.
    labels : tensor
        (N,) their classes.

    Raises
    ------
    ValueError
        If there are not as many labels as mosaics.
    """
    if len(points) != len(labels):
        raise ValueError(f"{len(points)} mosaics need as many labels, not {len(labels)}")
    with torch.no_grad():
        weights = net.attend(points)[0]
    free = weights.clone().requires_grad_()
    average = (free[..., None] * points).sum(1)
    logits = net.what(average)
    losses = F.cross_entropy(logits, labels, reduction="none")
    # Each loss hangs on its own mosaic only: one gradient of the sum is the gradient of each.
    gradients, pull = torch.autograd.grad(losses.sum(), (free, average))
    return WeightGradients(weights, gradients, pull, losses.detach(), logits.argmax(1))


@torch.no_grad()
def differences(net: PlanarAttention, points: torch.Tensor, labels: torch.Tensor, step: float = 1e-6) -> torch.Tensor:
    """Return the same gradients (N, K) from central differences: one weight at a time a step up and a step down."""
    weights = net.attend(points)[0]

    def losses(weights: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(net.what((weights[..., None] * points).sum(1)), labels, reduction="none")

    steps = step * torch.eye(weights.shape[1], dtype=weights.dtype, device=weights.device)
    return torch.stack([(losses(weights + one) - losses(weights - one)) / (2 * step) for one in steps], dim=1)


@torch.no_grad()
def moved_origin(net: PlanarAttention, shift: torch.Tensor) -> PlanarAttention:
    """Return a network that answers for points + shift (D,) as `net` does for points: its first biases make up."""
    moved = copy.deepcopy(net)
    for part in (moved.where, moved.what):
        part[0].bias -= part[0].weight @ shift
    return moved


def follow(
    seeds: Sequence[int], *, mosaics: int, epochs: int, looks: Sequence[int], held: bool = False, dtype: torch.dtype
) -> list[dict[str, Any]]:
    """Train one attention network for each seed on a cloud of its own and follow its gradients.

    Parameters
    ----------
    mosaics, epochs : int
        How many mosaics to train on, and how long.
    looks : sequence of int
        Epochs at which all mosaics are looked at, beginning with 0: before training.
    held : bool
        Keep all weights of the points at 1/9: only the classification network learns.
    dtype : dtype
        Of the numbers.

    Returns
    -------
    list of dict
        For each seed course (looks, 10), the means over mosaics of `COURSE`: loss; accuracy; weight of the foreground;
        focus, the share of mosaics whose largest weight is the foreground's; foreground and background, the gradients
        with respect to the weights (the paper's two); score, that with respect to the foreground's score; lower, the
        share of mosaics in which the foreground's gradient is below the mean of the others'; pull_x and pull_y.
        by_class (looks, 10): mean over all points of a class of the gradient, less the mean of its mosaic.

    Raises
    ------
    ValueError
        If the looks do not begin with 0.
    """
    looks = list(looks)
    if looks[:1] != [0]:
        raise ValueError(f"the looks begin with 0, before training, not {looks}")
    clouds = [draw_cloud(mosaics, seed=seed) for seed in seeds]

    def build(seed: int) -> PlanarAttention:
        net = PlanarAttention(WHERE, WHAT, seed=seed).to(dtype)
        return _held(net) if held else net

    def measured(replicas: Replicas) -> dict[str, list[float]]:
        rows = [_look(replicas[k], cloud, dtype) for k, cloud in enumerate(clouds)]
        return {name: [row[name] for row in rows] for name in rows[0]}

    first = measured(Replicas.of([build(seed) for seed in seeds]))
    _, history = fit_many(
        build,
        [cloud.mosaics.to(dtype) for cloud in clouds],
        [cloud.labels for cloud in clouds],
        seeds,
        epochs=epochs,
        lr=RATE,
        momentum=MOMENTUM,
        batch=BATCH,
        measure=measured,
        measure_at=looks[1:],
        chunk=len(seeds),  # `measured` knows the clouds by their place
    )
    rows = []
    for k, (_, told) in enumerate(history.drop(columns="loss").rename(columns={"own_loss": "loss"}).groupby("model")):
        start = pd.DataFrame({name: values[k : k + 1] for name, values in first.items()}, index=[0])
        told = pd.concat([start.rename(columns={"own_loss": "loss"}), told.set_index("epoch")]).loc[looks]
        by_class = told[[_of_class(one) for one in range(CLASSES)]]
        rows.append({"course": told[list(COURSE)].to_numpy(np.float32), "by_class": by_class.to_numpy(np.float32)})
    return rows


def _held(net: PlanarAttention) -> PlanarAttention:
    """Let the focus network give every point the same score, for good."""
    for weights in net.where.parameters():
        weights.requires_grad_(False)
    nn.init.zeros_(net.where[-1].weight)
    return net


def _of_class(label: int) -> str:
    return f"class {label}"


def _look(net: PlanarAttention, cloud: Cloud, dtype: torch.dtype) -> dict[str, float]:
    """Return what `follow` tells of one network at one time; its own loss is that of the network as it stands."""
    device = next(net.parameters()).device
    points, labels = cloud.mosaics.to(device, dtype), cloud.labels.to(device)
    found = weight_gradients(net, points, labels)
    own = F.one_hot(cloud.position, points.shape[1]).bool().to(device)
    foreground = found.gradients[own]
    background = (found.gradients * ~own).sum(1) / (points.shape[1] - 1)
    apart = (found.gradients - found.gradients.mean(1, keepdim=True)).flatten()
    classes = cloud.classes[cloud.members].flatten().to(device)
    totals = torch.zeros(CLASSES, dtype=apart.dtype, device=device).index_add_(0, classes, apart)
    of_class = (totals / torch.bincount(classes, minlength=CLASSES)).tolist()
    numbers = {
        "own_loss": found.losses,
        "accuracy": (found.answers == labels).double(),
        "weight": found.weights[own],
        "focus": (found.weights.argmax(1) == cloud.position.to(device)).double(),
        "foreground": foreground,
        "background": background,
        "score": found.scores[own],
        "lower": (foreground < background).double(),
        "pull_x": found.pull[:, 0],
        "pull_y": found.pull[:, 1],
    }
    means = {name: float(values.mean()) for name, values in numbers.items()}
    return means | {_of_class(label): of_class[label] for label in range(CLASSES)}

"""Anchor vectors of LeNet-5: how they move in training, and networks that are given others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from companion.data.images import Images, mnist
from companion.models.recos import Stage, directions
from companion.recos.sphere import angles, kmeans, patches
from companion.seeds import generator
from companion.training.evaluation import outputs

KINDS = ("trained", "random", "k-means", "PCA")


def digits(split: str, n: int) -> Images:
    """Return the first n digits as bytes (n, 1, 32, 32), with a border in the colour of their background."""
    images, labels = mnist(split)
    return Images(F.pad(images[:n], (2, 2, 2, 2)), labels[:n])


@contextmanager
def watched(net: nn.Sequential, steps: Collection[int]) -> Iterator[list[list[torch.Tensor]]]:
    """Yield a list that receives, while `net` is trained inside, the filters of both convolutions after some steps.

    Parameters
    ----------
    net : nn.Sequential
        As `recos_lenet5` makes it.
    steps : collection of int
        0 is before the first step; the state after the last step of a training is not seen.
    """
    taken: list[list[torch.Tensor]] = []
    done = 0

    def look(module: nn.Module, _: object) -> None:
        nonlocal done
        if module.training:
            if done in steps:
                taken.append([anchors(module[layer]) for layer in (1, 2)])
            done += 1

    hook = net.register_forward_pre_hook(look)
    try:
        yield taken
    finally:
        hook.remove()


def anchors(stage: Stage) -> torch.Tensor:
    """Return a copy of a stage's anchor vectors (outputs, inputs) on the CPU."""
    return stage.layer.weight.detach().flatten(1).to("cpu", copy=True)


def moved(taken: Sequence[torch.Tensor], centres: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean angles, in degrees, of anchor vectors to where they were at first, and to the nearest centre.

    Parameters
    ----------
    taken : sequence of Tensor, shape (outputs, inputs)
        The anchor vectors of a layer at several times; their means are taken off.
    centres : Tensor, shape (k, inputs)
        Of zero mean and unit length.

    Returns
    -------
    from_start, to_centre : ndarray, shape (times,)
    """
    there = [directions(vectors) for vectors in taken]
    from_start = [angles(one, there[0]).diagonal().mean().item() for one in there]
    return np.array(from_start), np.array([angles(one, centres).amin(1).mean().item() for one in there])


def inputs_of(net: nn.Sequential, stage: int, images: torch.Tensor, n: int, *, seed: int) -> torch.Tensor:
    """Return what a stage (from 1) compares with its anchor vectors: at most n vectors of zero mean and unit length.

    For a convolution these are patches, cut at random from what the stages before make of images.
    """
    before = net[:stage]
    if isinstance(net[stage].layer, nn.Conv2d):
        return patches(outputs(before, images), n, seed=seed)[0]
    return directions(outputs(before, images[:n]).flatten(1).cpu().double())


@torch.no_grad()
def set_anchors(stage: Stage, vectors: torch.Tensor) -> None:
    """Give a stage other anchor vectors (outputs, inputs), each with the length of the one that it replaces.

    The biases, which belonged to the former ones, become zero.
    """
    weight = stage.layer.weight
    lengths = weight.flatten(1).norm(dim=1, keepdim=True)
    weight.copy_((F.normalize(vectors.to(weight), dim=1) * lengths).view_as(weight))
    if stage.layer.bias is not None:
        stage.layer.bias.zero_()


def replace_filters(net: nn.Sequential, kind: str, images: torch.Tensor, *, layers: int, n: int, seed: int) -> None:
    """Put other filters of the same lengths in the place of those of the first convolution, or of both.

    Parameters
    ----------
    net : nn.Sequential
        As `recos_lenet5` makes it; changed in place, layer by layer: the second sees what the new first one makes.
    kind : str
        Of `KINDS`: leave them; random directions; centres of clusters of the inputs; their first principal components.
    images : Tensor
        To take the inputs from.
    layers : {1, 2}
        Convolutions.
    n : int
        Patches that centres and components are taken from.
    seed : int
        Draws directions and patches.

    Raises
    ------
    ValueError
        If the kind is not known.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown filters {kind!r}; there are {', '.join(KINDS)}")
    draw = generator(seed, "augmentation")
    for stage in range(1, layers + 1) if kind != "trained" else ():
        count, length = anchors(net[stage]).shape
        if kind == "random":
            vectors = torch.randn(count, length, generator=draw, device="cpu")
        else:
            given = inputs_of(net, stage, images, n, seed=seed)
            vectors = kmeans(given, count, seed=seed).centres if kind == "k-means" else components(given, count)
        set_anchors(net[stage], vectors)


def components(vectors: torch.Tensor, count: int) -> torch.Tensor:
    """Return the first principal components (count, d) of vectors (N, d), about zero, in the sense of their mean."""
    found = torch.linalg.eigh(vectors.T @ vectors).eigenvectors.flip(1)[:, :count]
    return (found * (vectors @ found).sum(0).sign()).T


def cluster_layers(net: nn.Sequential, images: torch.Tensor, *, n: int, seed: int) -> torch.Tensor:
    """Set the anchor vectors of all layers, one after the other, to centres of clusters of what reaches them.

    No label is used. Returns the cluster (N,) of every image: which of the ten last anchor vectors is nearest to it.

    Parameters
    ----------
    net : nn.Sequential
        As `recos_lenet5` makes it; changed in place.
    images : Tensor
        Bytes (N, 1, 32, 32).
    n : int
        The most vectors that are clustered for a layer.
    seed : int
        Of patches and first centres.

    Notes
    -----
    Kuo 2017, p. 87. Anchor vectors keep the lengths of those that they replace.
    """
    for stage in range(1, len(net)):
        given = inputs_of(net, stage, images, n, seed=seed)
        set_anchors(net[stage], kmeans(given, len(net[stage].layer.weight), seed=seed, restarts=1).centres)
    last = directions(outputs(net[: len(net) - 1], images))
    return (last @ anchors(net[-1]).to(last).T).argmax(1).cpu()

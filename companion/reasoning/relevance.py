"""Which pixels an answer rests on: layer-wise relevance propagation, a lighter version of it, and a test of both.

Reasonable, section V-A, names Bach et al. 2015 ("On pixel-wise explanations ...") and "creating lighter version of the
pixel-wise reasoning"; section F3 of the notebook on future work.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from captum.attr import LRP
from captum.attr._utils.lrp_rules import EpsilonRule  # its public home in captum's own documentation
from torch import nn
from torch.nn import functional as F

from companion.models.reasoning import DigitCNN
from companion.seeds import generator
from companion.training.evaluation import outputs, predictions

EPSILON = 0.25  # of the root mean square of a layer's outputs (Montavon et al. 2019)
TRUNK = 6  # layers from the image, in shares of ink, to the 16 maps of 4x4
FIELD, STRIDE = 16, 4  # pixels that an entry of those maps sees, and from one to the next
METHODS = ("relevance", "gradient × input", "4×4 map", "4×4 map on ink", "chance", "chance on ink")


class Gap(nn.Module):
    """Take vectors (N, D) less the stored ones."""

    def __init__(self, stored: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("stored", stored)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Map (N, D) to (N, D)."""
        return vectors - self.stored


class Nearness(nn.Module):
    """Minus the squared length of vectors, as a sum with the vectors themselves as weights: each entry has its part."""

    def forward(self, gaps: torch.Tensor) -> torch.Tensor:
        """Map (N, D) to (N, 1)."""
        return -(gaps.detach() * gaps).sum(1, keepdim=True)


def logits(net: DigitCNN) -> nn.Sequential:
    """Return the layers from images in shares of ink to the outputs; a copy."""
    return nn.Sequential(*copy.deepcopy(list(net)[1:]))


def nearness(reason: DigitCNN, stored: torch.Tensor) -> nn.Sequential:
    """Return the layers from images to minus the squared distance of equation 6, for their stored vectors (N, 256)."""
    return nn.Sequential(*logits(reason), Gap(stored), Nearness())


def both(vanilla: DigitCNN, reason: DigitCNN, images: torch.Tensor) -> dict[str, tuple[nn.Sequential, torch.Tensor]]:
    """Return what is explained of images in shares of ink: layers, and which of their outputs (N,), by name.

    `logits` of the class that is predicted, and `nearness` to its stored vector.
    """
    named = predictions(vanilla, images)
    near = nearness(reason, vanilla[-1].weight.detach()[named])
    return {"logit": (logits(vanilla), named), "nearness": (near, torch.zeros_like(named))}


def relevance(
    layers: nn.Sequential, inputs: torch.Tensor, classes: torch.Tensor, *, epsilon: float = EPSILON
) -> torch.Tensor:
    """Share an output out among the inputs, layer by layer, in proportion to what each gave (the epsilon rule).

    Parameters
    ----------
    layers : nn.Sequential
        Of convolutions, dense layers, max-pools, ReLUs and layers without weights.
    inputs : Tensor, shape (N, ...)
        Images in shares of ink, or what a later layer takes.
    classes : Tensor, shape (N,)
        Which output of each.
    epsilon : float
        What is added to the denominator of a layer with weights, as a share of the root mean square of its outputs.
        Near zero the result is gradient times input (for layers that are linear by pieces); more lets weak and
        contradictory parts fade.

    Returns
    -------
    Tensor
        Of the inputs' shape; its sum over an image is the output, less what biases and epsilon took.

    Notes
    -----
    Bach et al. 2015, equation 58; `captum.attr.LRP`. A max-pool hands all to the greatest entry.
    """
    layers = copy.deepcopy(layers)
    with torch.no_grad():
        values = inputs
        for layer in layers:
            values = layer(values)
            weighted = isinstance(layer, nn.Conv2d | nn.Linear)
            if not isinstance(layer, nn.ReLU):
                layer.rule = EpsilonRule(epsilon * float(values.square().mean().sqrt()) if weighted else 1e-9)
    return LRP(layers).attribute(inputs.detach().clone().requires_grad_(), target=classes).detach()


def gradient_times_input(layers: nn.Sequential, inputs: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the gradient of each input's output of its class, times the input (N, ...)."""
    inputs = inputs.detach().clone().requires_grad_()
    wanted = layers(inputs).gather(1, classes[:, None]).sum()
    return torch.autograd.grad(wanted, inputs)[0] * inputs.detach()


def coarse(layers: nn.Sequential, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the lighter version: relevance of the 16 maps of 4x4 only, summed over the maps, (N, 4, 4)."""
    with torch.no_grad():
        maps = layers[:TRUNK](images)  # (N, 16, 4, 4)
    return relevance(layers[TRUNK:], maps, classes).sum(1)


def spread(maps: torch.Tensor) -> torch.Tensor:
    """Spread each entry of maps (N, 4, 4) over the 16x16 pixels that it sees, most in their middle: (N, 1, 28, 28)."""
    tent = torch.bartlett_window(FIELD + 2, periodic=False, dtype=maps.dtype, device=maps.device)[1:-1]
    kernel = tent[:, None] * tent / tent.sum() ** 2
    return F.conv_transpose2d(maps[:, None], kernel[None, None], stride=STRIDE)


def maps(vanilla: DigitCNN, reason: DigitCNN, images: torch.Tensor) -> np.ndarray:
    """Return maps (4, N, 28, 28) of images in shares of ink: of logit and of nearness, full and light on ink."""
    found = []
    for layers, place in both(vanilla, reason, images).values():
        found += [relevance(layers, images, place), spread(coarse(layers, images, place)) * images]
    return torch.stack(found)[:, :, 0].cpu().numpy()


def intruder(vanilla: DigitCNN, reason: DigitCNN, plain: torch.Tensor, pasted: torch.Tensor) -> dict[str, float]:
    """Return how much of what takes the vector away from the stored one lies where something was pasted in.

    Parameters
    ----------
    plain, pasted : Tensor, shape (N, 1, 28, 28)
        Images in shares of ink, before and after.

    Returns
    -------
    dict
        Means over the images that have any: `relevance`, the share of the negative relevance of the nearness that lies
        on changed pixels, and `ink`, the share of the ink that does.
    """
    layers, place = both(vanilla, reason, pasted)["nearness"]
    away, ink = (part.clamp(min=0).double() for part in (-relevance(layers, pasted, place), pasted))
    changed = pasted != plain
    shares = torch.stack([(part * changed).sum((1, 2, 3)) / part.sum((1, 2, 3)) for part in (away, ink)])
    means = shares[:, shares.isfinite().all(0)].mean(1).tolist()
    return dict(zip(("relevance", "ink"), means, strict=True))


def rankings(
    layers: nn.Sequential, images: torch.Tensor, classes: torch.Tensor, *, seed: int
) -> dict[str, torch.Tensor]:
    """Return what each of `METHODS` says about every pixel, higher for what the output rests on, (N, 1, 28, 28)."""
    draw = generator(seed, "points")
    random = torch.rand(images.shape, generator=draw, device="cpu").to(images)
    light = spread(coarse(layers, images, classes))
    return {
        "relevance": relevance(layers, images, classes),
        "gradient × input": gradient_times_input(layers, images, classes),
        "4×4 map": light,
        "4×4 map on ink": light * images,
        "chance": random,
        "chance on ink": random * (images > 0),
    }


def pixel_flipping(
    value: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, ranking: torch.Tensor, *, each: int, steps: int
) -> np.ndarray:
    """Turn the highest pixels of every image to their negative, some at a time, and watch a value fall.

    Parameters
    ----------
    value : callable
        Maps images (N, 1, H, W) to numbers (N,).
    images, ranking : Tensor, shape (N, 1, H, W)
        In shares of ink, and the order of their pixels; of equals the first is turned first.
    each, steps : int
        Pixels per step, and number of steps.

    Returns
    -------
    array, shape (steps + 1,)
        The mean value before the first step and after each. Its first entry less its mean is the area over the
        perturbation curve (Samek et al. 2017).

    Notes
    -----
    Bach et al. 2015, section "Pixel-flipping".
    """
    order = ranking.flatten(1).argsort(dim=1, descending=True, stable=True)
    now = images.flatten(1).clone()
    found = [float(value(images).double().mean())]
    for step in range(steps):
        turned = order[:, step * each : (step + 1) * each]
        now.scatter_(1, turned, 1 - now.gather(1, turned))
        found.append(float(value(now.reshape(images.shape)).double().mean()))
    return np.array(found)


def flipping_curves(
    layers: nn.Sequential, images: torch.Tensor, classes: torch.Tensor, *, each: int, steps: int, seed: int
) -> np.ndarray:
    """Return the curves (METHODS, steps + 1) of `pixel_flipping` for one output of every image."""

    def value(changed: torch.Tensor) -> torch.Tensor:
        return outputs(layers, changed, batch=len(images)).gather(1, classes[:, None])[:, 0]

    ranked = rankings(layers, images, classes, seed=seed)
    return np.stack([pixel_flipping(value, images, ranked[name], each=each, steps=steps) for name in METHODS])

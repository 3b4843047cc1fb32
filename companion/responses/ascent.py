"""Inputs that excite a unit most, by gradient ascent."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.transforms.functional import gaussian_blur

from companion.responses.layers import Hidden, device_of
from companion.seeds import generator

EVERY = 4  # steps from one blur to the next
UNRESTRAINED = dict(decay=0.0, blur=0.0, jitter=0, natural=False)  # projected gradient ascent, nothing else


def maximal_inputs(
    layers: nn.Sequential,
    layer: Hidden,
    units: torch.Tensor,
    colours: torch.Tensor,
    *,
    seed: int,
    steps: int,
    starts: int = 1,
    rate: float = 0.3,
    decay: float = 0.05,
    blur: float = 0.5,
    jitter: int = 2,
    natural: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Paint for each unit what excites it most, inside its field and within [0, 1].

    Parameters
    ----------
    units : Tensor of int, shape (U,)
        Of the layer.
    colours : Tensor, shape (C, pixels)
        A sample of the colours of images, in [0, 1]. Ascent starts from their mean, with a little noise, and decays to
        it.
    seed : int
        Of the noise and of the jitter.
    steps : int
        Of ascent on the sum before the rectifier. Rate and decay fade to a third along a straight line.
    starts : int
        From each unit's starts the best end is returned.
    rate : float
        By how much a step changes the pixel that it changes most.
    decay : float
        What a step takes from the difference to the mean colour.
    blur : float
        Standard deviation, in pixels, of a blur after every fourth step; 0 for none.
    jitter : int
        Before each step the field is moved on its canvas by up to so many pixels either way, less in small fields.
    natural : bool
        Climb further along the directions in which colours vary, by the metric of their covariance (after Olah et al.
        2017).

    Returns
    -------
    inputs, activations : Tensor, shapes (U, C, field, field) and (U,)
        Activations are after the rectifier, of exactly these inputs.

    Raises
    ------
    ValueError
        If there is no step or no start.

    Notes
    -----
    Decay and blur as in Yosinski et al. 2015; with `UNRESTRAINED` it is projected gradient ascent.
    """
    if steps < 1 or starts < 1:
        raise ValueError(f"gradient ascent takes at least one step from one start, not {steps} from {starts}")
    device, draw = device_of(layers), generator(seed, "points")
    sums = nn.Sequential(*layers[: layer.stop - 1], nn.Flatten())
    rest, metric = colours.mean(1).to(device)[None, :, None, None], _metric(colours).to(device)
    size, loose = layer.field, min(jitter, layer.field // 8)
    wanted = units.to(device).repeat_interleave(starts)[:, None]
    side = size + 2 * loose
    noise = torch.randn(len(wanted), len(colours), side, side, generator=draw, device="cpu").to(device)
    canvas = (rest + 0.05 * noise).clamp(0, 1)
    for step in range(steps):
        top, left = torch.randint(0, 2 * loose + 1, (2,), generator=draw, device="cpu").tolist()
        field = canvas[:, :, top : top + size, left : left + size].detach().requires_grad_()
        (slope,) = torch.autograd.grad(sums(field).gather(1, wanted).sum(), field)
        slope = torch.einsum("cd,ndhw->nchw", metric, slope) if natural else slope
        slope = slope / slope.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
        fading = 1 - 2 / 3 * step / steps
        canvas[:, :, top : top + size, left : left + size] += rate * fading * slope
        canvas += decay * fading * (rest - canvas)
        if blur and step % EVERY == EVERY - 1:
            canvas = gaussian_blur(canvas, 3 if side < 5 else 5, blur)
        canvas = canvas.clamp(0, 1)
    inputs = canvas[:, :, loose : loose + size, loose : loose + size]
    with torch.no_grad():
        reached = layers[layer.stop - 1](sums(inputs)).gather(1, wanted).reshape(-1, starts)
    best = reached.max(1)
    return inputs.unflatten(0, (-1, starts))[torch.arange(len(units)), best.indices], best.values


def _metric(colours: torch.Tensor) -> torch.Tensor:
    """Return the covariance (C, C) of colours (C, pixels), up to scale."""
    return torch.cov(colours).reshape(len(colours), -1)

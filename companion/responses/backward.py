"""Back from one unit to the pixels, by three rules that differ at the rectifiers only."""

from __future__ import annotations

import warnings

import torch
from captum.attr import Deconvolution, GuidedBackprop, Saliency
from torch import nn

from companion.responses.layers import Hidden

RULES = ("deconvnet", "guided backpropagation", "gradient")


def backward(layers: nn.Sequential, layer: Hidden, seen: torch.Tensor, units: torch.Tensor, rule: str) -> torch.Tensor:
    """Send a single unit's activation back to what it sees.

    Parameters
    ----------
    seen : Tensor, shape (P, C, field, field)
        What the units see, coded as the network wants it; see `patches`.
    units : Tensor of int, shape (P,)
        Of the layer, one for each.
    rule : {"deconvnet", "guided backpropagation", "gradient"}
        What a rectifier does on the way back: let through what comes back positive (Zeiler and Fergus 2014); both that
        and what was positive on the way there (Springenberg et al. 2015); the latter only. Max-pools hand everything to
        the place of the maximum (the stored switches), convolutions are transposed.

    Returns
    -------
    Tensor, shape (P, C, field, field)
        For a unit of activation 1: zero for the other units, nothing added by biases.

    Raises
    ------
    ValueError
        If the rule is not known.
    """
    if rule not in RULES:
        raise ValueError(f"unknown backward rule {rule!r}; the rules are {', '.join(RULES)}")
    part = nn.Sequential(*layers[: layer.stop], nn.Flatten())  # a field has one place: (P, units)
    seen, units = seen.detach().clone().requires_grad_(), units.to(seen.device)
    if rule == "gradient":
        return Saliency(part).attribute(seen, target=units, abs=False).detach()
    method = Deconvolution(part) if rule == "deconvnet" else GuidedBackprop(part)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU")  # captum takes them away again
        return method.attribute(seen, target=units).detach()

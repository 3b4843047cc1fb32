"""RMSProp as TensorFlow 1 has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class RMSProp(torch.optim.Optimizer):
    """Divide each gradient by the root of its running mean square, the mean starting at one.

    ``mean = decay * mean + (1 - decay) * g**2``, then ``w -= lr * g / sqrt(mean + eps)``. PyTorch's own RMSprop starts
    the mean at zero, adds eps outside the root and decays by 0.99; the start at one makes the first few dozen steps of
    small gradients far shorter here.

    Parameters
    ----------
    parameters : iterable
        Tensors, or groups of them.
    lr : float
        Learning rate.
    decay : float
        Of the running mean square.
    eps : float
        Inside the root.

    Raises
    ------
    ValueError
        If a setting is out of its range.
    """

    def __init__(self, parameters: Iterable[Any], *, lr: float = 1e-3, decay: float = 0.9, eps: float = 1e-10) -> None:
        if not (lr >= 0 and 0 <= decay < 1 and eps >= 0):
            raise ValueError(f"RMSProp needs lr >= 0, 0 <= decay < 1 and eps >= 0, not {lr}, {decay} and {eps}")
        super().__init__(parameters, {"lr": lr, "decay": decay, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Make one update of every parameter that has a gradient."""
        if closure is not None:
            raise ValueError("RMSProp takes no closure: compute the gradients first")
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            gradients = [weight.grad for weight in weights]
            for weight in weights:
                if "mean_square" not in self.state[weight]:
                    self.state[weight]["mean_square"] = torch.ones_like(weight)
            means = [self.state[weight]["mean_square"] for weight in weights]
            torch._foreach_mul_(means, group["decay"])
            torch._foreach_addcmul_(means, gradients, gradients, 1 - group["decay"])
            roots = torch._foreach_add(means, group["eps"])
            torch._foreach_sqrt_(roots)
            torch._foreach_addcdiv_(weights, gradients, roots, -group["lr"])

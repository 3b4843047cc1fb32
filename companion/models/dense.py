"""A dense layer whose products are made by oneDNN on a CPU.

PyTorch hands single-precision products on the CPU to MKL, which leaves the wider half of AVX-512 idle on processors
that are not Intel's; oneDNN, which PyTorch brings along for its convolutions, does not. On such a machine a large dense
layer trains in half the time, with the same arithmetic (`make bench`).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


class Dense(nn.Linear):
    """``nn.Linear``, in half the time where MKL is slow; the parameters, their names and their start are the same.

    Notes
    -----
    Products of fp32 tensors on the CPU go to oneDNN, whose sums have another order than MKL's: results agree to
    rounding. Everything else (another device or precision, a transform of ``torch.func``) is ``nn.Linear`` itself.
    """

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map (..., in_features) to (..., out_features)."""
        if self.bias is None or not _suits(inputs, self.weight):
            return F.linear(inputs, self.weight, self.bias)
        flat = inputs.reshape(-1, self.in_features)
        return _Products.apply(flat, self.weight, self.bias).view(*inputs.shape[:-1], self.out_features)


class _Products(torch.autograd.Function):
    """x W' + b and its gradients, three products."""

    @staticmethod
    def forward(context, inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(inputs, weight)
        return _times(inputs, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, above: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        inputs, weight = context.saved_tensors
        for_inputs, for_weight, for_bias = context.needs_input_grad
        return (
            _times(above, weight.t()) if for_inputs else None,
            _times(above.t(), inputs.t()) if for_weight else None,
            above.sum(0) if for_bias else None,
        )


def _suits(inputs: torch.Tensor, weight: torch.Tensor) -> bool:
    ours = all(one.device.type == "cpu" and one.dtype == torch.float32 for one in (inputs, weight))
    transformed = torch._C._functorch.maybe_current_level() is not None
    return ours and inputs.numel() > 0 and not transformed and not torch.is_autocast_enabled("cpu") and _offered()


def _offered() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _times(left: torch.Tensor, right: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Left times the transpose of right, (n, k) and (m, k) to (n, m); the call by which torch.compile makes it, too."""
    return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")

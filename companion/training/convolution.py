"""Convolutions of many models at once: two formulations of the same sum, of which a GPU may be quicker at either."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

ODD = 8  # tensor cores want matrices whose sizes are multiples of this; a 3x3 convolution of 3 channels has 27


class MatrixProducts(TorchFunctionMode):
    """Compute 2-d convolutions as matrix products of unfolded images; under vmap one batched product for all models."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace `F.conv2d` where it has neither groups nor dilation."""
        if func is F.conv2d and _plain(*args, **(kwargs or {})):
            return as_product(*args[:5], **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _plain(
    images: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> bool:
    return groups == 1 and set(_pair(dilation)) == {1} and not isinstance(padding, str)


def as_product(
    images: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    **_: Any,
) -> torch.Tensor:
    """Convolve images (N, C, H, W) with filters (K, C, h, w): (N, K, H', W') from every patch times every filter."""
    (down, right), (rows, columns) = _pair(stride), _pair(padding)
    filters, _channels, height, width = weight.shape
    if rows or columns:
        images = F.pad(images, (columns, columns, rows, rows))
    patches = images.unfold(2, height, down).unfold(3, width, right)  # (N, C, H', W', h, w), a view
    count, _, high, wide = patches.shape[:4]
    matrix = patches.permute(0, 2, 3, 1, 4, 5).reshape(count * high * wide, -1)  # (N H' W', C h w)
    table = weight.flatten(1).T  # (C h w, K)
    if images.is_cuda and (short := -len(table) % ODD):
        matrix, table = F.pad(matrix, (0, short)), F.pad(table, (0, 0, 0, short))
    answers = matrix @ table if bias is None else torch.addmm(bias, matrix, table)
    return answers.view(count, high, wide, filters).permute(0, 3, 1, 2)


FORMULATIONS: dict[str, Callable[[], contextlib.AbstractContextManager[Any]]] = {
    "grouped": contextlib.nullcontext,  # what vmap makes of a convolution
    "products": MatrixProducts,
}


def faster(trial: Callable[[], object], device: torch.device, *, calls: int = 5) -> str:
    """Return the formulation in which `trial` takes the least time on a device.

    On the CPU it is "grouped", so that the choice, and with it every bit, never hangs on a clock; for the same reason
    it is "products" where deterministic algorithms are asked for.
    """
    if device.type == "cpu":
        return "grouped"
    if torch.are_deterministic_algorithms_enabled():
        return "products"
    taken = {}
    for name, formulation in FORMULATIONS.items():
        with formulation():
            trial()  # chooses kernels
            torch.cuda.synchronize(device)
            started = time.perf_counter()
            for _ in range(calls):
                trial()
            torch.cuda.synchronize(device)
        taken[name] = time.perf_counter() - started
    return min(taken, key=taken.__getitem__)


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])

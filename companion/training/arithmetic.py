"""The arithmetics in which a model can be trained, and which of them can be had where."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import torch
from torch import nn

from companion.training import compiled

ARITHMETICS = ("fp32", "bf16", "bf16-compiled")
BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # instructions of x86 and ARM that torch.cpu may name


def arithmetic_here(wanted: str, device: str | torch.device = "cpu") -> str:
    """Return the arithmetic wanted, or what comes closest to it on a device.

    Parameters
    ----------
    wanted : {"fp32", "bf16", "bf16-compiled"}
        "bf16-compiled" becomes "bf16" on CUDA, and where the kernel cannot be compiled or run; on a CPU without
        instructions for bfloat16 both become "fp32". A fall on the CPU is told once, in a line on stderr.
    device : device
        Where the model is to be trained.

    Returns
    -------
    str
        What to hand to `fit`.

    Raises
    ------
    ValueError
        If the arithmetic is not known.
    """
    check(wanted)
    if torch.device(device).type != "cpu":
        return "bf16" if wanted == "bf16-compiled" else wanted
    if wanted == "bf16-compiled" and (reason := compiled.available()):
        _tell(f"bf16 instead of bf16-compiled: {reason}")
        wanted = "bf16"
    if wanted == "bf16" and not any(torch.cpu.get_capabilities().get(name) for name in BFLOAT16):
        _tell("fp32 instead of bf16: this CPU has no instructions for bfloat16")
        wanted = "fp32"
    return wanted


def forward_in(arithmetic: str, net: nn.Module, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function that maps inputs to outputs of `net` in an arithmetic.

    Raises
    ------
    ValueError
        If the arithmetic is not known, or cannot be had on the device or for this model.
    """
    check(arithmetic)
    if arithmetic == "fp32":
        return net
    if arithmetic == "bf16":

        def forward(inputs: torch.Tensor) -> torch.Tensor:
            with torch.autocast(device.type, torch.bfloat16):
                return net(inputs)

        return forward
    reason = (
        f"the compiled kernel runs on the CPU, not on {device.type}" if device.type != "cpu" else compiled.available()
    )
    if reason:
        raise ValueError(f"the arithmetic 'bf16-compiled' cannot be had here, fp32 and bf16 can: {reason}")
    return compiled.forward_of(net)


def check(arithmetic: str) -> None:
    """Refuse an arithmetic that is not known."""
    if arithmetic not in ARITHMETICS:
        raise ValueError(f"unknown arithmetic {arithmetic!r}; the arithmetics are {', '.join(ARITHMETICS)}")


@functools.cache
def _tell(message: str) -> None:
    logging.getLogger(__name__).warning(message)

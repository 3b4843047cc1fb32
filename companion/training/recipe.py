"""How a model is trained: all settings but the model, the data and the seed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from companion.training.arithmetic import check

OPTIMIZERS = ("sgd", "adam")

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Row = dict[str, float]


@dataclass(frozen=True)
class Recipe:
    """The settings of `fit`, which tells what each means.

    Raises
    ------
    ValueError
        If a setting is not one of those allowed.
    """

    epochs: int
    optimizer: str = "sgd"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    schedule: Callable[[int], float] | None = None
    batch: int = 64
    loss: Loss = F.cross_entropy
    stop_below: float | None = None
    augment: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None = None
    arithmetic: str = "fp32"
    measure_at: Collection[int] | None = None

    def __post_init__(self) -> None:
        for name, least in (("epochs", 0), ("batch", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {self.optimizer!r}; the optimizers are {', '.join(OPTIMIZERS)}")
        check(self.arithmetic)
        if beyond := [epoch for epoch in self.measure_at or () if not 1 <= epoch <= self.epochs]:
            raise ValueError(f"measure_at names epochs from 1 to {self.epochs}, not {', '.join(map(str, beyond))}")

    def updates(
        self, parameters: Iterable[Any], *, lr: Any = 1e-3, momentum: float = 0.0, weight_decay: float = 0.0
    ) -> torch.optim.Optimizer:
        """Return the optimiser of parameters, or of groups of them with settings of their own.

        A learning rate that is a tensor makes the updates fit for a CUDA graph.
        """
        groups: list[Any] = list(parameters)
        given: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "fused": True}
        if self.optimizer == "sgd":
            return torch.optim.SGD(groups, momentum=momentum, **given)
        replayable = isinstance(groups[0], dict) and isinstance(groups[0]["lr"], torch.Tensor)
        return torch.optim.Adam(groups, betas=self.betas, eps=self.eps, capturable=replayable, **given)

    def factor(self, epoch: int) -> float:
        """Return what the learning rate is multiplied with at an epoch (from 1)."""
        return self.schedule(epoch) if self.schedule else 1.0

    def measures(self, epoch: int) -> bool:
        """Tell whether the model is measured after an epoch (from 1)."""
        return self.measure_at is None or epoch in self.measure_at

    def reached(self, rows: list[Row]) -> bool:
        """Tell whether a training with this history is at its end."""
        below = bool(rows) and self.stop_below is not None and rows[-1]["loss"] < self.stop_below
        return below or len(rows) >= self.epochs

    def computing(self, device: torch.device) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which a forward pass is computed."""
        return torch.autocast(device.type, torch.bfloat16) if self.arithmetic == "bf16" else contextlib.nullcontext()

    def scored(self, answers: torch.Tensor) -> torch.Tensor:
        """Return a model's answers as the loss takes them: never in 16 bits."""
        return answers if self.arithmetic == "fp32" else answers.float()

    def row(self, epoch: int, loss: float, rate: float, measured: Mapping[str, float]) -> Row:
        """Return an epoch's row of the history.

        Raises
        ------
        ValueError
            If what was measured has a name of the history's own.
        """
        row = {"epoch": epoch, "loss": loss, "lr": rate}
        if clash := measured.keys() & row.keys():
            raise ValueError(f"measure returns {', '.join(sorted(clash))}, which the history tells already")
        return row | dict(measured)

    def diverged_at(self, epoch: int, rate: float, step: int = 0, steps: int = 0, loss: float | None = None) -> str:
        """Say where a training diverged: at a step (from 0) of an epoch by its loss, or after the epoch by a weight."""
        told = "a weight was infinite or NaN after" if loss is None else f"the loss was {loss} at"
        where = "" if loss is None else f", step {step + 1} of {steps}"
        how = f"{self.optimizer}, learning rate {rate:g}, {self.arithmetic}"
        return f"training diverged: {told} epoch {epoch}{where} ({how})"

"""Train one model.

The data live on the model's device as they are stored, batches are gathered there by index, and the order of the
batches comes from a generator of its own, so that the same seed sees the same batches on every device.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from companion.seeds import generator, stream
from companion.training.checkpoint import Checkpoint

ARITHMETICS = ("fp32", "bf16")

Examples = Sequence[torch.Tensor]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Diverged(FloatingPointError):
    """The training loss became infinite or not a number."""


def fit(
    net: nn.Module,
    examples: Examples,
    *,
    seed: int,
    epochs: int,
    lr: float,
    optimizer: str = "sgd",
    momentum: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    schedule: Callable[[int], float] | None = None,
    batch: int = 64,
    loss: Loss = F.cross_entropy,
    stop_below: float | None = None,
    augment: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None = None,
    measure: Callable[[nn.Module], dict[str, float]] | None = None,
    arithmetic: str = "fp32",
    device: str | torch.device | None = None,
    checkpoint: str | Path | Checkpoint | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Train `net` in place, leave it in evaluation mode, and return its history.

    Parameters
    ----------
    net : nn.Module
        The model; moved to `device`.
    examples : (inputs, targets)
        Tensors of N examples each. Inputs may be stored bytes if the model codes them itself.
    seed : int
        Seed of the data order, of dropout and of the augmentation (a separate stream each).
    epochs : int
        Passes over the data; with `stop_below`, the most that are made.
    lr : float
        Learning rate.
    optimizer : {"sgd", "adam"}
        `momentum` belongs to the first, `betas` and `eps` to the second, `weight_decay` to both.
    schedule : callable, optional
        Maps the epoch (counted from 1) to a factor of the learning rate.
    batch : int
        Examples per step; the last batch of an epoch may be smaller.
    loss : callable
        Maps outputs and targets to a scalar: a mean over the batch. Cross-entropy by default.
    stop_below : float, optional
        End after the first epoch whose mean training loss is below this.
    augment : callable, optional
        Maps a batch of inputs and a generator on the model's device to the inputs that are trained on.
    measure : callable, optional
        Called with the model in evaluation mode after every epoch; its numbers join the history, under names other
        than the history's own.
    arithmetic : {"fp32", "bf16"}
        bf16 computes the model in bfloat16 where autocast deems it safe and keeps weights, optimiser and loss in fp32.
        A model in double precision stays so under "fp32".
    device : device, optional
        PyTorch's current default device if not given (`with torch.device("cuda"): ...`).
    checkpoint : path or Checkpoint, optional
        Where to keep the state; an interrupted training goes on from there and ends with the same bits on the CPU.
    progress : bool
        Show a bar of epochs.

    Returns
    -------
    DataFrame
        One row per epoch: epoch (from 1), loss (mean over the epoch's examples, as seen while training), lr, and what
        `measure` returned.

    Raises
    ------
    Diverged
        If the loss or a weight becomes infinite or NaN; says at which epoch, and for a loss at which step.
    ValueError
        If a setting is not one of those allowed, there are no examples, or the checkpoint is of another training.
    """
    inputs, targets = examples
    if len(inputs) != len(targets) or len(inputs) == 0:
        raise ValueError(f"fit needs as many inputs as targets and at least one, not {len(inputs)} and {len(targets)}")
    for name, value, least in (("epochs", epochs, 0), ("batch", batch, 1)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value}")
    device = torch.get_default_device() if device is None else torch.device(device)
    net.to(device=device, memory_format=torch.channels_last)  # the faster layout of convolutions; the same numbers
    inputs, targets = inputs.to(device), targets.to(device)
    updates = _optimizer(optimizer, net, lr, momentum=momentum, betas=betas, eps=eps, weight_decay=weight_decay)
    computing = _computing(arithmetic, device)

    order = generator(seed, "order")
    augmentation = generator(seed, "augmentation", device)
    rows: list[dict[str, float]] = []
    keeper = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)

    identity = (seed, batch, lr, optimizer, momentum, tuple(betas), eps, weight_decay, arithmetic, len(inputs))
    with _dropout_stream(seed, device):
        if (state := keeper.load()) is not None:
            if state["identity"] != identity:
                raise ValueError(
                    f"the checkpoint {keeper.path} is of another training: {state['identity']}, not {identity}"
                )
            rows = state["rows"]
            net.load_state_dict(state["net"])
            updates.load_state_dict(state["updates"])
            order.set_state(state["order"])
            augmentation.set_state(state["augmentation"])
            _set_dropout_state(state["dropout"], device)
        bar = tqdm(total=epochs, initial=len(rows), desc="epochs", leave=False, disable=not progress)
        while len(rows) < epochs and not _reached(rows, stop_below):
            epoch = len(rows) + 1
            rate = lr * (schedule(epoch) if schedule else 1.0)
            for group in updates.param_groups:
                group["lr"] = rate
            net.train()
            permutation = torch.randperm(len(inputs), generator=order, device="cpu").to(device)
            batches = permutation.split(batch)
            losses = torch.empty(len(batches), device=device, dtype=torch.float64)
            for step, chosen in enumerate(batches):
                images = inputs[chosen]
                if augment is not None:
                    images = augment(images, augmentation)
                updates.zero_grad(set_to_none=True)
                with computing():
                    answers = net(images)
                value = loss(answers if arithmetic == "fp32" else answers.float(), targets[chosen])
                value.backward()
                updates.step()
                losses[step] = value.detach()
            # One look per epoch: asking after every step would stall a GPU.
            if not bool(losses.isfinite().all()):
                step = int((~losses.isfinite()).nonzero()[0])
                raise Diverged(
                    f"training diverged: the loss was {losses[step].item()} at epoch {epoch}, step {step + 1} of "
                    f"{len(batches)} ({optimizer}, learning rate {rate:g}, {arithmetic})"
                )
            if not all(bool(weights.isfinite().all()) for weights in net.parameters()):
                raise Diverged(
                    f"training diverged: a weight was infinite or NaN after epoch {epoch} ({optimizer}, {rate:g})"
                )
            sizes = torch.tensor([len(chosen) for chosen in batches], device=device, dtype=torch.float64)
            row = {"epoch": epoch, "loss": float((losses * sizes).sum() / len(inputs)), "lr": rate}
            if measure is not None:
                net.eval()
                measured = measure(net)
                if clash := measured.keys() & row.keys():
                    raise ValueError(f"measure returns {', '.join(sorted(clash))}, which the history tells already")
                row |= measured
            rows.append(row)
            keeper.save(
                {
                    "identity": identity,
                    "rows": rows,
                    "net": net.state_dict(),
                    "updates": updates.state_dict(),
                    "order": order.get_state(),
                    "augmentation": augmentation.get_state(),
                    "dropout": _dropout_state(device),
                }
            )
            bar.set_postfix(loss=f"{row['loss']:.4f}")
            bar.update()
        bar.close()
    net.eval()
    return pd.DataFrame(rows, columns=None if rows else ["epoch", "loss", "lr"])


def _reached(rows: list[dict[str, float]], stop_below: float | None) -> bool:
    return bool(rows) and stop_below is not None and rows[-1]["loss"] < stop_below


def _optimizer(
    name: str,
    net: nn.Module,
    lr: float,
    *,
    momentum: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> torch.optim.Optimizer:
    common: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay, "fused": True}
    if name == "sgd":
        return torch.optim.SGD(net.parameters(), momentum=momentum, **common)
    if name == "adam":
        return torch.optim.Adam(net.parameters(), betas=betas, eps=eps, **common)
    raise ValueError(f"unknown optimizer {name!r}; the optimizers are sgd, adam")


def _computing(arithmetic: str, device: torch.device) -> Callable[[], contextlib.AbstractContextManager[Any]]:
    """Return the context in which a forward pass and its loss are computed."""
    if arithmetic not in ARITHMETICS:
        raise ValueError(f"unknown arithmetic {arithmetic!r}; the arithmetics are {', '.join(ARITHMETICS)}")
    if arithmetic == "fp32":
        return contextlib.nullcontext
    return lambda: torch.autocast(device.type, torch.bfloat16)


@contextlib.contextmanager
def _dropout_stream(seed: int, device: torch.device) -> Iterator[None]:
    """Let layers that draw at random (dropout) use their own stream; leave the global generators as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(stream(seed, "dropout"))
        if device.type == "cuda":
            torch.cuda.manual_seed(stream(seed, "dropout"))
        yield


def _dropout_state(device: torch.device) -> torch.Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_dropout_state(state: torch.Tensor, device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)

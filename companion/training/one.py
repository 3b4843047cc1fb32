"""Train one model.

The data live on the model's device as they are stored, batches are gathered there by index, and the order of the
batches comes from a generator of its own, so that the same seed sees the same batches on every device.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from companion.seeds import generator, stream
from companion.training.arithmetic import forward_in
from companion.training.checkpoint import Checkpoint
from companion.training.recipe import Loss, Recipe, Row

Examples = Sequence[torch.Tensor]


class Diverged(FloatingPointError):
    """The training loss, or a weight, became infinite or not a number.

    Attributes
    ----------
    rows : list of dict
        The history up to then.
    """

    def __init__(self, message: str, rows: Sequence[Row] = ()) -> None:
        super().__init__(message)
        self.rows = list(rows)


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
    measure_at: Collection[int] | None = None,
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
    measure_at : collection of int, optional
        The epochs (from 1) after which `measure` is called; the history is NaN at others. Every epoch if not given.
    arithmetic : {"fp32", "bf16", "bf16-compiled"}
        bf16 computes the model in bfloat16 where autocast deems it safe and keeps weights, optimiser and loss in fp32.
        bf16-compiled does the same for `CifarCNN` on stored bytes, its convolutions in a compiled kernel; see
        `arithmetic_here`. A model in double precision stays so under "fp32".
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
    settings = epochs, optimizer, betas, eps, schedule, batch, loss, stop_below, augment, arithmetic, measure_at
    recipe = Recipe(*settings)
    device = torch.get_default_device() if device is None else torch.device(device)
    net.to(device=device, memory_format=torch.channels_last)  # the faster layout of convolutions; the same numbers
    inputs, targets = inputs.to(device), targets.to(device)
    updates = recipe.updates(net.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay)
    forward = forward_in(arithmetic, net, device)

    order = generator(seed, "order")
    augmentation = generator(seed, "augmentation", device)
    rows: list[Row] = []
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
        while not recipe.reached(rows):
            epoch = len(rows) + 1
            rate = lr * recipe.factor(epoch)
            for group in updates.param_groups:
                group["lr"] = rate
            net.train()
            permutation = torch.randperm(len(inputs), generator=order, device="cpu").to(device)
            batches = permutation.split(batch)
            losses = torch.empty(len(batches), device=device, dtype=torch.float64)
            for step, chosen in enumerate(batches):
                images = inputs.index_select(0, chosen)  # copies whole rows: 20 times as fast as inputs[chosen]
                if augment is not None:
                    images = augment(images, augmentation)
                updates.zero_grad(set_to_none=True)
                value = loss(recipe.scored(forward(images)), targets[chosen])
                value.backward()
                updates.step()
                losses[step] = value.detach()
            # One look per epoch: asking after every step would stall a GPU.
            if not bool(losses.isfinite().all()):
                step = int((~losses.isfinite()).nonzero()[0])
                raise Diverged(recipe.diverged_at(epoch, rate, step, len(batches), losses[step].item()), rows)
            if not all(bool(weights.isfinite().all()) for weights in net.parameters()):
                raise Diverged(recipe.diverged_at(epoch, rate), rows)
            sizes = torch.tensor([len(chosen) for chosen in batches], device=device, dtype=torch.float64)
            measured = {}
            if measure is not None and recipe.measures(epoch):
                net.eval()
                measured = measure(net)
            row = recipe.row(epoch, float((losses * sizes).sum() / len(inputs)), rate, measured)
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

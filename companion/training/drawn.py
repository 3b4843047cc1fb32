"""Train one model on batches that are drawn afresh at every step: turned, shifted or made up on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm

from companion.seeds import generator
from companion.training.checkpoint import Checkpoint
from companion.training.one import Diverged, _dropout_state, _dropout_stream, _set_dropout_state

LOOK_EVERY = 100  # steps between two looks at the loss: asking after every step would stall a GPU

Batch = Sequence[torch.Tensor]


def fit_drawn(
    net: nn.Module,
    draw: Callable[[torch.Generator, torch.Generator], Batch],
    loss: Callable[..., torch.Tensor],
    *,
    seed: int,
    steps: int,
    updates: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
    schedule: Callable[[int], float] | None = None,
    measure: Callable[[nn.Module], dict[str, float]] | None = None,
    measure_at: Collection[int] = (),
    skip: bool = False,
    device: str | torch.device | None = None,
    checkpoint: str | Path | Checkpoint | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Train `net` in place for a number of steps, leave it in evaluation mode, and return its history.

    Parameters
    ----------
    net : nn.Module
        The model; moved to `device`.
    draw : callable
        Maps two generators on the CPU (order of the examples, augmentation) to the tensors of one batch. Drawn on the
        CPU, so that the same seed sees the same batches on every device; the tensors are moved to `device`.
    loss : callable
        Maps the model and the tensors of a batch to a scalar, a mean over the batch.
    seed : int
        Seed of the draws and of dropout (a separate stream each).
    steps : int
        Updates made.
    updates : callable
        Maps the parameters to their optimiser, for example ``partial(torch.optim.Adam, lr=1e-3)``.
    schedule : callable, optional
        Maps the step (counted from 0) to a factor of the learning rate.
    measure : callable, optional
        Called with the model in evaluation mode after the steps of `measure_at` and the last; its numbers join the
        history.
    measure_at : collection of int
        Steps (from 1) after which the history has a row; it has one after the last step in any case.
    skip : bool
        Leave out steps whose gradient is not finite (and count them) where it would else be an error.
    device : device, optional
        PyTorch's current default device if not given.
    checkpoint : path or Checkpoint, optional
        Where to keep the state; an interrupted training goes on from there and ends with the same bits on the CPU.
    progress : bool
        Show a bar of steps.

    Returns
    -------
    DataFrame
        One row per milestone: step (from 1), loss (mean over the steps since the row before), skipped (steps left out
        since the row before), and what `measure` returned.

    Raises
    ------
    Diverged
        If the loss becomes infinite or NaN and `skip` is not set.
    ValueError
        If there are fewer than one step, a milestone is beyond them, or the checkpoint is of another training.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if beyond := [step for step in measure_at if not 1 <= step <= steps]:
        raise ValueError(f"measure_at names steps from 1 to {steps}, not {', '.join(map(str, beyond))}")
    device = torch.get_default_device() if device is None else torch.device(device)
    net.to(device=device)
    optimizer = updates(net.parameters())
    rates = [group["lr"] for group in optimizer.param_groups]
    order, augmentation = generator(seed, "order"), generator(seed, "augmentation")
    keeper = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
    identity = (seed, steps, type(optimizer).__name__, tuple(rates), tuple(sorted(measure_at)), skip)
    milestones = {*measure_at, steps}
    rows: list[dict[str, float]] = []
    done = 0
    total = torch.zeros((), dtype=torch.float64, device=device)  # of the losses since the last row
    made = torch.zeros((), dtype=torch.float64, device=device)  # steps since the last row that were not skipped
    since = 0

    with _dropout_stream(seed, device):
        if (state := keeper.load()) is not None:
            if state["identity"] != identity:
                raise ValueError(
                    f"the checkpoint {keeper.path} is of another training: {state['identity']}, not {identity}"
                )
            rows, done, since = state["rows"], state["done"], state["since"]
            total, made = state["total"].to(device), state["made"].to(device)
            net.load_state_dict(state["net"])
            optimizer.load_state_dict(state["optimizer"])
            order.set_state(state["order"])
            augmentation.set_state(state["augmentation"])
            _set_dropout_state(state["dropout"], device)
        bar = tqdm(total=steps, initial=done, desc="steps", leave=False, disable=not progress)
        net.train()
        while done < steps:
            factor = schedule(done) if schedule else 1.0
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            batch = [part.to(device, non_blocking=True) for part in draw(order, augmentation)]
            optimizer.zero_grad(set_to_none=True)
            value = loss(net, *batch)
            value.backward()
            sound = not skip or _finite(net)
            if sound:
                optimizer.step()
                total += value.detach()
                made += 1
            done, since = done + 1, since + 1
            bar.update()
            if done % LOOK_EVERY == 0 or done in milestones:
                if not bool(total.isfinite()):
                    where = f"between steps {done - since} and {done}"
                    raise Diverged(f"training diverged: the loss was infinite or NaN {where}", rows)
                if done in milestones:
                    row = {"step": float(done), "loss": float(total / made), "skipped": float(since - made)}
                    if measure is not None:
                        net.eval()
                        row |= measure(net)
                        net.train()
                    rows.append(row)
                    total.zero_()
                    made.zero_()
                    since = 0
                keeper.save(
                    {
                        "identity": identity,
                        "rows": rows,
                        "done": done,
                        "since": since,
                        "total": total,
                        "made": made,
                        "net": net.state_dict(),
                        "optimizer": optimizer.state_dict(),
                        "order": order.get_state(),
                        "augmentation": augmentation.get_state(),
                        "dropout": _dropout_state(device),
                    }
                )
        bar.close()
    net.eval()
    return pd.DataFrame(rows)


def _finite(net: nn.Module) -> bool:
    """Tell whether all gradients are finite."""
    gradients = [weights.grad for weights in net.parameters() if weights.grad is not None]
    return bool(torch.stack([gradient.isfinite().all() for gradient in gradients]).all())

"""Attention on mosaics trained in stages: classification ("what") and focus ("where") take turns of some epochs.

While one half learns the other is frozen. A frozen focus gives every mosaic the same average each time, so these are
computed once, and a step of the classification network costs one small network on an image, not ten.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd
import torch
from torch.nn import functional as F

from companion.attention.examples import OnMosaics
from companion.attention.shares import focus_shares
from companion.data.patches import MosaicSet
from companion.models.attention import MosaicAttention, weighted
from companion.seeds import generator
from companion.training.checkpoint import Checkpoint
from companion.training.one import Diverged, fit

HALVES = ("what", "where")
TESTED = 250  # mosaics at a time where nothing is trained


def turn(epoch: int, every: int, first: str = "what") -> tuple[int, str]:
    """Return the phase that an epoch (from 1) belongs to, counted from 1, and the half that learns in it."""
    phase = (epoch - 1) // every
    return phase + 1, HALVES[(HALVES.index(first) + phase) % 2]


def fit_stagewise(
    net: MosaicAttention,
    mosaics: MosaicSet,
    *,
    seed: int,
    epochs: int,
    every: int,
    lr: Mapping[str, float],
    first: str = "what",
    momentum: float = 0.9,
    batch: int = 250,
    watched: Mapping[str, MosaicSet] | None = None,
    measure_at: Collection[int] | None = None,
    reuse: bool = True,
    device: str | torch.device | None = None,
    checkpoint: str | Path | Checkpoint | None = None,
) -> pd.DataFrame:
    """Train the halves of `net` in turn, in place, leave it in evaluation mode, and return its history.

    Each half has an SGD optimiser of its own, whose momentum is kept over the phases in which the half is frozen.

    Parameters
    ----------
    net : MosaicAttention
        Focus and classification networks; moved to `device`.
    mosaics : MosaicSet
        N training mosaics.
    seed : int
        Seed of the data order.
    epochs, every : int
        Epochs in all, and of a phase; the last phase may be shorter.
    lr : mapping
        Learning rates of "what" and "where".
    first : {"what", "where"}
        The half that has the first turn.
    batch : int
        Mosaics per step; the last batch of an epoch may be smaller.
    watched : mapping, optional
        Names and mosaics that the network is tested on.
    measure_at : collection of int, optional
        Epochs after which it is tested, 0 for before the training. 0 and every epoch if not given.
    reuse : bool
        Train "what" on averages computed once a phase (12 kB a mosaic); else anew at every step, which gives the same
        up to rounding.
    device : device, optional
        PyTorch's current default device if not given.
    checkpoint : path or Checkpoint, optional
        Where to keep the state; an interrupted training goes on from there and ends with the same bits on the CPU.

    Returns
    -------
    DataFrame
        One row per epoch, and one for epoch 0 if it is measured: epoch, phase and half (see `turn`), loss (nats) and
        accuracy (means over the epoch's mosaics as seen while training; NaN at epoch 0). For each name watched:
        name_loss, name_accuracy and the shares of `focus_shares` (name_ftpt, ..., name_half), NaN where not tested.

    Raises
    ------
    Diverged
        If the loss becomes infinite or NaN.
    ValueError
        If a setting is not one of those allowed, or the checkpoint is of another training.

    Notes
    -----
    Mosaic, section 3.4. The authors' readme names rates and phases; the two optimisers are assumed.
    """
    _check(epochs, every, lr, first, batch, measure_at)
    device = torch.get_default_device() if device is None else torch.device(device)
    net.to(device=device, memory_format=torch.channels_last)
    net.train()
    known = _Seen(net, mosaics, device)
    tested = {name: _Seen(net, some, device) for name, some in (watched or {}).items()}
    halves = {half: getattr(net, half) for half in HALVES}
    updates = {
        half: torch.optim.SGD(part.parameters(), lr=lr[half], momentum=momentum, fused=True)
        for half, part in halves.items()
    }
    order = generator(seed, "order")
    rows: list[dict[str, float | str]] = []
    keeper = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
    identity = (seed, epochs, every, *(lr[half] for half in HALVES), first, momentum, batch, reuse, len(known))
    done = 0
    if (state := keeper.load()) is not None:
        if state["identity"] != identity:
            raise ValueError(
                f"the checkpoint {keeper.path} is of another training: {state['identity']}, not {identity}"
            )
        rows, done = state["rows"], state["done"]
        net.load_state_dict(state["net"])
        for half in HALVES:
            updates[half].load_state_dict(state["updates"][half])
        order.set_state(state["order"])
    elif measure_at is None or 0 in measure_at:
        start = {"epoch": 0, "phase": 0, "half": "", "loss": float("nan"), "accuracy": float("nan")}
        rows.append(start | _looks(tested))
    while done < epochs:
        epoch = done + 1
        phase, half = turn(epoch, every, first)
        for name, part in halves.items():
            part.requires_grad_(name == half)
        permutation = torch.randperm(len(known), generator=order, device="cpu").to(device)
        summed = torch.zeros(2, dtype=torch.float64, device=device)  # losses and right answers
        for chosen in permutation.split(batch):
            logits = net.what(known.averages(chosen)) if half == "what" and reuse else known(chosen)
            labels = known.labels[chosen]
            value = F.cross_entropy(logits, labels)
            updates[half].zero_grad(set_to_none=True)
            value.backward()
            updates[half].step()
            summed += torch.stack([value.detach() * len(chosen), (logits.argmax(1) == labels).sum()])
        if half == "where":
            for seen in (known, *tested.values()):
                seen.forget()
        loss, accuracy = (summed / len(known)).tolist()
        if not torch.isfinite(summed[0]):
            raise Diverged(f"training diverged: the loss was {loss} in epoch {epoch}, a {half} phase", rows)
        measured = _looks(tested) if measure_at is None or epoch in measure_at else {}
        rows.append({"epoch": epoch, "phase": phase, "half": half, "loss": loss, "accuracy": accuracy} | measured)
        done = epoch
        keeper.save(
            {
                "identity": identity,
                "rows": rows,
                "done": done,
                "net": net.state_dict(),
                "updates": {half: optimizer.state_dict() for half, optimizer in updates.items()},
                "order": order.get_state(),
            }
        )
    net.requires_grad_(True).eval()
    return pd.DataFrame(rows)


def lead(
    net: MosaicAttention, mosaics: MosaicSet, *, seed: int, epochs: int, below: float, lr: float, batch: int = 250
) -> int:
    """Train "what" alone, in place, until its loss leaves the plateau at the logarithm of the number of classes.

    A start for small runs; the authors have none. The focus stays as it is drawn.

    Parameters
    ----------
    epochs : int
        The most epochs that are made.
    below : float
        End after the first epoch whose mean loss (nats, as seen) is below this.

    Returns
    -------
    int
        Epochs made.
    """
    if epochs == 0:
        return 0
    seen = _Seen(net, mosaics, torch.get_default_device())
    examples = seen.averages(slice(None)), seen.labels
    history = fit(net.what, examples, seed=seed, epochs=epochs, stop_below=below, lr=lr, momentum=0.9, batch=batch)
    return len(history)


class _Seen:
    """Mosaics on their way through a network; weights and averages are kept until the focus has moved."""

    def __init__(self, net: MosaicAttention, mosaics: MosaicSet, device: torch.device) -> None:
        self.net, self.wrapped = net, OnMosaics(net, mosaics).to(device)
        self.members, self.position, self.labels = (
            part.to(device) for part in (mosaics.members, mosaics.position, mosaics.labels)
        )
        self.kept: tuple[torch.Tensor, torch.Tensor] | None = None

    def __len__(self) -> int:
        return len(self.members)

    def __call__(self, chosen: torch.Tensor) -> torch.Tensor:
        """Return the logits of some mosaics, both halves computed."""
        return self.wrapped(self.members[chosen])

    def forget(self) -> None:
        """Drop what a focus gave that has moved since."""
        self.kept = None

    @torch.no_grad()
    def focused(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the weights (N, 9), and the averages as rows (N, 3072) in the order height, width, channel."""
        if self.kept is None:
            parts = [self._average(some) for some in self.members.split(TESTED)]
            self.kept = tuple(torch.cat(part) for part in zip(*parts, strict=True))
        return self.kept

    def averages(self, chosen: torch.Tensor | slice) -> torch.Tensor:
        """Return some averages, (n, 3, 32, 32) with channels last in memory."""
        rows = self.focused()[1]
        rows = rows[chosen] if isinstance(chosen, slice) else rows.index_select(0, chosen)
        channels, height, width = self.wrapped.shape
        return rows.reshape(-1, height, width, channels).permute(0, 3, 1, 2)

    def _average(self, members: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        images = self.net.pixels(self.wrapped.gathered(members).flatten(0, 1))
        images = images.contiguous(memory_format=torch.channels_last)
        weights = self.net.where(images).reshape(members.shape).softmax(1)
        return weights, weighted(images, weights).permute(0, 2, 3, 1).flatten(1)

    @torch.no_grad()
    def look(self) -> dict[str, float]:
        """Return loss (nats), accuracy, and shares of focus and answer."""
        parts = [slice(start, start + TESTED) for start in range(0, len(self), TESTED)]
        logits = torch.cat([self.net.what(self.averages(part)) for part in parts])
        shares = focus_shares(self.focused()[0], logits, self.position, self.labels)
        loss = F.cross_entropy(logits.double(), self.labels).item()
        return {"loss": loss, "accuracy": shares["ftpt"] + shares["ffpt"]} | shares


def _looks(tested: Mapping[str, _Seen]) -> dict[str, float]:
    return {f"{name}_{key}": value for name, seen in tested.items() for key, value in seen.look().items()}


def _check(
    epochs: int, every: int, lr: Mapping[str, float], first: str, batch: int, measure_at: Collection[int] | None
) -> None:
    for name, given, least in (("epochs", epochs, 0), ("every", every, 1), ("batch", batch, 1)):
        if given < least:
            raise ValueError(f"{name} must be at least {least}, not {given}")
    if first not in HALVES:
        raise ValueError(f"the half that learns first is one of {', '.join(HALVES)}, not {first!r}")
    if set(lr) != set(HALVES):
        raise ValueError(f"learning rates are given for {' and '.join(HALVES)}, not for {', '.join(lr) or 'nothing'}")
    if beyond := [epoch for epoch in measure_at or () if not 0 <= epoch <= epochs]:
        raise ValueError(f"measure_at names epochs from 0 to {epochs}, not {', '.join(map(str, beyond))}")

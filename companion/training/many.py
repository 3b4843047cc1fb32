"""Train many replicas of one architecture: each with its own weights, order, labels and settings, as `fit` would.

On the CPU small fully connected models are trained together, as stacked matrix products; convolutional ones one after
the other, which is faster there (run several processes, see `Run.sweep`). On CUDA everything is stacked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from companion.training import memory
from companion.training.arithmetic import forward_in
from companion.training.one import Diverged, fit
from companion.training.recipe import Loss, Recipe, Row
from companion.training.replicas import Replicas, stackable
from companion.training.stacked import Group, Measure, StackedTraining

PerModel = torch.Tensor | Sequence[torch.Tensor]
Trained = tuple[Replicas, list[list[Row]]]


def fit_many(
    build: Callable[[int], nn.Module],
    inputs: PerModel,
    targets: PerModel,
    seeds: Sequence[int],
    *,
    epochs: int,
    lr: float | Sequence[float],
    optimizer: str = "sgd",
    momentum: float | Sequence[float] = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float | Sequence[float] = 0.0,
    schedule: Callable[[int], float] | None = None,
    batch: int = 64,
    loss: Loss = F.cross_entropy,
    stop_below: float | None = None,
    augment: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None = None,
    measure: Measure | None = None,
    measure_at: Collection[int] | None = None,
    arithmetic: str = "fp32",
    device: str | torch.device | None = None,
    chunk: int | None = None,
    progress: bool = False,
) -> tuple[Replicas, pd.DataFrame]:
    """Train one model for each seed; model k becomes what `fit` with seed k makes of `build(seed k)`.

    Parameters
    ----------
    build : callable
        Makes the model of a seed; all of one architecture.
    inputs : tensor or sequence of tensor
        (N, ...) if all models share them; a list of M such tensors if each has its own.
    targets : tensor or sequence of tensor
        The same; `list(labels)` gives every model a row of an (M, N) tensor, which may be of a small integer type.
    seeds : sequence of int
        One for each model; a seed may occur more than once.
    lr, momentum, weight_decay : float or sequence of float
        For all models, or one for each.
    epochs, optimizer, betas, eps, schedule, batch, loss, stop_below, augment, measure_at, arithmetic, device
        As `fit` takes them. `loss` maps the outputs (B, K) and targets of one model to its mean loss.
    measure : callable, optional
        Called after every epoch with the `Replicas` in training at once; returns lists with one number for each of
        them, by the name under which the history shows them.
    chunk : int, optional
        The most models that are trained at once; found from the memory there is if not given. Changes no result.
    progress : bool
        Show a bar.

    Returns
    -------
    replicas : Replicas
        The M models, trained; `replicas.diverged` says which of them diverged, and where. The others are not touched
        by that.
    history : DataFrame
        One row per model and epoch: model (index from 0), seed, epoch (from 1), loss (mean over the epoch, as seen
        while training), lr, and what `measure` returned. A model that diverged has the rows up to then.

    Raises
    ------
    ValueError
        If settings, inputs or targets do not fit one another; says which.
    MemoryError
        If not even one model fits.

    Notes
    -----
    The same as `fit`: gradients and one step elementwise to rounding (1e-5 relative in fp32, 1e-10 in fp64), later
    steps in norm; where models are trained one after the other, bit for bit. On the CPU neither `chunk` nor the
    company of other models changes a bit.
    """
    seeds = list(seeds)
    settings = epochs, optimizer, tuple(betas), eps, schedule, batch, loss, stop_below, augment, arithmetic, measure_at
    recipe = Recipe(*settings)
    groups = _groups(len(seeds), lr=lr, momentum=momentum, weight_decay=weight_decay)
    _check(seeds, chunk, inputs=inputs, targets=targets)
    device = torch.get_default_device() if device is None else torch.device(device)
    first = build(seeds[0])
    together = stackable(first, device)
    forward_in(arithmetic, first, device)  # refuses what cannot be had
    if not together:
        chunk = 1
    elif chunk is None:
        own = sum(part[0].nbytes for part in (inputs, targets) if not isinstance(part, torch.Tensor))
        chunk = memory.models_that_fit(first, _of(inputs, 0), recipe, device, own=own)
    train = _together if together else _one_by_one
    parts: list[Trained] = []
    start = 0
    with tqdm(total=len(seeds), desc="models", leave=False, disable=not progress) as bar:
        while start < len(seeds):
            these = range(len(seeds))[start : start + chunk]
            own = [part if isinstance(part, torch.Tensor) else [part[k] for k in these] for part in (inputs, targets)]
            some = [build(seeds[k]) for k in these], *own, [seeds[k] for k in these], [groups[k] for k in these]
            try:
                parts.append(train(_Chunk(*some), recipe, device, measure))
            except (RuntimeError, MemoryError) as error:
                if not memory.ran_out(error):
                    raise
                chunk = memory.half(chunk, error)
                continue
            start += len(these)
            bar.update(len(these))
    replicas = Replicas.joined([part for part, _ in parts])
    return replicas, _history(seeds, [rows for _, some in parts for rows in some])


@dataclass(frozen=True)
class _Chunk:
    """Models that are trained at once, with what each of them has of its own."""

    nets: list[nn.Module]
    inputs: PerModel
    targets: PerModel
    seeds: list[int]
    groups: list[Group]


def _together(chunk: _Chunk, recipe: Recipe, device: torch.device, measure: Measure | None) -> Trained:
    given = chunk.inputs, chunk.targets
    own = tuple(not isinstance(part, torch.Tensor) for part in given)
    data = [torch.stack(list(part)) if each else part for part, each in zip(given, own, strict=True)]
    inputs, targets = (part.to(device) for part in data)
    training = StackedTraining(
        chunk.nets, inputs, targets, own=own, seeds=chunk.seeds, groups=chunk.groups, recipe=recipe
    )
    return training.run(measure)


def _one_by_one(chunk: _Chunk, recipe: Recipe, device: torch.device, measure: Measure | None) -> Trained:
    histories, diverged = [], {}
    for index, net in enumerate(chunk.nets):
        labels = _of(chunk.targets, index)
        examples = _of(chunk.inputs, index), labels if labels.is_floating_point() else labels.long()
        settings = vars(recipe) | chunk.groups[index] | {"measure": _measure_one(measure), "device": device}
        try:
            histories.append(fit(net, examples, seed=chunk.seeds[index], **settings).to_dict("records"))
        except Diverged as error:
            histories.append(error.rows)
            diverged[index] = str(error)
    return Replicas.of(chunk.nets, diverged), histories


def _measure_one(measure: Measure | None) -> Callable[[nn.Module], dict[str, float]] | None:
    if measure is None:
        return None
    return lambda net: {name: float(values[0]) for name, values in measure(Replicas.of([net])).items()}


def _of(values: PerModel, model: int) -> torch.Tensor:
    return values if isinstance(values, torch.Tensor) else values[model]


def _groups(models: int, **settings: float | Sequence[float]) -> list[Group]:
    """Return every model's own settings; a single number is everyone's."""
    columns = {}
    for name, given in settings.items():
        values = [float(given)] * models if isinstance(given, int | float) else [float(one) for one in given]
        if len(values) != models:
            raise ValueError(f"{name} is one number, or one for each of the {models} seeds, not {len(values)} numbers")
        columns[name] = values
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _check(seeds: Sequence[int], chunk: int | None, **examples: PerModel) -> None:
    if not seeds:
        raise ValueError("fit_many trains one model for each seed, and there are no seeds")
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk is how many models are trained at once, at least 1, not {chunk}")
    for name, values in examples.items():
        if not isinstance(values, torch.Tensor) and len(values) != len(seeds):
            raise ValueError(
                f"{name} is a tensor that all models share, or a list with one for each of the {len(seeds)} seeds, "
                f"not a list of {len(values)}"
            )
    lengths = {name: {len(_of(values, k)) for k in range(len(seeds))} for name, values in examples.items()}
    if len(set.union(*lengths.values())) > 1:
        told = ", ".join(f"{name} {sorted(some)}" for name, some in lengths.items())
        raise ValueError(
            f"every model needs as many inputs as targets, all models equally many; the lengths are {told} "
            "(labels of shape (models, examples) are given as list(labels))"
        )


def _history(seeds: Sequence[int], histories: list[list[Row]]) -> pd.DataFrame:
    rows = [{"model": model, "seed": seeds[model]} | row for model, history in enumerate(histories) for row in history]
    return pd.DataFrame(rows, columns=None if rows else ["model", "seed", "epoch", "loss", "lr"])

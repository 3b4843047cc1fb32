"""Train many models as one: stacked parameters, one call for all; on a GPU a whole step is replayed as a CUDA graph."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, vmap

from companion.seeds import generator
from companion.training.convolution import FORMULATIONS, faster
from companion.training.recipe import Recipe, Row
from companion.training.replicas import Replicas, stacked

LANES = 32  # numbers that the widest vectorised loop takes at once; what is left over goes to a scalar loop
WARM_UP = 3  # steps before a graph is captured: libraries choose their kernels, the optimiser makes its state

Measure = Callable[[Replicas], dict[str, Sequence[float]]]
Group = dict[str, float]


class StackedTraining:
    """The training of M models of one architecture in step.

    Parameters
    ----------
    nets : sequence of nn.Module
        The models with their initial weights; not changed.
    inputs, targets : tensor
        (N, ...) if all models share them, (M, N, ...) where `own` says so; on the device.
    own : (bool, bool)
        Whether every model has inputs, and targets, of its own.
    seeds : sequence of int
        Seeds of the data orders and augmentations.
    groups : sequence of dict
        Learning rate, momentum and weight decay of every model.
    recipe : Recipe
        All that the models share.

    Notes
    -----
    Every step is `fit`'s, in tensors that have one more dimension. Models that diverged, or that are at their end
    before the others, are computed on and restored at the end: no model can touch another's numbers.

    On the CPU, exp in a vectorised loop and in the scalar loop for its leftovers differ in the last bit. So that a
    model's bits do not hang on its place in the stack, spare models stand at the end: all leftovers are theirs.
    """

    def __init__(
        self,
        nets: Sequence[nn.Module],
        inputs: torch.Tensor,
        targets: torch.Tensor,
        *,
        own: tuple[bool, bool],
        seeds: Sequence[int],
        groups: Sequence[Group],
        recipe: Recipe,
    ) -> None:
        self.device, self.recipe, self.own = inputs.device, recipe, own
        self.models, self.examples = len(nets), inputs.shape[1 if own[0] else 0]
        sizes = [len(one) for one in torch.arange(self.examples).split(recipe.batch)]
        spare = 0 if self.device.type == "cuda" else -(-LANES // min(sizes))
        places = [*range(self.models), *[0] * spare]
        self.inputs, self.targets = (
            part[places] if each and spare else part for part, each in zip((inputs, targets), own, strict=True)
        )
        self.net = copy.deepcopy(nets[0]).to(self.device).train()
        self._lay_out([nets[place] for place in places])
        self.rates = [float(groups[place]["lr"]) for place in places]
        self.updates = self._optimizer([groups[place] for place in places])

        self.orders = [generator(seeds[place], "order") for place in places]
        self.augmentations = [generator(seeds[place], "augmentation", self.device) for place in places]
        self.order = torch.zeros(len(places), self.examples, dtype=torch.int64, device=self.device)
        self.sizes = torch.tensor(sizes, dtype=torch.float64)
        self.losses = torch.zeros(len(sizes), len(places), dtype=torch.float64, device=self.device)
        # Where the epoch stands is kept on the device: a replayed step is the same step at another place.
        self.step, self.seen = (torch.zeros(1, dtype=torch.int64, device=self.device) for _ in range(2))
        self.steps = {size: self._playable(size) for size in set(sizes)}
        fixed = {name: value.clone() for name, value in self.fixed.items()}
        self.formulation = faster(lambda: self._gradients(min(sizes)), self.device)
        for name, value in fixed.items():  # a trial moves the running means of batch normalisation
            self.fixed[name].copy_(value)

    def _lay_out(self, nets: Sequence[nn.Module]) -> None:
        """Put all parameters into one (M, P) tensor, of which `weights` are views: an update is one call for all."""
        names = [name for name, weights in nets[0].named_parameters() if weights.requires_grad]
        numbers = stacked([dict(net.named_parameters()) | dict(net.named_buffers()) for net in nets])
        numbers = {name: value.to(self.device) for name, value in numbers.items()}
        self.fixed = {name: value for name, value in numbers.items() if name not in names}
        sizes = [numbers[name][0].numel() for name in names]
        self.flat = numbers[names[0]].new_zeros(len(nets), -(-sum(sizes) // LANES) * LANES)
        self.weights = {}
        for name, part in zip(names, self.flat[:, : sum(sizes)].split(sizes, dim=1), strict=True):
            part.copy_(numbers[name].flatten(1))
            self.weights[name] = part.view(numbers[name].shape).detach().requires_grad_()

    def _optimizer(self, groups: Sequence[Group]) -> torch.optim.Optimizer:
        alike = all(group == groups[0] for group in groups)
        self.stored = [self.flat] if alike else list(self.flat.unbind())
        given: list[dict[str, Any]] = [
            {**group, "params": [part]} for group, part in zip(groups, self.stored, strict=False)
        ]
        if self.device.type == "cuda":  # a plain number would be frozen into the graph
            given = [group | {"lr": torch.tensor(group["lr"], device=self.device)} for group in given]
        return self.recipe.updates(given)

    def run(
        self, measure: Measure | None = None, told: Callable[[], object] = lambda: None
    ) -> tuple[Replicas, list[list[Row]]]:
        """Train to the end; return the models and each one's history. `told` is called after every epoch."""
        rows: list[list[Row]] = [[] for _ in range(self.models)]
        diverged: dict[int, str] = {}
        ended: dict[int, dict[str, torch.Tensor]] = {}  # models that are at their end while others go on
        epoch = 0
        while epoch < self.recipe.epochs and len(ended) < self.models:
            epoch += 1
            self._epoch(self.recipe.factor(epoch))
            broken = self._broken(epoch)
            measured = measure(self.replicas()) if measure and self.recipe.measures(epoch) else {}
            means = (self.sizes @ self.losses.cpu()) / self.examples
            for model in set(range(self.models)) - ended.keys():
                if model in broken:
                    diverged[model] = broken[model]
                else:
                    own = {name: float(values[model]) for name, values in measured.items()}
                    rate = self.rates[model] * self.recipe.factor(epoch)
                    rows[model].append(self.recipe.row(epoch, float(means[model]), rate, own))
                if model in broken or self.recipe.reached(rows[model]):
                    ended[model] = {name: value[model].clone() for name, value in self._numbers().items()}
            told()
        with torch.no_grad():
            for model, numbers in ended.items():
                for name, value in self._numbers().items():
                    value[model] = numbers[name]
        return self.replicas(diverged), rows

    def replicas(self, diverged: dict[int, str] | None = None) -> Replicas:
        """Return the models as they stand; their numbers are copied."""
        numbers = {name: value[: self.models].clone() for name, value in self._numbers().items()}
        parameters = {name: numbers[name] for name, _ in self.net.named_parameters()}
        buffers = {name: numbers[name] for name, _ in self.net.named_buffers()}
        return Replicas(copy.deepcopy(self.net).eval(), parameters, buffers, diverged)

    def _numbers(self) -> dict[str, torch.Tensor]:
        return {name: value.detach() for name, value in self.weights.items()} | self.fixed

    def _epoch(self, factor: float) -> None:
        """Make one pass over the data; nothing is asked of the device in between."""
        for group, rate in zip(self.updates.param_groups, self.rates, strict=False):
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(rate * factor)
            else:
                group["lr"] = rate * factor
        orders = [torch.randperm(self.examples, generator=one, device="cpu") for one in self.orders]
        self.order.copy_(torch.stack(orders))
        self.step.zero_()
        self.seen.zero_()
        with FORMULATIONS[self.formulation]():
            for size in self.sizes.int().tolist():
                self.steps[size]()

    def _playable(self, size: int) -> Callable[[], None]:
        """Return a step of `size` examples for each model; on a GPU one that is captured and replayed."""

        def step() -> None:
            self._set_gradients(self._gradients(size, keep=True))
            self.updates.step()
            self.step.add_(1)
            self.seen.add_(size)

        # An augmentation draws from generators that a graph would freeze.
        return _Replay(step) if self.device.type == "cuda" and self.recipe.augment is None else step

    def _gradients(self, size: int, *, keep: bool = False) -> torch.Tensor:
        """Return the gradients (M, P) of every model at its next `size` examples, and note the losses if they count."""
        chosen = self.order.index_select(1, self.seen + torch.arange(size, device=self.device))  # (M, size)
        inputs, targets = _gather(self.inputs, chosen, self.own[0]), _gather(self.targets, chosen, self.own[1])
        if self.recipe.augment is not None:
            pairs = zip(inputs, self.augmentations, strict=True)
            inputs = torch.stack([self.recipe.augment(images, draw) for images, draw in pairs])
        with self.recipe.computing(self.device):
            answers = vmap(self._answer)(self.weights | self.fixed, inputs)
        targets = targets if targets.is_floating_point() else targets.long()
        losses = vmap(self.recipe.loss)(self.recipe.scored(answers), targets)  # (M,)
        parts = torch.autograd.grad(losses.sum(), list(self.weights.values()))
        if keep:
            self.losses.index_copy_(0, self.step, losses.detach().double()[None])
        used = sum(part[0].numel() for part in parts)
        unused = self.flat.new_zeros(len(self.flat), self.flat.shape[1] - used)
        return torch.cat([part.flatten(1) for part in parts] + [unused], dim=1)

    def _answer(self, numbers: dict[str, torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        return functional_call(self.net, numbers, (inputs,))

    def _set_gradients(self, gradients: torch.Tensor) -> None:
        """Hand the gradients to what the optimiser holds: the whole tensor, or its rows one by one."""
        for part, own in zip(self.stored, [gradients] if len(self.stored) == 1 else gradients, strict=True):
            part.grad = own.view(part.shape)

    def _broken(self, epoch: int) -> dict[int, str]:
        """Return where a loss or a weight is infinite or NaN."""
        factor, losses = self.recipe.factor(epoch), self.losses.cpu()
        bad_weights = (~self.flat.isfinite().all(1)).nonzero()[:, 0].tolist()
        found = {model: self.recipe.diverged_at(epoch, self.rates[model] * factor) for model in bad_weights}
        for model in (~losses.isfinite()).any(0).nonzero()[:, 0].tolist():
            step = int((~losses[:, model].isfinite()).nonzero()[0])
            at = (step, len(losses), losses[step, model].item())
            found[model] = self.recipe.diverged_at(epoch, self.rates[model] * factor, *at)
        return found


class _Replay:
    """A step that runs as it is a few times, is captured as a CUDA graph then, and replayed ever after."""

    def __init__(self, step: Callable[[], None]) -> None:
        self.step, self.calls, self.graph = step, 0, None

    def __call__(self) -> None:
        if self.graph is None and self.calls < WARM_UP:
            self.calls += 1
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                self.step()
            torch.cuda.current_stream().wait_stream(side)
            return
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):  # notes the work, does none of it
                self.step()
        self.graph.replay()


def _gather(values: torch.Tensor, chosen: torch.Tensor, own: bool) -> torch.Tensor:
    """Return every model's batch (M, B, ...) by its indices (M, B)."""
    return values[torch.arange(len(chosen), device=chosen.device)[:, None], chosen] if own else values[chosen]

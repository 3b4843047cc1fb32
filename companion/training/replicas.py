"""Many models of one architecture, their parameters stacked, and what they answer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

TOGETHER = 32  # models that answer in one call
HELD = 2**28  # bytes of probabilities held at once

Stack = dict[str, torch.Tensor]


class Replicas:
    """M models of one architecture that differ in nothing but their numbers.

    Parameters
    ----------
    net : nn.Module
        The architecture; its own numbers are not used. In evaluation mode, on the device of the stacks.
    parameters, buffers : dict of tensor
        By name as in the architecture, (M, ...) each.
    diverged : dict, optional
        Index of a model whose training diverged -> the sentence that says where.

    Attributes
    ----------
    parameters, buffers, diverged
        As given.
    """

    def __init__(
        self, net: nn.Module, parameters: Stack, buffers: Stack, diverged: Mapping[int, str] | None = None
    ) -> None:
        self._net = net
        self.parameters, self.buffers = parameters, buffers
        self.diverged = dict(diverged or {})

    @classmethod
    def of(cls, nets: Sequence[nn.Module], diverged: Mapping[int, str] | None = None) -> Replicas:
        """Stack models that were trained one by one; their numbers are copied.

        Raises
        ------
        ValueError
            If there is no model, or they are not of one architecture.
        """
        if not nets:
            raise ValueError("there are no models to stack")
        skeleton = copy.deepcopy(nets[0]).eval()
        return cls(
            skeleton,
            stacked([dict(net.named_parameters()) for net in nets]),
            stacked([dict(net.named_buffers()) for net in nets]),
            diverged,
        )

    @classmethod
    def joined(cls, parts: Sequence[Replicas]) -> Replicas:
        """Put several stacks of one architecture into one, in their order."""
        diverged, start = {}, 0
        for part in parts:
            diverged |= {start + index: told for index, told in part.diverged.items()}
            start += len(part)
        parameters, buffers = (
            {name: torch.cat([getattr(part, kind)[name] for part in parts]) for name in getattr(parts[0], kind)}
            for kind in ("parameters", "buffers")
        )
        return cls(parts[0]._net, parameters, buffers, diverged)

    def __len__(self) -> int:
        return len(next(iter(self.parameters.values())))

    def __getitem__(self, index: int) -> nn.Module:
        """Return a copy of one model, to be used like any other."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} models; {index} is none of them")
        net = copy.deepcopy(self._net)
        with torch.no_grad():
            for name, value in [*net.named_parameters(), *net.named_buffers()]:
                value.copy_((self.parameters | self.buffers)[name][index])
        return net

    @torch.no_grad()
    def outputs(self, inputs: torch.Tensor | Sequence[torch.Tensor], *, batch: int = 1000) -> torch.Tensor:
        """Return the outputs (M, N, K) of all models for inputs (N, ...) that they share, or a list with one for each.

        Raises
        ------
        ValueError
            If the list is of another length than the models.
        """
        return torch.cat(list(self._outputs(inputs, batch, TOGETHER)))

    @torch.no_grad()
    def _outputs(
        self, inputs: torch.Tensor | Sequence[torch.Tensor], batch: int, together: int
    ) -> Iterator[torch.Tensor]:
        """Yield outputs (m, N, K) of the models in turn, at most `together` of them at a time."""
        own = not isinstance(inputs, torch.Tensor)
        if own and len(inputs) != len(self):
            raise ValueError(f"a list of inputs has one for each of the {len(self)} models, not {len(inputs)}")
        numbers = self.parameters | self.buffers
        device = next(iter(numbers.values())).device
        for start in range(0, len(self), together):
            some = {name: value[start : start + together] for name, value in numbers.items()}
            given = torch.stack(list(inputs[start : start + together])) if own else inputs
            parts = [self._answers(some, part.to(device), own) for part in given.split(batch, dim=int(own))]
            yield torch.cat(parts, dim=1)

    def _answers(self, numbers: Stack, inputs: torch.Tensor, own: bool) -> torch.Tensor:
        if stackable(self._net, inputs.device):
            return vmap(lambda one, x: functional_call(self._net, one, (x,)), (0, 0 if own else None))(numbers, inputs)
        models = range(len(next(iter(numbers.values()))))
        each = [{name: _layout(value[k]) for name, value in numbers.items()} for k in models]
        return torch.stack([functional_call(self._net, each[k], (inputs[k] if own else inputs,)) for k in models])


def stackable(net: nn.Module, device: torch.device) -> bool:
    """Tell whether many such models are computed faster together than in turn, and may be.

    On the CPU a convolution of many models (grouped, or as a matrix product of unfolded images) takes longer than the
    convolutions in turn; small matrix products gain severalfold. Batch normalisation there would make a model's last
    bit hang on its neighbours. Dropout draws from a stream of its own for each model, which one call for all cannot do.
    """
    alone: tuple[type[nn.Module], ...] = (nn.modules.dropout._DropoutNd,)
    if device.type != "cuda":
        alone += (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase)
    return not any(isinstance(layer, alone) for layer in net.modules())


def stacked(each: Sequence[Mapping[str, torch.Tensor]]) -> Stack:
    """Stack the tensors of every name: (M, ...).

    Raises
    ------
    ValueError
        If names or shapes differ.
    """
    shapes = [{name: tuple(value.shape) for name, value in one.items()} for one in each]
    for place, other in enumerate(shapes):
        if other != shapes[0]:
            raise ValueError(f"the models are not of one architecture: model 0 has {shapes[0]}, model {place} {other}")
    return {name: torch.stack([one[name].detach() for one in each]) for name in each[0]}


def evaluate_many(
    replicas: Replicas,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    *,
    reduce: Callable[[torch.Tensor, torch.Tensor], Mapping[str, torch.Tensor]] | None = None,
    batch: int = 1000,
) -> dict[str, np.ndarray]:
    """Return what all models make of the same examples, class by class.

    Probabilities are reduced chunk by chunk of models, so that M x N x K numbers are never held.

    Parameters
    ----------
    replicas : Replicas
        M models with K outputs.
    inputs : tensor
        (N, ...) as the models take them.
    labels : tensor
        (N,) the true classes.
    reduce : callable, optional
        Maps log-probabilities (m, N, K) in double precision and labels (N,) to tensors (m, ...) by name;
        `class_means` by default.
    batch : int
        Inputs per call of a model.

    Returns
    -------
    dict of array
        (M, ...) each; see `class_means`.
    """
    reduce = reduce or class_means
    labels = labels.long()
    classes = int(labels.max()) + 1
    together = max(1, min(TOGETHER, HELD // (len(inputs) * max(classes, 10) * 8)))
    parts: dict[str, list[torch.Tensor]] = {}
    for logits in replicas._outputs(inputs, batch, together):
        found = reduce(logits.double().log_softmax(-1), labels.to(logits.device))
        for name, values in found.items():
            parts.setdefault(name, []).append(values.cpu())
    return {name: torch.cat(values).numpy() for name, values in parts.items()}


def class_means(log_probabilities: torch.Tensor, labels: torch.Tensor) -> Stack:
    """Average over the examples of each class.

    Parameters
    ----------
    log_probabilities : tensor
        (m, N, K), of m models.
    labels : tensor
        (N,) the true classes, 0 to K - 1.

    Returns
    -------
    dict of tensor
        accuracy (m, K), share of the examples of class c that are recognised;
        loss (m, K), their mean cross-entropy in nats;
        probability (m, K, K), mean probability of class j (last) for examples of class c;
        answer (m, K, K), share of the examples of class c that are taken for class j;
        asked (m, K, K), mean log-probability (bits) of the true answer to "is it class j?" for examples of class c;
        bits (m, K), one-vs-rest log-loss per example over all N: of "is it class c?" (Generalizations, section 3).
        A class without examples has NaN in all but bits.
    """
    classes = log_probabilities.shape[-1]
    member = F.one_hot(labels, classes).to(log_probabilities.dtype)  # (N, K)
    shares = member / member.sum(0)  # a mean over the class is a product with these
    own = log_probabilities.gather(-1, labels.expand(len(log_probabilities), -1)[..., None])[..., 0]  # (m, N)
    answers = log_probabilities.argmax(-1)  # (m, N)
    right = (answers == labels).to(member.dtype)
    probabilities = log_probabilities.exp()
    # log(1 - p) from log p, exact also where p is nearly 0 or 1.
    complements = torch.log(-torch.expm1(log_probabilities.clamp(max=-1e-15)))
    asked = torch.where(member.bool(), log_probabilities, complements)  # (m, N, K)
    return {
        "accuracy": right @ shares,
        "loss": -own @ shares,
        "probability": shares.T @ probabilities,
        "answer": shares.T @ F.one_hot(answers, classes).to(member.dtype),
        "asked": shares.T @ asked / np.log(2),
        "bits": -asked.mean(1) / np.log(2),
    }


def _layout(value: torch.Tensor) -> torch.Tensor:
    """Lay convolution weights out as `fit` does, so that the same kernels give the same numbers."""
    return value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value

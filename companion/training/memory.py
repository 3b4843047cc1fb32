"""How many models fit the memory at once."""

from __future__ import annotations

import copy

import psutil
import torch
from torch import nn

from companion.training.convolution import MatrixProducts
from companion.training.recipe import Recipe

SHARE = 0.4  # of the free memory; the rest is for what libraries take, and for other workers
MOST = {"cpu": 64, "cuda": 256}  # beyond that nothing is gained (bench: chunk)


def models_that_fit(net: nn.Module, inputs: torch.Tensor, recipe: Recipe, device: torch.device, *, own: int) -> int:
    """Return how many models like `net` can be trained at once on examples like `inputs` (N, ...); at least one.

    `own` is the number of bytes that each model's own examples take.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
    else:
        free = psutil.virtual_memory().available
    weights = sum(weight.numel() * weight.element_size() for weight in net.parameters())
    # Weights, gradients in parts and joined, two states of an optimiser; activations, and their gradients on the way.
    each = 5 * weights + 2 * _kept_for_gradients(net, inputs[: recipe.batch].cpu()) + 8 * len(inputs) + own
    return max(1, min(MOST.get(device.type, 1), int(SHARE * free / each)))


def _kept_for_gradients(net: nn.Module, inputs: torch.Tensor) -> int:
    """Return the bytes that one forward pass keeps, convolutions as matrix products (the thirstier formulation)."""
    kept: dict[int, int] = {}

    def note(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return value

    trial = copy.deepcopy(net).train()
    with MatrixProducts(), torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
        answers = trial(inputs)  # lives until the bytes are counted, so that no address is used twice
        total = sum(kept.values())
        del answers
    return total


def ran_out(error: BaseException) -> bool:
    """Tell whether an error means that the memory did not suffice."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def half(models: int, error: BaseException) -> int:
    """Return half as many models.

    Raises
    ------
    MemoryError
        If it was one model already.
    """
    if models == 1:
        raise MemoryError(f"the memory does not suffice for the training of a single model: {error}") from error
    return models // 2

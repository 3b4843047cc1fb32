"""The method on other tasks: a second network for any that ends in a linear layer, and one answer for every pixel.

Reasonable, section V-A.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from companion.data.canvases import GROUND, PASTED, Canvases, inside
from companion.data.images import Images
from companion.models.segmentation import Segmenter
from companion.reasoning import pairs
from companion.reasoning.experiment import reason_of
from companion.stats.detection import accepting, auroc
from companion.training.evaluation import outputs
from companion.training.one import fit

SCORES = ("softmax", "energy", "distance")
MAPS = ("softmax", "distance")


def built_on(vanilla: nn.Module, reason: nn.Module) -> nn.Module:
    """Let a network start from the weights of another wherever both have a layer of one name and shape, and return it.

    "Net-reasoning architecture is built on vanilla CNN with some hidden layers" (section II-B).
    """
    own = reason.state_dict()
    taken = {name: value for name, value in vanilla.state_dict().items() if name in own}
    reason.load_state_dict(own | {name: value for name, value in taken.items() if value.shape == own[name].shape})
    return reason


def second(
    vanilla: nn.Sequential, reason: nn.Module, train: Images, *, target: str = "weights", seed: int, **settings: Any
) -> pairs.Code:
    """Train a network to predict the net-reasoning of another, by mean squared error.

    Parameters
    ----------
    vanilla : nn.Sequential
        Trained; its last layer is linear. With the target "activations" it has `features`.
    reason : nn.Module
        Trained in place; as many outputs as a vector has numbers.
    train : Images
        Inputs of any kind, and their labels.
    target : str
        Of `experiment.TARGETS`.
    **settings
        Of `fit`: epochs, lr, batch.

    Returns
    -------
    callable
        From images to their net-reasoning vectors.
    """
    code = reason_of(vanilla, target, seed=seed)
    fit(reason, (train.inputs, code(train)), loss=F.mse_loss, optimizer="adam", seed=seed, **settings)
    return code


def understood(
    vanilla: nn.Sequential, reason: nn.Module, code: pairs.Code, held: Images, *, target: str = "weights"
) -> dict[str, float]:
    """Return how much of the net-reasoning of held-out images is predicted, as `pairs.understood` does.

    Activations are no rows: the class they stand for is read by the vanilla network's own last layer. Where it has one
    answer to everything there is nothing to explain, and none of it is explained.
    """
    found = pairs.understood(vanilla, reason, Images(held.inputs, code(held)), held.labels)
    found["explained"] = _explained(found["mse"], found["variance"])
    if target != "activations":
        return found
    read = vanilla[-1](outputs(reason, held.inputs)).argmax(1).cpu()
    answered = outputs(vanilla, held.inputs).argmax(1).cpu()
    own = {"agrees": read == answered, "nearest": read == held.labels}
    return found | {name: same.double().mean().item() for name, same in own.items()}


def told_apart(
    vanilla: nn.Sequential,
    reason: nn.Module,
    code: pairs.Code,
    test: torch.Tensor,
    novel: Mapping[str, torch.Tensor],
    lambdas: Sequence[float] = pairs.LAMBDAS,
) -> dict[str, np.ndarray]:
    """Return how well the scores tell what is known from what is new.

    Parameters
    ----------
    test : Tensor
        Inputs that are known in kind, but were not trained on.
    novel : mapping
        Sets of other inputs.
    lambdas : sequence of float
        Of equation 6.

    Returns
    -------
    dict of array
        Areas under the ROC curve, in the order of `novel`: `auroc` (sets, SCORES) and `by_lambda` (sets, lambdas).
    """

    def measured(inputs: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        both = pairs.parts(vanilla, reason, code, inputs)
        energy = outputs(vanilla, inputs).double().logsumexp(1).cpu().numpy()
        return both, np.stack([-both[0], energy, -both[1]])

    known, scores = measured(test)
    found: dict[str, list[list[float]]] = {"auroc": [], "by_lambda": []}
    for inputs in novel.values():
        both, others = measured(inputs)
        found["auroc"].append([auroc(*pair) for pair in zip(scores, others, strict=True)])
        found["by_lambda"].append([auroc(-pairs.score(known, lam), -pairs.score(both, lam)) for lam in lambdas])
    return {name: np.array(areas) for name, areas in found.items()}


def parted(images: Images, classes: Sequence[int]) -> tuple[Images, torch.Tensor]:
    """Return the images of all classes but some, labelled anew from 0 in the old order, and the inputs of those left.

    Raises
    ------
    ValueError
        If a class is not among the labels.
    """
    known = set(images.labels.unique().tolist())
    if unknown := set(classes) - known:
        raise ValueError(f"the labels are {sorted(known)}; {sorted(unknown)} cannot be left out")
    kept = torch.tensor(sorted(known - set(classes)), device="cpu")
    gone = ~torch.isin(images.labels, kept)
    return Images(images.inputs[~gone], torch.searchsorted(kept, images.labels[~gone])), images.inputs[gone]


def pixel_rows(vanilla: Segmenter) -> torch.Tensor:
    """Return the net-reasoning vectors (classes, WIDTH) of a segmenter: the rows of its last layer."""
    return vanilla.last.weight.detach().flatten(1)


def to_rows(rows: torch.Tensor) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return the mean squared error of vectors (N, K, H, W) from the rows (classes, K) of the classes (N, H, W)."""
    # The classes travel, not the vectors: a canvas of them would take hundreds of kilobytes.
    return lambda said, classes: F.mse_loss(said, rows[classes].movedim(-1, 1))


@torch.no_grad()
def pixel_parts(
    vanilla: Segmenter, reason: Segmenter, inputs: torch.Tensor, *, batch: int = 100
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what two segmenters make of canvases (N, 1, H, W), pixel by pixel, on the CPU.

    Returns
    -------
    answers, nearest : Tensor, shape (N, H, W)
        The class that the first answers, and the one whose row is nearest to what the second says.
    both : Tensor, shape (2, N, H, W)
        The two parts of equation 6: cross-entropy of the answer, and squared distance from its row.
    """
    rows = pixel_rows(vanilla)
    found = []
    for chunk in inputs.split(batch):
        answers = outputs(vanilla, chunk)
        classes = answers.argmax(1)
        said = outputs(reason, chunk).movedim(1, -1)  # (n, H, W, K)
        distance = (said - rows[classes]).square().sum(-1)
        nearest = torch.cdist(said.flatten(0, 2), rows).argmin(1).view_as(classes)
        entropy = -answers.log_softmax(1).amax(1)
        found.append((classes.cpu(), nearest.cpu(), torch.stack([entropy, distance]).cpu()))
    answers, nearest, both = zip(*found, strict=True)
    return torch.cat(answers), torch.cat(nearest), torch.cat(both, 1)


def segmented(vanilla: Segmenter, reason: Segmenter, clean: Canvases) -> dict[str, float]:
    """Return what is understood of canvases with digits only, as shares of pixels.

    Returns
    -------
    dict
        `accuracy` over all pixels, `digits` over those of digits; `agrees`, where the nearest row is that of the
        answer, over the pixels of digits; `mse` and `variance` per number of a row over all pixels, and `explained`.
    """
    answers, nearest, both = pixel_parts(vanilla, reason, clean.inputs)
    rows, ink = pixel_rows(vanilla).cpu(), clean.labels < GROUND
    share = answers.flatten().bincount(minlength=len(rows)) / answers.numel()
    variance = (share @ rows.square() - (share @ rows).square()).mean()
    mse = both[1].mean() / rows.shape[1]
    right = answers == clean.labels
    found = {"accuracy": right.double().mean(), "digits": right[ink].double().mean()}
    found |= {"agrees": (nearest == answers)[ink].double().mean()}
    found |= {"mse": mse, "variance": variance, "explained": _explained(float(mse), float(variance))}
    return {name: float(value) for name, value in found.items()}


def found_pasted(answers: torch.Tensor, both: torch.Tensor, pasted: Canvases) -> dict[str, np.ndarray]:
    """Return how well maps show what was pasted into canvases.

    Parameters
    ----------
    answers, both : Tensor, shapes (N, H, W) and (2, N, H, W)
        Of `pixel_parts`.

    Returns
    -------
    dict of array
        Of shape (PASTED, MAPS): `auroc` of its pixels against those of digits, and `recall`, the share of its boxes
        whose mean is above that of 95 % of the digits' boxes. The mean is over the pixels of a box that are answered as
        digits: over all of them it would tell how full a box is.
    """
    found: dict[str, list[list[float]]] = {"auroc": [], "recall": []}
    inked = (answers < GROUND).float()
    share = inside(inked, pasted.boxes).clamp(min=1e-9)
    means = [inside(one * inked, pasted.boxes) / share for one in both]
    digits = pasted.boxes[:, 1] < GROUND
    for label in PASTED.values():
        own = pasted.boxes[:, 1] == label
        found["auroc"].append([auroc(-one[pasted.labels < GROUND], -one[pasted.labels == label]) for one in both])
        found["recall"].append([(-one[own] < accepting(-one[digits])).double().mean().item() for one in means])
    return {name: np.array(rows) for name, rows in found.items()}


def _explained(mse: float, variance: float) -> float:
    """Return the share of a variance that an error leaves; 0 where there is none but by rounding."""
    return 1 - mse / variance if variance > 1e-9 else 0.0

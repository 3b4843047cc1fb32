"""Whole trials: networks trained and everything asked of them that a notebook of *Reasonable* shows.

Several notebooks tell of the same networks, so a trial answers for all of them and is computed once.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from companion.data.images import Images
from companion.data.novelties import NOVELTIES, blended, novelties
from companion.models.reasoning import DigitCNN, JointReason
from companion.reasoning import pairs
from companion.reasoning.answers import NOISE, decided, probabilities
from companion.reasoning.detection import detectors, judged, told
from companion.reasoning.experiment import KINDS, POOL, Digits, Kind, classifier, digits, noise, reason_of, reasons
from companion.reasoning.probes import probes
from companion.seeds import generator
from companion.stats.detection import auroc, calibration_error
from companion.training.evaluation import outputs
from companion.training.one import fit

SETS = ("digits", *NOVELTIES)
ALPHAS = tuple(step / 10 for step in range(11))  # share of the digit in a blend
FITTED = 5_000  # digits that the Mahalanobis distance is fitted to
SHOWN = 100  # images of each set whose two parts of equation 6 are kept
BETWEEN = ("pixels", "features", "stored vectors", "given vectors")


def examined(
    kind: str, *, seed: int, lr: float, epochs: int, images: int = POOL, tests: int = 2_000, clothing: bool = False
) -> dict[str, Any]:
    """Train a classifier, and ask it about held-out digits, noise, and novelties.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : int
        Of the split, the noise, the weights and the novelties.
    lr, epochs, images
        See `classifier` and `digits`.
    tests : int
        Images in each set of novelties, and as many digits, at most.
    clothing : bool
        Whether there is a set of clothes among them, see `companion.data.clothes`.

    Returns
    -------
    dict of arrays
        The history by its columns; `confusion` (11, 12), counts of held-out digits and as many noise images by what
        they are called, the last column "some digit"; `auroc`, `fpr`, `accepted` and `kept` as `judged` returns them
        for `DETECTORS`; `confident`, `top`, `noise`, `called` and `spread` as `told` returns them for `SETS`;
        `blend_top` and `blend_noise` for blends of digit and noise at `ALPHAS`.

    Raises
    ------
    ValueError
        If the kind is not known.

    Notes
    -----
    Reasonable, section IV-A.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; the kinds are {', '.join(KINDS)}")
    given = digits(seed, images=images)
    net, history = classifier(KINDS[kind], given, seed=seed, lr=lr, epochs=epochs, follow=True)
    result: dict[str, Any] = {name: history[name].to_numpy() for name in history.columns.drop(["epoch", "lr"])}
    result["confusion"] = _confusion(net, KINDS[kind], given, seed)
    inside, validation = given.test.inputs[:tests], given.validation.inputs[:tests]
    sets = novelties(inside, seed=seed, clothing=clothing)
    found = detectors(net, given.train.inputs[:FITTED], given.train.labels[:FITTED])
    right = decided(outputs(net, inside)).cpu() == given.test.labels[:tests]
    result |= judged(found, validation, inside, sets, right=right.numpy())
    answered = told(net, {"digits": inside, **sets})
    places = [SETS.index(name) for name in ("digits", *sets)]
    for name, values in answered.items():
        result[name] = np.full((len(SETS), *values.shape[1:]), np.nan, np.float32)
        result[name][places] = values
    blends = told(net, dict(enumerate(blended(inside[:500], ALPHAS, seed=seed))))
    return result | {"blend_top": blends["top"], "blend_noise": blends["noise"]}


def paired(
    target: str, *, seed: int, lr: float, epochs: int, images: int = POOL, tests: int = 2_000, clothing: bool = False
) -> dict[str, Any]:
    """Train a vanilla network and the network of its net-reasoning, and ask them about digits and novelties.

    Parameters
    ----------
    target : str
        One of `companion.reasoning.TARGETS`.
    seed, lr, epochs, images, tests, clothing
        See `examined`; both networks are trained alike.

    Returns
    -------
    dict of numbers and arrays
        `vanilla_loss`, `vanilla_test`, `vanilla_accuracy`, `reason_loss` and `reason_test` after every epoch; what
        `understood` returns; `rows` (10, 256), the vanilla network's stored vectors; `centroids` (10, 256), the mean
        vector that the second network gives to each digit; `purity` and `between` (4,), see
        `companion.reasoning.pairs`, of the spaces `BETWEEN`: pixels, the vanilla network's features, the vectors that
        it stores for its answers, and those that the second network gives; `queries` (10,) and `near` (2, 10, 5),
        places among the test digits of one of each class and of its nearest others by pixels and by given vectors;
        what `swept` returns; `parts` (SETS, 2, SHOWN), the two parts of equation 6, and `distances` (SETS,), the mean
        of the second; `softmax` (NOVELTIES,), the area under the ROC curve of the vanilla network's largest
        probability; `probes` (2, 17), the two parts for the single images.

    Notes
    -----
    Reasonable, sections II-B and IV-B.
    """
    given = digits(seed, images=images)
    vanilla, first = classifier(KINDS["vanilla"], given, seed=seed, lr=lr, epochs=epochs, follow=True)
    reason, second, held = reasons(vanilla, given, target=target, seed=seed, lr=lr, epochs=epochs)
    result: dict[str, Any] = {
        "vanilla_loss": first["loss"].to_numpy(),
        "vanilla_test": first["test"].to_numpy(),
        "vanilla_accuracy": first["accuracy"].to_numpy(),
        "reason_loss": second["loss"].to_numpy(),
        "reason_test": second["test"].to_numpy(),
        "rows": vanilla[-1].weight.detach().cpu().numpy(),
    }
    result |= pairs.understood(vanilla, reason, held, given.held.labels)
    result |= _geometry(vanilla, reason, Images(given.test.inputs[:tests], given.test.labels[:tests]))
    # The true label is not known of a novelty: the class predicted stands in for it.
    code = reason_of(vanilla, "weights" if target == "weights of the label" else target, seed=seed)
    measure = functools.partial(pairs.parts, vanilla, reason, code)
    inside = given.test.inputs[:tests]
    sets = novelties(inside, seed=seed, clothing=clothing)
    result |= pairs.swept(measure, given.validation.inputs[:tests], inside, sets)
    result["parts"] = np.full((len(SETS), 2, SHOWN), np.nan, np.float32)
    result["distances"], result["softmax"] = np.full(len(SETS), np.nan), np.full(len(NOVELTIES), np.nan)
    for name, some in {"digits": inside, **sets}.items():
        both, place = measure(some), SETS.index(name)
        shown = both[:, :SHOWN]
        result["parts"][place, :, : shown.shape[1]] = shown
        result["distances"][place] = both[1].mean()
        if name != "digits":
            result["softmax"][place - 1] = auroc(*(_largest(vanilla, one) for one in (inside, some)))
    result["probes"] = measure(torch.stack([probe.image for probe in probes(given.test, seed=seed)]))
    return result


def joint(
    lam: float, detached: bool, *, seed: int, lr: float, epochs: int, images: int = POOL, tests: int = 2_000
) -> dict[str, Any]:
    """Train classifier and net-reasoning on one trunk, by equation 6, and ask what lambda does to them.

    Parameters
    ----------
    lam : float
        Weight of the squared distance, summed over the 256 components.
    detached : bool
        See `JointReason`.
    seed, lr, epochs, images, tests
        See `examined`.

    Returns
    -------
    dict of numbers and arrays
        On held-out digits: `accuracy`, `calibration` (expected calibration error), `distance` (mean squared). `norm`,
        the Euclidean norm of all weights, and `row_norm`, that of the classifier's rows. `softmax` and `score`
        (NOVELTIES,), areas under the ROC curve of the largest probability and of equation 6 with this lambda.

    Notes
    -----
    Reasonable, equation 6, with a shared trunk.
    """
    given = digits(seed, images=images)
    net = JointReason(seed=seed, detached=detached)

    def functional(answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(answers[:, :10], labels) + lam * (answers[:, 10:] ** 2).sum(1).mean()

    fit(net, given.train, epochs=epochs, lr=lr, optimizer="adam", batch=64, loss=functional, seed=seed)
    inside, labels = given.test.inputs[:tests], given.test.labels[:tests]

    def measure(images: torch.Tensor) -> np.ndarray:
        answers = outputs(net, images).double()
        both = [-answers[:, :10].log_softmax(1).amax(1), (answers[:, 10:] ** 2).sum(1)]
        return torch.stack(both).cpu().numpy()

    known = measure(inside)
    right = (outputs(net, inside)[:, :10].argmax(1).cpu() == labels).double().numpy()
    areas = {"softmax": np.full(len(NOVELTIES), np.nan), "score": np.full(len(NOVELTIES), np.nan)}
    for name, some in novelties(inside, seed=seed).items():
        both = measure(some)
        areas["softmax"][NOVELTIES.index(name)] = auroc(-known[0], -both[0])
        areas["score"][NOVELTIES.index(name)] = auroc(-pairs.score(known, lam), -pairs.score(both, lam))
    weights = torch.cat([weight.detach().flatten() for weight in net.parameters()])
    return areas | {
        "accuracy": right.mean(),
        "calibration": calibration_error(np.exp(-known[0]), right),
        "distance": known[1].mean(),
        "norm": weights.norm().item(),
        "row_norm": net.classifier[-1].weight.detach().norm().item(),
    }


def disagreement(*, seed: int, lr: float, epochs: int, images: int = POOL, tests: int = 2_000) -> dict[str, Any]:
    """Train two vanilla networks apart, and score images by how little the second thinks of the first's answer.

    Parameters
    ----------
    seed, lr, epochs, images, tests
        See `examined`; the second network has weights and data order of its own.

    Returns
    -------
    dict of arrays
        `auroc` (NOVELTIES,): digits against novelties.

    Notes
    -----
    The control for the distance of equation 6, which is such a disagreement, too: an ensemble of two.
    """
    given = digits(seed, images=images)
    nets = [classifier(KINDS["vanilla"], given, seed=one, lr=lr, epochs=epochs)[0] for one in (seed, seed + 1_000)]
    inside = given.test.inputs[:tests]

    def score(images: torch.Tensor) -> np.ndarray:
        first, second = (outputs(net, images).double() for net in nets)
        return second.log_softmax(1).gather(1, first.argmax(1, keepdim=True))[:, 0].cpu().numpy()

    areas = np.full(len(NOVELTIES), np.nan)
    for name, some in novelties(inside, seed=seed).items():
        areas[NOVELTIES.index(name)] = auroc(score(inside), score(some))
    return {"auroc": areas}


def left_out(without: tuple[int, ...], *, seed: int, lr: float, epochs: int, images: int = POOL) -> dict[str, float]:
    """Train the three networks without some digits, and see whether they tell these from the others.

    Parameters
    ----------
    without : tuple of int
        The classes that are not trained on.
    seed, lr, epochs, images
        See `examined`.

    Returns
    -------
    dict of numbers
        `called_noise`, the share of the left-out digits' test images that ReasonNet sends to the noise label, and
        `noise_elsewhere`, that of the others'; `distance` and `distance_elsewhere`, the mean squared distance of
        equation 6 for both; the area under the ROC curve (trained digits against the left-out ones) of the vanilla
        network's `softmax`, `energy` and `Mahalanobis`, of ReasonNet's `reasonnet`, and of equation 6 with lambda 10,
        `reasonable`.

    Notes
    -----
    Reasonable, section II-B: "class, that was not trained on".
    """
    given = digits(seed, images=images, without=without)
    other = torch.isin(given.test.labels, torch.tensor(without, device="cpu"))
    known, novel = given.test.inputs[~other], given.test.inputs[other]
    settings = dict(seed=seed, lr=lr, epochs=epochs)
    vanilla, _ = classifier(KINDS["vanilla"], given, **settings)
    reasonnet, _ = classifier(KINDS["ReasonNet"], given, **settings)
    reason, _, _ = reasons(vanilla, given, **settings)
    scores = detectors(vanilla, given.train.inputs[:FITTED], given.train.labels[:FITTED])
    areas = {name: auroc(scores[name](known), scores[name](novel)) for name in ("softmax", "energy", "Mahalanobis")}
    measure = functools.partial(pairs.parts, vanilla, reason, reason_of(vanilla, "weights", seed=seed))
    here, there = measure(known), measure(novel)
    answers = outputs(reasonnet, known), outputs(reasonnet, novel)
    called = [(decided(some) == NOISE).double().mean().item() for some in answers]
    return areas | {
        "reasonnet": auroc(*(1 - probabilities(some)[:, NOISE].cpu().numpy() for some in answers)),
        "reasonable": auroc(-pairs.score(here, 10.0), -pairs.score(there, 10.0)),
        "called_noise": called[1],
        "noise_elsewhere": called[0],
        "distance": float(there[1].mean()),
        "distance_elsewhere": float(here[1].mean()),
    }


def _confusion(net: DigitCNN, kind: Kind, given: Digits, seed: int) -> np.ndarray:
    """Count what held-out digits and as many noise images of the kind's own law are called."""
    inputs, labels = given.held
    fresh = noise(kind.noise, inputs, len(inputs), generator(seed, "points"))
    truth = torch.cat([labels, torch.full_like(labels, NOISE)])
    # The answer "some digit", -1, has the last column.
    answers = torch.cat([decided(outputs(net, part)).cpu() for part in (inputs, fresh)]) % 12
    return np.bincount((truth * 12 + answers).numpy(), minlength=132).reshape(11, 12)


def _largest(net: DigitCNN, images: torch.Tensor) -> np.ndarray:
    """Return the largest probability of a digit."""
    return probabilities(outputs(net, images))[:, :10].amax(1).cpu().numpy()


def _geometry(vanilla: DigitCNN, reason: DigitCNN, test: Images) -> dict[str, np.ndarray]:
    """Describe how test digits lie in pixels, features and net-reasoning vectors."""
    labels = test.labels.numpy()
    given = outputs(reason, test.inputs).double().cpu().numpy()
    stored = reason_of(vanilla, "weights", seed=0)(test).double().cpu().numpy()
    pixels = test.inputs.flatten(1).double().numpy() / 255
    features = outputs(vanilla.features, test.inputs).double().cpu().numpy()
    spaces = [pixels, features, stored, given]
    queries = [int((labels == digit).argmax()) for digit in range(10)]
    return {
        "centroids": pd.DataFrame(given).groupby(labels).mean().reindex(range(10)).to_numpy(np.float32),
        "purity": np.array([pairs.purity(space, labels) for space in spaces]),
        "between": np.array([pairs.between(space, labels) for space in spaces]),
        "queries": np.array(queries),
        "near": np.stack([pairs.neighbours(space, queries) for space in (pixels, given)]),
    }

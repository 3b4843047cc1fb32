"""The rotating autoencoder: its variants, trained, and all that is asked of one (source `invariants`)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from companion.data.images import Images
from companion.invariance import curves, identity
from companion.invariance.adversarial import fit_adversarial, uprights
from companion.invariance.poses import HELD_BACK, Turns, errors, pairs, reconstruction_loss, scaled
from companion.invariance.turns import Detour, RawTurns
from companion.models.autoencoders import PosedAutoencoder
from companion.models.critic import Critic
from companion.seeds import generator
from companion.training.drawn import fit_drawn
from companion.training.evaluation import probabilities
from companion.training.rmsprop import RMSProp

CODE = 10
RATE = 1e-3
PICTURED = tuple(float(angle) for angle in range(-180, 180, 18))  # angles of the article's grids
GRID = (3, 5, 4, 9)  # its digits
SAMPLED = (0.0, 90.0, 180.0)  # angles at which random codes are drawn
NEAR, FAR = 18.0, -144.0  # angles in and far outside the range of the held-back digits, where targets are blurred


class Variant(NamedTuple):
    """What sets a model apart: a decoder twice as wide as the encoder, the angle told as it is, a critic's penalty."""

    wide: bool = False
    raw: bool = False
    penalty: str | None = None


VARIANTS = {
    "vanilla": Variant(wide=True),
    "vanilla, mirrored": Variant(),
    "vanilla, raw angle": Variant(raw=True),
    "adversarial": Variant(penalty="as coded"),
    "adversarial, corrected": Variant(penalty="per sample"),
}


class Size(NamedTuple):
    """Maps of the encoder, units of the dense layers and of the critic's; as published by default."""

    maps: tuple[int, int] = (64, 128)
    dense: int = 1024
    critic: int = 1024


class Trained(NamedTuple):
    """A trained model, how it is told angles, and milestones of its training (a critic's are NaN without one)."""

    net: PosedAutoencoder
    turns: Turns
    history: np.ndarray


MILESTONES = ("step", "loss", "distance", "slope")


def build(model: str, *, seed: int, size: Size = Size()) -> PosedAutoencoder:  # noqa: B008
    """Return the untrained autoencoder of a variant.

    Raises
    ------
    ValueError
        If there is no variant of that name.
    """
    if model not in VARIANTS:
        raise ValueError(f"unknown variant {model!r}; the variants are {', '.join(VARIANTS)}")
    first, second = size.maps
    decoder = (2 * second, 2 * first) if VARIANTS[model].wide else (second, first)
    told = 1 if VARIANTS[model].raw else 2
    return PosedAutoencoder(
        seed=seed, code=CODE, pose=told, encoder_maps=size.maps, decoder_maps=decoder, dense=size.dense
    )


def train(
    model: str, digits: Images, *, seed: int, steps: int, batch: int, size: Size = Size(), alphas: int = 8,  # noqa: B008
    lr: float = RATE, checkpoint: str | Path | None = None,
) -> Trained:  # fmt: skip
    """Train a variant on digits in the article's turns, with RMSProp, on PyTorch's default device.

    Parameters
    ----------
    model : str
        One of `VARIANTS`.
    digits : Images
        Training images: stored bytes and labels.
    seed, steps, batch : int
        Of the training.
    alphas : int
        Mixing weights of a penalty as coded.
    lr : float
        Of every optimiser; 0.001 in the source.

    Returns
    -------
    Trained
        Its history has ten rows or fewer, with the columns `MILESTONES`.
    """
    variant, device = VARIANTS[model], torch.get_default_device()
    net, turns = build(model, seed=seed, size=size), RawTurns() if variant.raw else Turns()
    draw = pairs(digits, turns, batch=batch, device=device)
    common = dict(seed=seed, steps=steps, measure_at=range(max(1, steps // 10), steps, max(1, steps // 10)))
    if variant.penalty is None:
        rows = fit_drawn(
            net, draw, reconstruction_loss, updates=partial(RMSProp, lr=lr), checkpoint=checkpoint, **common
        )
    else:
        critic = Critic(seed=seed, code=CODE, dense=size.critic)
        rows = fit_adversarial(
            net, critic, draw, uprights(digits, batch=batch, device=device), kind=variant.penalty, alphas=alphas,
            lr=lr, checkpoint=checkpoint, **common,
        )  # fmt: skip
    return Trained(net, turns, rows.reindex(columns=MILESTONES).to_numpy())


@torch.no_grad()
def examine(
    trained: Trained, tests: Images, examples: Images, judge: identity.Judge, *, adversarial: bool, step: float,
    pictures: int, samples: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Ask everything of a trained model that the notebook shows.

    Parameters
    ----------
    trained : Trained
        The model.
    tests, examples : Images
        Test images to average over, in MNIST's order; training images among which nearest ones are looked for.
    judge : Judge
        Reads drawings that are turned back.
    adversarial : bool
        Whether random codes are drawn from the prior; else from the range of the codes of `tests`.
    step : float
        Degrees between the angles of the error curve.
    pictures, samples : int
        Images of each digit whose drawings are kept; random codes.
    seed : int
        Of the random codes.

    Returns
    -------
    dict of arrays
        curve (P, 10): errors by angle and digit. detour (P,): the mean of the digits that are not held back, against
        images that were turned by a detour. read, expected (20, 10, 10): counts of angle, digit, digit read.
        drawings (4, pictures, 20, 28, 28): bytes of `GRID` at `PICTURED`. codes (200, 10). random (3, 8, 28, 28):
        bytes of drawings of random codes at `SAMPLED`. sure, sure_drawn: mean confidence of the judge in such at 0
        degrees, and in drawings of `tests`. near, far: see `_beside`. nearest (2, pictures, 28, 28): bytes of the
        images seen nearest to drawings of the held-back digits at `FAR`. judge: its accuracy.
    """
    net, turns, _ = trained
    device = next(net.parameters()).device
    settings = torch.tensor(curves.angles(step), dtype=torch.float32, device="cpu")
    curve, detour = (
        curves.mean_by_digit(errors(net, tests.inputs, settings, way), tests.labels) for way in (turns, Detour(turns))
    )
    pictured = torch.tensor(PICTURED, device="cpu")
    read, expected = identity.readings(net, judge.net, tests, pictured, turns)
    shown = firsts(tests, pictures)
    upright = scaled(torch.cat([shown[digit] for digit in GRID]).to(device))
    several = pictured.to(device).repeat(len(upright))
    drawings = net(upright.repeat_interleave(len(pictured), 0), turns.code(several))
    codes = net.encode(scaled(tests.inputs[: max(1000, samples)].to(device)))
    random = torch.rand(samples, CODE, generator=generator(seed, "points"), device="cpu").to(device)
    low, high = (-1.0, 1.0) if adversarial else (codes.amin(0), codes.amax(0))
    random = low + (high - low) * random
    sampled = [net.decode(random, turns.code(torch.full((samples,), angle, device=device))) for angle in SAMPLED]
    again = net.decode(codes, turns.code(torch.zeros(len(codes), device=device)))
    far, nearest = _beside(trained, tests, examples, FAR, pictures)
    return dict(
        curve=curve.astype(np.float32),
        detour=np.delete(detour, HELD_BACK, axis=1).mean(1).astype(np.float32),
        read=read.numpy(),
        expected=expected.numpy(),
        drawings=_bytes(drawings).reshape(len(GRID), pictures, len(PICTURED), 28, 28),
        codes=codes[:200].cpu().numpy(),
        random=np.stack([_bytes(some[:8])[:, 0] for some in sampled]),
        sure=_confidence(judge, sampled[0]),
        sure_drawn=_confidence(judge, again),
        near=_beside(trained, tests, examples, NEAR, pictures)[0],
        far=far,
        nearest=nearest,
        judge=judge.accuracy,
    )


def firsts(digits: Images, count: int) -> dict[int, torch.Tensor]:
    """Return the first images of each digit, (count, 1, 28, 28) stored bytes.

    Raises
    ------
    ValueError
        If there are not as many.
    """
    found = {digit: digits.inputs[digits.labels == digit][:count] for digit in range(10)}
    if short := [str(digit) for digit, images in found.items() if len(images) < count]:
        raise ValueError(f"{count} images of each digit are asked for, and there are fewer of {', '.join(short)}")
    return found


def turned(images: torch.Tensor, angles: tuple[float, ...] = PICTURED) -> np.ndarray:
    """Return stored images (N, 1, 28, 28) as they are expected at each angle: bytes (N, angles, 28, 28)."""
    several = torch.tensor(angles, device=images.device).repeat(len(images))
    return _bytes(Turns().apply(scaled(images).repeat_interleave(len(angles), 0), several)).reshape(
        len(images), len(angles), 28, 28
    )


def _beside(
    trained: Trained, tests: Images, examples: Images, angle: float, pictures: int, most: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """Set drawings at an angle beside what was seen at it.

    Returns
    -------
    summary : array, shape (3, 3)
        A row for 4, for 9 and for the others: mean error against the nearest image seen, against the expected one, and
        the share that is nearer to the first. Of the first `most` images of each.
    nearest : array, shape (2, pictures, 28, 28)
        Bytes: the images seen nearest to the first drawings of 4 and of 9.
    """
    rows, seen = [], []
    held = torch.isin(tests.labels, torch.tensor(HELD_BACK, device=tests.labels.device))
    for chosen in (*(tests.labels == digit for digit in HELD_BACK), ~held):
        found = identity.nearest_seen(trained.net, tests.inputs[chosen][:most], angle, examples, trained.turns)
        rows.append((found.seen.mean(), found.expected.mean(), (found.seen < found.expected).mean()))
        seen.append(turned(examples.inputs[found.index[:pictures]], (angle,))[:, 0])
    return np.array(rows), np.stack(seen[:2])


def _confidence(judge: identity.Judge, upright: torch.Tensor) -> float:
    """Return the mean greatest probability that the judge gives to any digit."""
    return float(probabilities(judge.net, (upright + 1) / 2).amax(1).mean())


def _bytes(pictures: torch.Tensor) -> np.ndarray:
    """Return pictures in [-1, 1] as bytes in steps of 15: few shades make small files."""
    return (((pictures + 1) * 8.5).round().clamp(0, 17) * 15).to(torch.uint8).cpu().numpy()

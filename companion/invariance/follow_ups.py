"""What the authors tried after the article: wider codes, other ranges, generative capsules, second-order networks.

Source `invariants`, the authors' repository (`baseline/autoencoders2`, `gencaps_net`, `hypernets`): code, scores and
pictures, and in none of their texts. One `Design` for each, trained and measured by `study`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from companion.data.images import Images, mnist
from companion.invariance.adversarial import fit_adversarial, uprights
from companion.invariance.curves import mean_by_digit
from companion.invariance.other_poses import AffineMaps, SteppedTurns
from companion.invariance.poses import (
    AtPose,
    Poses,
    Shifts,
    Turns,
    drawing_error,
    errors,
    pairs,
    reconstruction_loss,
    scaled,
)
from companion.models.autoencoders import PosedAutoencoder
from companion.models.critic import Critic
from companion.models.generative_capsules import GenerativeCapsules
from companion.models.second_order import ControlledCode, PixelMatrix, Readdressed
from companion.seeds import generator
from companion.training.drawn import fit_drawn
from companion.training.rmsprop import RMSProp

ANGLES = np.arange(-100, 100) * 18 / 10  # degrees: the published curves
SHIFTS = np.arange(-20, 20, 2)  # pixels along both axes: the published curves
DRAWN = {"turns": np.arange(-180, 180, 18), "shifts": np.arange(-20, 20, 4)}  # poses of the pictures that are kept
SHOWN = (4, 9, 7)  # digits of these pictures, the first test image of each
WIDE = 68  # pixels a side of a canvas for shifts
BATCH = 200  # images at a time in tests: some networks compute a matrix for each


def autoencoder(
    seed: int, width: float, *, code: int = 10, pose: int = 2, maps: tuple[int, int] = (256, 128), canvas: int = 28
) -> PosedAutoencoder:
    """Return the authors' autoencoder, every layer but the code `width` as wide."""
    narrow = partial(_narrow, width=width)
    return PosedAutoencoder(
        seed=seed,
        code=code,
        pose=pose,
        encoder_maps=(narrow(64), narrow(128)),
        decoder_maps=(narrow(maps[0]), narrow(maps[1])),
        dense=narrow(1024),
        canvas=canvas,
    )


def capsules(
    seed: int, width: float, *, kind: str = "continuous", number: int = 128, hidden: int = 1024, maps: int = 32,
    drawn_maps: int = 32, **rest: Any,
) -> GenerativeCapsules:  # fmt: skip
    """Return the authors' generative capsules, the encoder `width` as wide.

    The decoder keeps at least 512 units, 64 capsules and 16 maps, where it has as many: with less it learns next to
    nothing in the time a laptop has. The 20 capsules of the kind "digits" stay.
    """
    narrow = partial(_narrow, width=width)
    return GenerativeCapsules(
        seed=seed,
        kind=kind,
        encoder_maps=(narrow(64), narrow(128)),
        dense=narrow(1024),
        hidden=max(min(hidden, 512), narrow(hidden)),
        capsules=max(min(number, 64), narrow(number)),
        maps=max(16, narrow(maps)),
        drawn_maps=max(8, narrow(drawn_maps)),
        **rest,
    )


def pixel_matrix(seed: int, width: float, *, side: int, pose: int = 2) -> PixelMatrix:
    """Return the network that multiplies pixels by a matrix; it has nothing to be narrowed but the image."""
    return PixelMatrix(seed=seed, pose=pose, side=side)


def readdressed(seed: int, width: float) -> Readdressed:
    """Return the network that re-addresses a feature map; small as it is."""
    return Readdressed(seed=seed)


def controlled(seed: int, width: float, *, pose: int) -> ControlledCode:
    """Return the autoencoder with a matrix in its middle, its code `width` as wide."""
    return ControlledCode(seed=seed, pose=pose, code=_narrow(200, width))


@dataclass(frozen=True)
class Design:
    """One of the authors' further experiments.

    Attributes
    ----------
    build : callable
        Maps a seed and a width to the network; to a network for coarser images, if it takes a `side`.
    poses : Poses
        What is drawn, and from which range it is trained.
    adam : bool
        Whether the optimiser is Adam; else RMSProp.
    longer : int
        Times as many steps as the others.
    undo : bool
        Whether the posed image is given, the pose is not told, and the upright image is wanted.
    critic : bool
        Whether a critic pulls the codes towards a uniform prior, as in the article's adversarial autoencoder.
    coarse : bool
        Whether the network can be built for coarser images.
    """

    build: Callable[..., nn.Module]
    poses: Poses
    adam: bool = False
    longer: int = 1
    undo: bool = False
    critic: bool = False
    coarse: bool = False

    @property
    def moves(self) -> str:
        """Tell which poses these are: turns, shifts or maps."""
        return {Turns: "turns", SteppedTurns: "turns", Shifts: "shifts", AffineMaps: "maps"}[type(self.poses)]


TURNS, SHIFTED = Turns(), Shifts()
ONE_ANGLE = Turns(within=(18.0, 18.0))
HALF = Turns(within=(-90.0, 90.0), others=(-90.0, 90.0))
CODES = (2, 5, 10, 20, 50, 128)
DIGITS = dict(kind="digits", code=20, number=20)

DESIGNS = {f"ae_z{code}": Design(partial(autoencoder, code=code), TURNS) for code in CODES}
DESIGNS |= {
    "ae_shift": Design(partial(autoencoder, canvas=WIDE), SHIFTED),  # the article's own, to compare with
    "ae_z20_single": Design(partial(autoencoder, code=20), ONE_ANGLE),
    "ae_half": Design(autoencoder, HALF),
    "ae_halfshift": Design(partial(autoencoder, canvas=WIDE), Shifts(within=(-10, 9), others=(-10, 9))),
    "gc_addr_r49": Design(partial(capsules, kind="address", maps=128, drawn_maps=64), TURNS),
    "gc_digits_r49": Design(partial(capsules, **DIGITS), TURNS),
    "gc_cont_rs49": Design(partial(capsules, code=20, maps=128, drawn_maps=64), ONE_ANGLE),
    "gc_digits_rs49": Design(partial(capsules, **DIGITS), ONE_ANGLE),
    "gc_cont_half": Design(partial(capsules, hidden=128), HALF),
    "gc_cont_s49": Design(partial(capsules, drawn_maps=16, canvas=WIDE, slope=0.1), SHIFTED),
    "gc_digits_s49": Design(partial(capsules, canvas=WIDE, **DIGITS), SHIFTED),
    "hn_simple": Design(pixel_matrix, SteppedTurns(), adam=True, coarse=True),
    "hn_simple_all": Design(pixel_matrix, TURNS, adam=True, coarse=True),
    "hn_address": Design(readdressed, SteppedTurns(), adam=True),
    "hn_comp_basic": Design(partial(pixel_matrix, pose=0), TURNS, adam=True, longer=2, undo=True, coarse=True),
    "hn_comp_conv": Design(partial(controlled, pose=0), TURNS, adam=True, longer=2, undo=True),
    "hn_comp_base": Design(partial(autoencoder, pose=0, maps=(128, 64)), TURNS, undo=True, critic=True),
    "hn_affine_conv": Design(partial(controlled, pose=6), AffineMaps(), adam=True, longer=2),
    "hn_affine_base": Design(partial(autoencoder, pose=6, maps=(128, 64)), AffineMaps(), critic=True),
}


def study(
    name: str,
    *,
    seed: int,
    width: float = 1.0,
    side: int = 28,
    steps: int = 100_000,
    batch: int = 128,
    lr: float = 1e-3,
    tests: int | None = None,
    every: int = 1,
    checkpoint: str | None = None,
) -> dict[str, Any]:
    """Train one of the `DESIGNS` and measure it on test images; the defaults are the authors' sizes.

    Parameters
    ----------
    name : str
        Of the design.
    seed : int
        Of weights, batches and poses.
    width : float
        Of the layers, as a share of the authors'.
    side : int
        Pixels a side for the networks that multiply pixels by a matrix.
    steps, batch : int
        Of the training.
    lr : float
        Learning rate. An output of narrow layers moves less in a step: a larger rate makes up for it.
    tests : int, optional
        Test images of each digit that the error is measured on; all by default.
    every : int
        Which of the published 200 angles are measured: every so many.
    checkpoint : str, optional
        Where the state of the training is kept.

    Returns
    -------
    dict
        `loss`, the mean training loss since the middle of the training; `errors`, mean squared error per pixel of every
        digit, (poses, 10), for turns and diagonal shifts; `drawn`, pictures in bytes of `SHOWN` digits in `DRAWN`
        poses. For affine maps, one drawn for each test image: `errors` and `left` (10,), the latter of leaving the
        image as it is, and `drawn` (3, 10, 28, 28), the first image of each digit as it is given, wanted and drawn.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name not in DESIGNS:
        raise ValueError(f"unknown design {name!r}; the designs are {', '.join(DESIGNS)}")
    design = DESIGNS[name]
    size = side if design.coarse else 28
    net = design.build(seed, width, side=side) if design.coarse else design.build(seed, width)
    device = torch.get_default_device()
    draw = pairs(coarse(mnist("train"), size), design.poses, batch=batch, device=device)
    draw = _undoing(draw) if design.undo else draw
    steps = steps * design.longer
    settings = dict(seed=seed, steps=steps, measure_at=(max(1, steps // 2),), checkpoint=checkpoint)
    if design.critic:
        critic = Critic(seed=seed, dense=_narrow(1024, width))
        upright = uprights(mnist("train"), batch=batch, device=device)
        history = fit_adversarial(net, critic, draw, upright, kind="as coded", lr=lr, **settings)
    else:
        updates = partial(torch.optim.Adam if design.adam else RMSProp, lr=lr)
        history = fit_drawn(net, draw, reconstruction_loss, updates=updates, **settings)
    digits = first_of_each(coarse(mnist("test"), size), tests)
    shown = first_of_each(digits, 1).inputs[list(SHOWN)]
    result = dict(loss=float(history["loss"].iloc[-1]))
    if design.moves == "maps":
        return result | _mapped(net, digits, design.poses, seed=seed)
    table = settings_of(design.moves, every)
    measure = restoring_error if design.undo else drawing_error
    every_image = errors(net, digits.inputs, table, design.poses, measure=measure, batch=BATCH)
    found = mean_by_digit(every_image, digits.labels)
    pictures = _pictures(net, shown, settings_of(design.moves), design)
    return result | dict(errors=found.astype(np.float32), drawn=pictures)


def settings_of(moves: str, every: int | None = None) -> torch.Tensor:
    """Return the poses that are measured, `every` so many of the published angles, or those that are drawn if None.

    Angles (P,) or shifts (P, 2), on the CPU; shifts are diagonal and never thinned out.
    """
    if moves == "turns":
        return torch.tensor(ANGLES[::every] if every else DRAWN[moves], dtype=torch.float32, device="cpu")
    along = torch.tensor(SHIFTS if every else DRAWN[moves], device="cpu")
    return torch.stack([along, along], 1)


def coarse(digits: Images, side: int) -> Images:
    """Return digits of `side` pixels a side, each the mean of the pixels that it covers; as they are for 28."""
    if side == digits.inputs.shape[-1]:
        return digits
    return Images(F.adaptive_avg_pool2d(digits.inputs.float(), side).round().to(torch.uint8), digits.labels)


def first_of_each(digits: Images, n: int | None) -> Images:
    """Return the first `n` images of every digit, digit by digit in ascending order; all images if None."""
    if n is None:
        return digits
    places = torch.cat([(digits.labels == digit).nonzero()[:n, 0] for digit in range(10)])
    return Images(digits.inputs[places], digits.labels[places])


def restoring_error(net: nn.Module, upright: torch.Tensor, poses: Poses) -> AtPose:
    """Return the mean squared error per pixel of upright images (N, 1, H, W) as `net` restores them, pose by pose.

    `net` maps posed images, and no pose, to upright ones.
    """
    return lambda given: (_restored(net, upright, given, poses) - upright).square().mean((1, 2, 3))


def _restored(net: nn.Module, upright: torch.Tensor, given: torch.Tensor, poses: Poses) -> torch.Tensor:
    """Return what `net` makes of upright images that were put into a pose each."""
    return net(poses.apply(upright, given), upright.new_empty(len(upright), 0))


def _undoing(draw: Callable[..., tuple[torch.Tensor, ...]]) -> Callable[..., tuple[torch.Tensor, ...]]:
    """Return what draws the same batches as the opposite task: the posed image is given, the upright one wanted."""

    def drawn(order: torch.Generator, augmentation: torch.Generator) -> tuple[torch.Tensor, ...]:
        upright, codes, posed = draw(order, augmentation)
        return posed, codes[:, :0], upright

    return drawn


@torch.no_grad()
def _mapped(net: nn.Module, digits: Images, poses: AffineMaps, *, seed: int) -> dict[str, np.ndarray]:
    """Measure `net` on one map for each image."""
    device = next(net.parameters()).device
    drawn = poses.draw(digits.labels.cpu(), generator(seed, "points")).to(device)
    found, pictures = [], []
    for inputs, maps in zip(digits.inputs.split(BATCH), drawn.split(BATCH), strict=True):
        upright = scaled(inputs.to(device))
        wanted, made = poses.apply(upright, maps), net(upright, poses.code(maps))
        found.append((torch.stack([made, upright]) - wanted).square().mean((2, 3, 4)))
        pictures.append(torch.stack([upright, wanted, made])[:, :, 0])
    by_digit = mean_by_digit(torch.cat(found, 1), digits.labels)
    each = [int((digits.labels == digit).nonzero()[0]) for digit in range(10)]
    return dict(errors=by_digit[0], left=by_digit[1], drawn=in_bytes(torch.cat(pictures, 1)[:, each]))


@torch.no_grad()
def _pictures(net: nn.Module, inputs: torch.Tensor, settings: torch.Tensor, design: Design) -> np.ndarray:
    """Return what `net` draws of images (D, 1, H, W) in poses (P, ...): bytes (D, P, H, W)."""
    device = next(net.parameters()).device
    upright = scaled(inputs.to(device))
    rows = []
    for setting in settings.to(device):
        one = setting.expand(len(upright), *setting.shape)
        rows.append(_restored(net, upright, one, design.poses) if design.undo else net(upright, design.poses.code(one)))
    return in_bytes(torch.stack(rows, 1)[:, :, 0])


def expected_pictures(moves: str, side: int = 28, settings: torch.Tensor | None = None) -> np.ndarray:
    """Return what should be drawn of `SHOWN` digits: bytes (digits, poses, H, W).

    Parameters
    ----------
    moves : {"turns", "shifts"}
        What the poses are.
    side : int
        Pixels a side of the upright digits.
    settings : Tensor, optional
        The poses; those of `DRAWN` if not given.
    """
    with torch.device("cpu"):
        upright = scaled(first_of_each(coarse(mnist("test"), side), 1).inputs[list(SHOWN)])
        poses, settings = (TURNS if moves == "turns" else SHIFTED), settings_of(moves) if settings is None else settings
        rows = [poses.apply(upright, one.expand(len(upright), *one.shape)) for one in settings]
        return in_bytes(torch.stack(rows, 1)[:, :, 0])


def in_bytes(images: torch.Tensor) -> np.ndarray:
    """Return images in [-1, 1] as bytes in steps of eight: files of drawings stay small."""
    return (((images.clamp(-1, 1) + 1) * 15.9375).round() * 8).clamp(max=255).to(torch.uint8).cpu().numpy()


def _narrow(units: int, width: float) -> int:
    """Return a share of units, at least one."""
    return max(1, round(units * width))

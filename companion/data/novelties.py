"""Images that are no digits, or no longer quite: what a digit classifier was not trained on."""

from __future__ import annotations

import gzip
from collections.abc import Sequence

import numpy as np
import torch

from companion.data.geometry import rotate
from companion.data.images import cifar10
from companion.seeds import generator

NOVELTIES = (
    "uniform",
    "normal",
    "normal, clipped",
    "sparse",
    "shuffled",
    "phase",
    "negative",
    "rotated 30",
    "rotated 60",
    "rotated 90",
    "rotated 180",
    "glyphs",
    "crops",
    "clothing",
    "blank",
)
# Those of them that are like nothing in a training on digits and uniform noise; fixed before any network ran.
UNSEEN = ("normal", "normal, clipped", "sparse", "shuffled", "phase", "negative", "rotated 90", "glyphs", "crops")
GREY = (0.299, 0.587, 0.114)  # luma of red, green and blue
CHARACTERS = 20  # in the made-up alphabet
CLOTHING_FILE = "t10k-images-idx3-ubyte.gz"


def novelties(digits: torch.Tensor, *, seed: int, clothing: bool = False) -> dict[str, torch.Tensor]:
    """Return sets of images unlike the digits, each as large as they are.

    Parameters
    ----------
    digits : Tensor, shape (N, 1, 28, 28)
        Bytes.
    seed : int
        Draws all that is random.
    clothing : bool
        Whether the set of clothes is wanted, see `clothing`.

    Returns
    -------
    dict
        Name, of `NOVELTIES`, and images (N, 1, 28, 28) as shares of full ink; "blank" has three images. Normal noise
        and phase-scrambled digits leave [0, 1].

    Notes
    -----
    uniform, normal: noise of that law in every pixel; sparse: pixels of full ink, as many as digits have ink; shuffled:
    digits, their pixels in another, fixed order; phase: digits with the phases of noise, the amplitude of every
    frequency kept; negative: ink and paper change places; rotated: by so many degrees; glyphs: an alphabet made up of
    curved strokes; crops: pieces of grey CIFAR-10 test images; blank: no ink, half, full.
    """
    with torch.device("cpu"):
        draw = generator(seed, "points")
        ink = digits.float() / 255
        normal = torch.randn(ink.shape, generator=draw)
        order = torch.randperm(ink[0].numel(), generator=draw)
        sets = {
            "uniform": torch.rand(ink.shape, generator=draw),
            "normal": normal,
            "normal, clipped": normal.clamp(0, 1),
            "sparse": (torch.rand(ink.shape, generator=draw) < ink.mean()).float(),
            "shuffled": ink.flatten(1)[:, order].reshape(ink.shape),
            "phase": _scrambled(ink, draw),
            "negative": 1 - ink,
            **{f"rotated {angle}": rotate(ink, angle) for angle in (30, 60, 90, 180)},
            "glyphs": glyphs(len(ink), draw),
            "crops": _crops(len(ink), draw),
            "blank": torch.tensor([0.0, 0.5, 1.0])[:, None, None, None].expand(3, *ink.shape[1:]),
        }
        if clothing:
            sets["clothing"] = clothes()[: len(ink)].float() / 255
        return {name: sets[name] for name in NOVELTIES if name in sets}


def blended(digits: torch.Tensor, alphas: Sequence[float], *, seed: int) -> torch.Tensor:
    """Return alpha * digit + (1 - alpha) * uniform noise, shape (len(alphas), N, 1, 28, 28), for bytes (N, 1, 28, 28).

    The same noise meets the same digit at every alpha.
    """
    with torch.device("cpu"):
        noise = torch.rand(digits.shape, generator=generator(seed, "points"))
        alpha = torch.tensor(alphas)[:, None, None, None, None]
        return alpha * (digits.float() / 255) + (1 - alpha) * noise


def glyphs(n: int, draw: torch.Generator, *, side: int = 28) -> torch.Tensor:
    """Draw characters of a made-up alphabet, each of three curved strokes, as hands would: never twice the same.

    Parameters
    ----------
    n : int
        Number of images, which take the characters in turn.
    draw : Generator
        Draws the alphabet and every hand's deviation from it.
    side : int
        Of the square images, in pixels.

    Returns
    -------
    Tensor, shape (n, 1, side, side)
        Shares of full ink.
    """
    with torch.device("cpu"):
        alphabet = 6 + (side - 12) * torch.rand(
            CHARACTERS, 3, 3, 2, generator=draw
        )  # (character, stroke, point, x and y)
        along = torch.linspace(0, 1, 24)[:, None]
        weights = torch.cat([(1 - along) ** 2, 2 * along * (1 - along), along**2], 1)  # of a quadratic Bezier curve
        pixels = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float()
        parts = []
        for places in torch.arange(n).split(100):
            points = alphabet[places % CHARACTERS] + torch.randn(len(places), 3, 3, 2, generator=draw)
            curve = torch.einsum("tp,nspc->nstc", weights, points).flatten(1, 2)  # (n, 72, 2)
            width = 1.2 + 0.3 * torch.rand(len(places), 1, generator=draw)
            distance = torch.cdist(pixels.expand(len(places), -1, -1), curve).amin(2)  # (n, pixels)
            parts.append((width + 0.5 - distance).clamp(0, 1).reshape(-1, 1, side, side))
        return torch.cat(parts)


def clothes() -> torch.Tensor | None:
    """Return the 10,000 test images of Fashion-MNIST (N, 1, 28, 28) as bytes, or None where the machine has no copy.

    Looked for where torchvision keeps it (FashionMNIST/raw), in `$COMPANION_DATA` and the cache; nothing is fetched. A
    file whose sum is not the one that torchvision knows counts as none.
    """
    # Imported here: torchvision is slow to load, and how data are found is no part of a result.
    from torchvision import datasets
    from torchvision.datasets.utils import check_integrity

    from companion.data.download import folders

    sums = {address.rpartition("/")[2]: md5 for address, md5 in datasets.FashionMNIST.resources}
    for folder in folders():
        path = folder / "FashionMNIST" / "raw" / CLOTHING_FILE
        if path.exists() and check_integrity(path, sums[CLOTHING_FILE]):
            content = gzip.decompress(path.read_bytes())
            return torch.from_numpy(np.frombuffer(content, np.uint8, offset=16).copy()).reshape(-1, 1, 28, 28)
    return None


def _scrambled(images: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Give images the phases of noise; the mean keeps its sign."""
    phases = torch.fft.rfft2(torch.randn(images.shape, generator=draw))
    phases[..., 0, 0] = 1
    return torch.fft.irfft2(torch.fft.rfft2(images).abs() * phases / phases.abs(), s=images.shape[-2:])


def _crops(n: int, draw: torch.Generator, *, side: int = 28) -> torch.Tensor:
    """Cut squares out of grey CIFAR-10 test images."""
    photographs, _ = cifar10("test")
    chosen = torch.randint(len(photographs), (n,), generator=draw)
    left, top = torch.randint(photographs.shape[-1] - side + 1, (2, n), generator=draw)
    grey = torch.einsum("nchw,c->nhw", photographs[chosen].float() / 255, torch.tensor(GREY))
    windows = grey.unfold(1, side, 1).unfold(2, side, 1)  # a view
    return windows[torch.arange(n), top, left][:, None]

"""Backgrounds for digits: photographs, noise and greys; how digits are laid on them, and how they are tied to classes.

Images are bytes (N, 1, 28, 28) throughout. Understanding, slides "Example 2: Handwritten Digits" and "Consistency
Across Multiple Samples of the Same Class"; the family of noises is that of Larochelle et al. 2007.
"""

from __future__ import annotations

import torch

from companion.data.images import cifar10
from companion.data.novelties import GREY
from companion.seeds import generator

SIDE = 28
COMPOSITIONS = ("maximum", "mask")
CORRELATIONS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # of the benchmark's six sets
BANDWIDTH = 6.0  # of the benchmark's Gaussian kernel, in pixels
LEAST_VARIANCE = 1000.0  # of a photograph's bytes, in the generator of a re-creation of the slides' digits
CHUNK = 64  # images cut at once; part of the draw


def photographs(
    split: str, n: int, *, seed: int, least_variance: float = LEAST_VARIANCE, central: bool = False
) -> torch.Tensor:
    """Cut 28x28 pieces out of grey CIFAR-10 images.

    Parameters
    ----------
    split : {"train", "test"}
        Whose images are used.
    n : int
        Number of pieces; the first of many are those of a few. No image is used twice before all others were.
    seed : int
        Draws images and places.
    least_variance : float
        Of the bytes of a piece; those that vary less are passed over.
    central : bool
        Cut from the middle of the image instead of anywhere.

    Returns
    -------
    Tensor, shape (n, 1, 28, 28)
        Bytes.

    Raises
    ------
    ValueError
        If the split is not known, or no image varies so much.
    """
    with torch.device("cpu"):
        images, draw = cifar10(split).inputs, generator(seed, "points")
        parts: list[torch.Tensor] = []
        while sum(map(len, parts)) < n:
            found = len(parts)
            for chosen in torch.randperm(len(images), generator=draw).split(CHUNK):
                pieces = _pieces(images[chosen], draw, central)
                kept = pieces[pieces.float().flatten(1).var(1) >= least_variance]
                parts += [kept] if len(kept) else []
                if sum(map(len, parts)) >= n:
                    break
            if len(parts) == found:
                raise ValueError(f"no image of the {split} split has a piece of variance {least_variance:g} or more")
        return torch.cat([*parts, images.new_empty(0, 1, SIDE, SIDE)])[:n]


def correlated_noise(n: int, correlation: float, *, seed: int) -> torch.Tensor:
    """Draw noise whose every pixel is uniform over the bytes, and whose neighbours are alike to some degree.

    Normal noise has the covariance correlation * K + (1 - correlation) * identity, K a Gaussian kernel of the pixels'
    distance; its distribution function makes it uniform.

    Parameters
    ----------
    n : int
        Number of images.
    correlation : float
        From 0 (white noise) to 1 (smooth); `CORRELATIONS` are the benchmark's.
    seed : int
        Draws the noise.

    Returns
    -------
    Tensor, shape (n, 1, 28, 28)
        Bytes; each pixel has the variance of a uniform byte, 5461.25, whatever the correlation.

    Raises
    ------
    ValueError
        If the correlation is not between 0 and 1.
    """
    if not 0 <= correlation <= 1:
        raise ValueError(f"the correlation of neighbours lies between 0 and 1, not {correlation}")
    with torch.device("cpu"):
        draw = generator(seed, "points")
        smooth, rough = (torch.randn(n, 1, SIDE, SIDE, generator=draw) for _ in range(2))
        place = torch.arange(SIDE, dtype=torch.double)
        # The kernel of a grid is the product of those of its rows and columns, and so is its square root.
        values, vectors = torch.linalg.eigh(torch.exp(-((place[:, None] - place) ** 2) / BANDWIDTH**2))
        root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
        normal = correlation**0.5 * (root.float() @ smooth @ root.float()) + (1 - correlation) ** 0.5 * rough
        return (256 * torch.special.ndtr(normal)).clamp(max=255).to(torch.uint8)


def flat_greys(n: int, *, seed: int) -> torch.Tensor:
    """Draw images of one grey each, uniform over the bytes: shape (n, 1, 28, 28)."""
    with torch.device("cpu"):
        greys = torch.randint(256, (n, 1, 1, 1), generator=generator(seed, "points"), dtype=torch.uint8)
        return greys.expand(n, 1, SIDE, SIDE).contiguous()


def tied(labels: torch.Tensor, tie: float, *, seed: int, of: int = 10) -> torch.Tensor:
    """Choose one of several backgrounds for each digit: its class's own with probability `tie`, else any other.

    Parameters
    ----------
    labels : Tensor, shape (N,)
        Classes, from 0; each has the background of its number.
    tie : float
        1 / `of` makes background and class independent; 1 lets the one tell the other.
    of : int
        Number of backgrounds. With fewer than classes, several classes have the same one.

    Returns
    -------
    Tensor, shape (N,)
        Numbers of backgrounds.

    Raises
    ------
    ValueError
        If `tie` is not between 0 and 1, or there is no background.
    """
    if not 0 <= tie <= 1:
        raise ValueError(f"the probability of a class's own background lies between 0 and 1, not {tie}")
    if of < 1:
        raise ValueError(f"there is at least one background, not {of}")
    with torch.device("cpu"):
        draw, own = generator(seed, "corruption"), labels.cpu() % of
        other = (own + torch.randint(1, max(2, of), own.shape, generator=draw)) % of
        return torch.where(torch.rand(own.shape, generator=draw) < tie, own, other)


def either_sign(grounds: torch.Tensor, *, seed: int) -> torch.Tensor:
    """Turn each image into its negative, 255 minus the byte, or leave it, with equal probability.

    The mean of every pixel over both signs is 127.5 for any image: nothing about the image is left in means.
    """
    with torch.device("cpu"):
        turned = torch.rand(len(grounds), 1, 1, 1, generator=generator(seed, "augmentation")) < 0.5
        return torch.where(turned, 255 - grounds, grounds)


def dimmed(grounds: torch.Tensor, contrast: float) -> torch.Tensor:
    """Scale bytes by a contrast from 0 (black) to 1.

    Raises
    ------
    ValueError
        If the contrast is not between 0 and 1.
    """
    if not 0 <= contrast <= 1:
        raise ValueError(f"the contrast of a background lies between 0 and 1, not {contrast}")
    return (contrast * grounds.float()).round().to(torch.uint8)


def composed(digits: torch.Tensor, grounds: torch.Tensor, *, by: str = "maximum") -> torch.Tensor:
    """Lay white digits on backgrounds.

    Parameters
    ----------
    digits, grounds : Tensor, shapes (..., 1, 28, 28) that broadcast
        Bytes.
    by : {"maximum", "mask"}
        The brighter of the two bytes, as in the benchmark, or the digit's byte as its opacity: white ink over ground.

    Returns
    -------
    Tensor
        Bytes.

    Raises
    ------
    ValueError
        If the composition is not known.
    """
    if by == "maximum":
        return torch.maximum(digits, grounds)
    if by == "mask":
        ink = digits.float() / 255
        return (255 * ink + (1 - ink) * grounds).round().to(torch.uint8)
    raise ValueError(f"unknown composition {by!r}; the compositions are {', '.join(COMPOSITIONS)}")


def backgrounds(
    labels: torch.Tensor,
    split: str,
    kind: str = "photographs",
    *,
    seed: int,
    pictures: int = 0,
    tie: float | None = None,
    signs: bool = False,
    least_variance: float = LEAST_VARIANCE,
) -> torch.Tensor:
    """Draw one background for each digit.

    Parameters
    ----------
    labels : Tensor, shape (N,)
        Classes of the digits.
    split : {"train", "test"}
        Other draws for each; photographs are those of the same split of CIFAR-10.
    kind : str
        "none", "photographs", "flat greys", or "noise" and the correlation of neighbours, as in "noise 0.2".
    seed : int
        Draws everything.
    pictures : int
        Number of different photographs, the same ones for both splits; 0 takes another one for each digit.
    tie : float, optional
        Probability of the picture that belongs to the class, see `tied`; by default class and picture are independent.
    signs : bool
        Whether each picture comes as it is or as its negative, at random.
    least_variance : float
        Of a photograph.

    Returns
    -------
    Tensor, shape (N, 1, 28, 28)
        Bytes.

    Raises
    ------
    ValueError
        If kind or split is not known, or a tie or signs are asked for without a number of pictures.
    """
    if split not in ("train", "test"):
        raise ValueError(f"unknown split {split!r}; the splits are train and test")
    if not pictures and (tie is not None or signs):
        raise ValueError("a tie to the class, or either sign, is for a number of pictures; there are 0")
    n, own = len(labels), 3 * seed + 1 + (split == "test")  # the pictures themselves have 3 * seed
    if kind == "none":
        return torch.zeros(n, 1, SIDE, SIDE, dtype=torch.uint8, device="cpu")
    if kind == "flat greys":
        return flat_greys(n, seed=own)
    if kind.startswith("noise "):
        return correlated_noise(n, float(kind.removeprefix("noise ")), seed=own)
    if kind != "photographs":
        raise ValueError(f"unknown background {kind!r}; there are none, photographs, flat greys and noise 0 to noise 1")
    if not pictures:
        return photographs(split, n, seed=own, least_variance=least_variance)
    chosen = tied(labels, 1 / pictures if tie is None else tie, seed=own, of=pictures)
    grounds = picture_pool(pictures, seed=seed, least_variance=least_variance)[chosen]
    return either_sign(grounds, seed=own) if signs else grounds


def picture_pool(pictures: int, *, seed: int, least_variance: float = LEAST_VARIANCE) -> torch.Tensor:
    """Return the pictures (P, 1, 28, 28) that `backgrounds` draws from: the middles of photographs."""
    return photographs("train", pictures, seed=3 * seed, least_variance=least_variance, central=True)


def _pieces(images: torch.Tensor, draw: torch.Generator, central: bool) -> torch.Tensor:
    """Cut a grey piece (N, 1, 28, 28) out of each image (N, 3, 32, 32)."""
    room = images.shape[-1] - SIDE
    top, left = torch.randint(room + 1, (2, len(images)), generator=draw)
    if central:
        top, left = torch.full_like(top, room // 2), torch.full_like(left, room // 2)
    grey = torch.einsum("nchw,c->nhw", images.float(), torch.tensor(GREY))
    windows = grey.unfold(1, SIDE, 1).unfold(2, SIDE, 1)  # a view
    return windows[torch.arange(len(images)), top, left].round().to(torch.uint8)[:, None]

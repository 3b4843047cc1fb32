"""The networks of `reasonable`: one trunk that turns a digit into 256 numbers, and what is put on top of it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from companion.seeds import initial_weights

REASONS = 256  # 16 maps of 4x4: the trunk's output, and the length of a net-reasoning vector


def head(outputs: int, hidden: int = 0) -> list[nn.Module]:
    """Return the layers on top of a trunk's 256 numbers; the last is linear.

    Parameters
    ----------
    outputs : int
        10 for a vanilla network, 11 for ReasonNet (ten digits and noise), 256 for the Reasonable network.
    hidden : int
        Units of a hidden layer; 0 for none.

    Raises
    ------
    ValueError
        If there is no output, or a negative number of hidden units.
    """
    if outputs < 1 or hidden < 0:
        raise ValueError(f"a head has at least one output and no less than 0 hidden units, not {outputs}, {hidden}")
    last = nn.Linear(hidden or REASONS, outputs)
    return [nn.Linear(REASONS, hidden), nn.ReLU(), last] if hidden else [last]


class Ink(nn.Module):
    """Turn images into numbers for the network: bytes into shares of full ink, standardised if asked.

    Parameters
    ----------
    mean, sd : float
        Of the shares; what is given in floating point is taken to be shares already.
    """

    def __init__(self, mean: float = 0.0, sd: float = 1.0) -> None:
        super().__init__()
        self.mean, self.sd = mean, sd
        # Follows the model to another precision (`.double()`) and device, as its weights do.
        self.register_buffer("_kind", torch.empty(0), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) to numbers of the same shape."""
        shares = images if images.is_floating_point() else images.to(self._kind.dtype) / 255
        return (shares - self.mean) / self.sd

    def extra_repr(self) -> str:
        """Show the standardisation when the network is printed."""
        return f"mean={self.mean:g}, sd={self.sd:g}"


class DigitCNN(nn.Sequential):
    """Convolutions 5x5 with 6 and 16 filters, each with a 2x2 max-pool, and a head on the 256 numbers they leave.

    Parameters
    ----------
    seed : int
        Seed of the initial weights (PyTorch's default initialisation).
    outputs, hidden : int
        See `head`.
    mean, sd : float
        Standardisation of the pixels, see `Ink`.

    Attributes
    ----------
    features : nn.Sequential
        All layers up to the 256 numbers.

    Raises
    ------
    ValueError
        If there is no output, or a negative number of hidden units.

    Notes
    -----
    Reasonable, Figures 1 and 2, whose sizes are not in the text. This is the small trunk that gives the printed 256
    without a further choice: 28x28 -> 24x24x6 -> 12x12x6 -> 8x8x16 -> 4x4x16. ReLU follows the pool, with which it
    commutes, because it has a quarter of the elements to do there.
    """

    def __init__(self, *, seed: int, outputs: int = 10, hidden: int = 0, mean: float = 0.0, sd: float = 1.0) -> None:
        with initial_weights(seed):
            convolutions = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
            top = head(outputs, hidden)
        trunk = [layer for one in convolutions for layer in (one, nn.MaxPool2d(2), nn.ReLU())]
        super().__init__(Ink(mean, sd), *trunk, nn.Flatten(), *top)

    @property
    def features(self) -> nn.Sequential:
        """The trunk: images (N, 1, 28, 28) to (N, 256)."""
        return nn.Sequential(*list(self)[:8])  # a slice would be built by this class's own __init__


class JointReason(nn.Module):
    """Classifier and net-reasoning on one trunk, so that the two parts of equation 6 meet in the same weights.

    Parameters
    ----------
    seed : int
        Seed of the initial weights.
    detached : bool
        Whether the classifier's rows are a fixed target of the net-reasoning, or are moved by it as well.

    Notes
    -----
    Reasonable, section II-B, equation 6, read with a shared trunk. `forward` gives the ten logits and, beside them,
    the net-reasoning vector less the classifier's row of the predicted class.
    """

    def __init__(self, *, seed: int, detached: bool) -> None:
        super().__init__()
        self.detached = detached
        self.classifier = DigitCNN(seed=seed)
        with initial_weights(seed):
            self.reason = nn.Sequential(nn.Linear(REASONS, 256), nn.ReLU(), nn.Linear(256, REASONS))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) to (N, 10 + 256)."""
        features = self.classifier.features(images)
        last = self.classifier[-1]
        logits = last(features)
        rows = last.weight.detach() if self.detached else last.weight
        chosen = F.one_hot(logits.argmax(1), rows.shape[0]).to(rows.dtype) @ rows  # (N, 256); a gather, under vmap too
        return torch.cat([logits, self.reason(features) - chosen], 1)

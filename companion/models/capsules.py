"""The capsule network with dynamic routing, and the decoder that draws what a capsule says (source `invariants`)."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional as F

from companion.seeds import initial_weights

EPS = 1e-7  # Keras' epsilon


class CapsNet(nn.Module):
    """Capsule network with dynamic routing for 28x28 images; 6,509,312 parameters and 1,394,960 in its decoder.

    9x9 convolution (ReLU), 9x9 convolution of stride 2 to primary capsules of 8 numbers at 6x6 places (squashed), one
    16x8 matrix for every pair of output and primary capsule, routing by agreement. The score of a class is the length
    of its capsule.

    Parameters
    ----------
    seed : int
        Of the initial weights: Glorot uniform, zero biases.
    classes : int
        Output capsules.
    maps : int
        Of the first convolution; 256 in the source.
    types : int
        Of primary capsules, each at 36 places; 32 in the source.
    length : int
        Numbers of an output capsule.
    iterations : int
        Of the routing.
    hidden : (int, int)
        Units of the decoder.

    Notes
    -----
    Sabour, Frosst and Hinton 2017. The matrices start as Keras draws a weight of their shape, which it takes for a
    convolution: within sqrt(6 / (classes * primary capsules * (length + 8))), far below what a 16x8 matrix would get.
    """

    def __init__(
        self,
        *,
        seed: int,
        classes: int = 8,
        maps: int = 256,
        types: int = 32,
        length: int = 16,
        iterations: int = 3,
        hidden: tuple[int, int] = (512, 1024),
    ) -> None:
        super().__init__()
        self.types, self.iterations = types, iterations
        with initial_weights(seed):
            self.conv1 = nn.Conv2d(1, maps, 9)
            self.conv2 = nn.Conv2d(maps, 8 * types, 9, stride=2)
            shape = (classes, 36 * types, length, 8)
            reach = (6 / (shape[0] * shape[1] * (shape[2] + shape[3]))) ** 0.5
            self.matrices = nn.Parameter(torch.empty(shape).uniform_(-reach, reach))
            for convolution in (self.conv1, self.conv2):
                nn.init.xavier_uniform_(convolution.weight)
                nn.init.zeros_(convolution.bias)
            self.decoder = CapsuleDecoder(classes, length, hidden)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) in [0, 1] to the scores (N, classes)."""
        return self.capsules(images)[0]

    def capsules(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores (N, classes), in [0, 1), and output capsules (N, classes, length)."""
        maps = self.conv2(F.relu(self.conv1(images)))  # (N, 8 types, 6, 6)
        primary = squash(maps.unflatten(1, (self.types, 8)).flatten(3).transpose(2, 3).flatten(1, 2))
        votes = torch.einsum("nid,oikd->noik", primary, self.matrices).contiguous()
        vectors = dynamic_routing(votes, iterations=self.iterations)
        return vectors.norm(dim=2), vectors


class CapsuleDecoder(nn.Sequential):
    """Draws one of the output capsules as an image: dense, ReLU, dense, ReLU, dense 784, sigmoid.

    Its input is as long as all capsules together; those that are not drawn are zero. Glorot uniform weights and zero
    biases from the global generator.

    Parameters
    ----------
    classes, length : int
        Capsules, and numbers of each.
    hidden : (int, int)
        Units.
    """

    def __init__(self, classes: int, length: int, hidden: tuple[int, int]) -> None:
        sizes = (classes * length, *hidden, 784)
        layers = [nn.Linear(*pair) for pair in itertools.pairwise(sizes)]
        for layer in layers:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        super().__init__(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2], nn.Sigmoid())

    def forward(self, vectors: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Draw of each row of capsules (N, classes, length) the chosen one (N,): images (N, 1, 28, 28) in [0, 1]."""
        mask = F.one_hot(chosen, vectors.shape[1]).to(vectors.dtype)
        return super().forward((vectors * mask[:, :, None]).flatten(1)).unflatten(1, (1, 28, 28))


def squash(vectors: torch.Tensor) -> torch.Tensor:
    """Shorten vectors (..., length) below one: from length x to x**2 / (1 + x**2), in the same direction."""
    square = vectors.square().sum(-1, keepdim=True)
    return vectors * (square / (1 + square) / (square + EPS).sqrt())


def dynamic_routing(votes: torch.Tensor, *, iterations: int = 3) -> torch.Tensor:
    """Return output capsules (N, O, length) from the votes (N, O, I, length) of I inputs.

    Every input shares itself out among the outputs by a softmax of logits that begin at zero and grow, in all
    iterations but the last, by the agreement of its vote with the output. Gradients flow through all iterations.

    Parameters
    ----------
    votes : Tensor, shape (N, O, I, length)
        What each input says about each output.
    iterations : int
        At least 1.

    Raises
    ------
    ValueError
        If there is no iteration.
    """
    if iterations < 1:
        raise ValueError(f"routing takes at least 1 iteration, not {iterations}")
    logits = votes.new_zeros(votes.shape[:3])
    for left in reversed(range(iterations)):
        outputs = squash((logits.softmax(1).unsqueeze(2) @ votes).squeeze(2))
        if left:
            logits = logits + (votes @ outputs.unsqueeze(3)).squeeze(3)
    return outputs

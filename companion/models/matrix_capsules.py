"""The capsule network of matrices with EM routing, as it was coded for the source `invariants`."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from companion.models.capsules import CapsuleDecoder
from companion.seeds import initial_weights

EPS = 1e-9
LAMBDA = 0.01  # inverse temperature of the output activations
PLACES = (8.0, 12.0, 16.0)  # of the class capsules' fields along either axis, in pixels


class MatrixCapsNet(nn.Module):
    """Matrix capsules with EM routing for 28x28 images; 63,360 parameters, and 1,403,152 in the decoder.

    Batch norm of the raw pixels without scale and offset; 5x5 convolution of stride 2 (ReLU); primary capsules (a 4x4
    pose, and a sigmoid activation) by 1x1 convolutions; two layers of capsules over 3x3 fields, of stride 2 and 1;
    class capsules at 3x3 places, whose votes carry the place. Activations and poses are averaged over the places.

    Parameters
    ----------
    seed : int
        Of the initial weights.
    classes : int
        Class capsules.
    maps : int
        Of the first convolution; A = 32 in the source.
    types : (int, int, int)
        Of primary capsules and of capsules in the two layers; B, C, D = 8, 16, 16 in the source.
    iterations : int
        Of the routing.
    decay : float
        Of the batch norm's moving averages.
    spread : float
        Standard deviation of the capsules' matrices at the start; 1 in the source.
    hidden : (int, int)
        Units of the decoder.

    Notes
    -----
    Hinton, Sabour and Frosst 2018, in the version of the source: other sizes, and another routing; see `em_routing`.
    """

    def __init__(
        self,
        *,
        seed: int,
        classes: int = 8,
        maps: int = 32,
        types: tuple[int, int, int] = (8, 16, 16),
        iterations: int = 2,
        decay: float = 0.999,
        spread: float = 1.0,
        hidden: tuple[int, int] = (512, 1024),
    ) -> None:
        super().__init__()
        primary, first, second = types
        routing = dict(iterations=iterations, spread=spread)
        with initial_weights(seed):
            self.norm = nn.BatchNorm2d(1, eps=1e-3, momentum=1 - decay, affine=False)
            self.conv1 = nn.Conv2d(1, maps, 5, stride=2)
            self.poses = nn.Conv2d(maps, 16 * primary, 1)
            self.activations = nn.Conv2d(maps, primary, 1)
            for convolution in (self.conv1, self.poses, self.activations):
                nn.init.xavier_uniform_(convolution.weight)
                nn.init.trunc_normal_(convolution.bias, std=0.01, a=-0.02, b=0.02)
            self.layer1 = MatrixCapsules(9 * primary, first, **routing)
            self.layer2 = MatrixCapsules(9 * first, second, **routing)
            self.layer3 = MatrixCapsules(second, classes, told=2, **routing)
            self.decoder = CapsuleDecoder(classes, 18, hidden)
        with torch.device("cpu"):
            places = torch.cartesian_prod(torch.tensor(PLACES), torch.tensor(PLACES)).flip(1) / 28
        self.register_buffer("places", places, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, 1, 28, 28) in [0, 1] to the scores (N, classes)."""
        return self.capsules(images)[0]

    def capsules(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scores (N, classes), which sum to 1, and the class capsules (N, classes, 18)."""
        maps = F.relu(self.conv1(self.norm(255 * images)))  # (N, maps, 12, 12)
        poses = self.poses(maps).unflatten(1, (-1, 16)).permute(1, 2, 3, 4, 0)  # (types, 16, 12, 12, N)
        activations = torch.sigmoid(self.activations(maps)).permute(1, 2, 3, 0)  # (types, 12, 12, N)
        for layer, stride, side in ((self.layer1, 2, 5), (self.layer2, 1, 3)):
            poses, activations = layer(fields(poses, stride), fields(activations, stride))
            grid = (side, side, len(images))
            poses, activations = poses.unflatten(2, grid), activations.unflatten(1, grid)
        told = self.places.T.repeat_interleave(len(images), 1)
        poses, activations = self.layer3(poses.flatten(2), activations.flatten(1), told)
        poses, activations = poses.unflatten(2, (9, -1)).mean(2), activations.unflatten(1, (9, -1)).mean(1)
        return activations.T, poses.movedim(2, 0)


class MatrixCapsules(nn.Module):
    """Capsules that all see the same inputs: one 4x4 matrix for every pair of input and output, and EM routing.

    Weights are drawn from the global generator, the matrices from a normal distribution cut at two standard deviations.

    Parameters
    ----------
    inputs, outputs : int
        Capsules below and here.
    told : int
        Numbers that are put before each vote as they are.
    iterations : int
        Of the routing.
    spread : float
        Standard deviation of the matrices at the start.
    """

    def __init__(self, inputs: int, outputs: int, *, told: int = 0, iterations: int = 2, spread: float = 1.0) -> None:
        super().__init__()
        self.iterations = iterations
        matrices = torch.empty(inputs, outputs, 4, 4)
        self.matrices = nn.Parameter(nn.init.trunc_normal_(matrices, std=spread, a=-2 * spread, b=2 * spread))
        self.beta_v = nn.Parameter(torch.zeros(outputs, 16 + told))
        self.beta_a = nn.Parameter(torch.zeros(outputs))

    def forward(
        self, poses: torch.Tensor, activations: torch.Tensor, told: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Map poses (I, 16, M) and activations (I, M) of M fields to (O, 16 + told, M) and (O, M)."""
        inputs, outputs = self.matrices.shape[:2]
        # Poses are kept transposed, so that a matrix stands to their left: the votes come out in their final order.
        votes = self.matrices.flatten(1, 2) @ poses.reshape(inputs, 4, -1)  # (I, 4 O, 4 M)
        votes = votes.view(inputs, outputs, 16, -1)
        if told is not None:
            votes = torch.cat([told.expand(inputs, outputs, *told.shape), votes], 2)
        return em_routing(votes, activations, self.beta_v, self.beta_a, iterations=self.iterations)


def fields(capsules: torch.Tensor, stride: int) -> torch.Tensor:
    """Return what the 3x3 fields of a grid (types, ..., H, W, N) see: (9 types, ..., fields), a field's images last."""
    seen = capsules.unfold(-3, 3, stride).unfold(-3, 3, stride)  # (types, ..., H', W', N, 3, 3)
    return seen.movedim((-2, -1), (0, 1)).flatten(-3).flatten(0, 2)


def em_routing(
    votes: torch.Tensor,
    activations: torch.Tensor,
    beta_v: torch.Tensor,
    beta_a: torch.Tensor,
    *,
    iterations: int = 2,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fit one Gaussian for each output to the votes of the inputs, by expectation and maximisation, as the source does.

    Parameters
    ----------
    votes : Tensor, shape (I, O, H, M)
        Of I inputs for O outputs in M fields; fields come last, where memory is read in a row.
    activations : Tensor, shape (I, M)
        Of the inputs.
    beta_v : Tensor, shape (O, H)
        Cost of describing one number by the output.
    beta_a : Tensor, shape (O,)
        Of the output's activation.
    iterations : int
        At least 1.

    Returns
    -------
    poses : Tensor, shape (O, H, M)
        Means of the Gaussians.
    activations : Tensor, shape (O, M)
        Softmax over the outputs, as coded; the paper has a logistic function of each.

    Raises
    ------
    ValueError
        If there is no iteration.

    Notes
    -----
    As coded, an input's shares are multiplied by its activation and then made to sum to 1 again: up to an epsilon its
    activation has no say. Log densities are shifted, input by input, until the greatest over outputs and numbers is
    log 10, and only then added up: an input whose densities come out far below the epsilon belongs to no output. The
    shift has no gradient here, since it leaves shares that sum to 1 as they are.
    """
    if iterations < 1:
        raise ValueError(f"routing takes at least 1 iteration, not {iterations}")
    shares = torch.full_like(votes[:, :, 0], 1 / votes.shape[1])  # (I, O, M)
    for left in reversed(range(iterations)):
        shares = shares * activations[:, None]
        shares = shares / (shares.sum(1, keepdim=True) + EPS)
        total = shares.sum(0)
        weights = (shares / (total + EPS)).unsqueeze(2)
        mean = (weights * votes).sum(0)
        squares = (votes - mean).square()
        variance = (weights * squares).sum(0) + EPS
        if left:
            shares = total.softmax(0) * _densities(squares, variance)
            shares = shares / (shares.sum(1, keepdim=True) + EPS)
    cost = ((beta_v[:, :, None] + variance.log() / 2) * total[:, None]).sum(1)
    return mean, (LAMBDA * (beta_a[:, None] - cost)).softmax(0)


def _densities(squares: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    """Return the shifted density (I, O, M) of votes by their squared distances (I, O, H, M) from a Gaussian's mean."""
    scaled, logs = squares * (1 / variance), variance.log()
    with torch.no_grad():
        greatest = -(scaled + logs).amin(2).amin(1, keepdim=True) / 2
    every = -(scaled.sum(2) + logs.sum(1)) / 2
    return (every - squares.shape[2] * (greatest - math.log(10))).exp()

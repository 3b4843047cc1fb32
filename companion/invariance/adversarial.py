"""Adversarial autoencoders: a critic pulls the codes towards a uniform prior (source `invariants`, published code).

A Wasserstein critic with a gradient penalty, in place of the log loss of the first adversarial autoencoders. One
iteration is a reconstruction update of encoder and decoder, several updates of the critic, and an update of the encoder
that raises the critic's score of its codes. Each of the three losses has an RMSProp of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from companion.data.images import Images
from companion.invariance.poses import reconstruction_loss, scaled
from companion.models.autoencoders import PosedAutoencoder
from companion.seeds import generator
from companion.training.checkpoint import Checkpoint
from companion.training.one import Diverged
from companion.training.rmsprop import RMSProp

WEIGHT = 10.0  # of the gradient penalty
CRITIC_UPDATES = 5
LOOK_EVERY = 100  # iterations between two looks at the losses: asking after every one would stall a GPU
PENALTIES = ("as coded", "per sample")
ENCODER = ("conv1", "conv2", "dense1", "to_code")  # the layers of a PosedAutoencoder that the third update moves

Batch = tuple[torch.Tensor, ...]


def slopes(critic: nn.Module, points: torch.Tensor) -> torch.Tensor:
    """Return the squared norm of the critic's gradient at each point: (..., code) to (...); differentiable."""
    if not points.requires_grad:
        points = points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return gradient.square().sum(-1)


def penalty(
    critic: nn.Module, codes: torch.Tensor, prior: torch.Tensor, mixing: torch.Tensor, *, kind: str
) -> torch.Tensor:
    """Return the gradient penalty of the critic between codes and prior samples, both (N, code).

    Parameters
    ----------
    mixing : Tensor, shape (A,)
        Numbers in [0, 1). Per sample there is one for each pair (A = N), and the penalty is the mean over pairs of
        (norm of the gradient - 1)^2. As coded, mixing weights of shape (128, 1, 1, 1) met codes of shape (128, 10):
        each weight mixes all pairs, and one norm is taken over all of them together. The mean over a few of the
        weights (A < N) then has the same expectation as the mean over all 128.
    kind : {"as coded", "per sample"}
        Which of the two.

    Raises
    ------
    ValueError
        If the kind is not known, or there is not one number for each pair where there must be.
    """
    if kind not in PENALTIES:
        raise ValueError(f"unknown penalty {kind!r}; the penalties are {', '.join(PENALTIES)}")
    if kind == "per sample":
        if len(mixing) != len(codes):
            raise ValueError(f"per sample, one mixing weight for each of the {len(codes)} pairs, not {len(mixing)}")
        return (slopes(critic, codes + mixing[:, None] * (prior - codes)).sqrt() - 1).square().mean()
    points = codes + mixing[:, None, None] * (prior - codes)  # (A, N, code)
    return (slopes(critic, points).sum(1).sqrt() - 1).square().mean()


def uprights(digits: Images, *, batch: int, device: torch.device) -> Callable[[torch.Generator], torch.Tensor]:
    """Return what draws a batch of upright images in [-1, 1], with replacement, on `device`."""
    inputs = digits.inputs.to(device)

    def draw(order: torch.Generator) -> torch.Tensor:
        chosen = torch.randint(len(digits.labels), (batch,), generator=order, device="cpu").to(device)
        return scaled(inputs.index_select(0, chosen))

    return draw


def fit_adversarial(
    net: PosedAutoencoder,
    critic: nn.Module,
    draw: Callable[[torch.Generator, torch.Generator], Batch],
    draw_upright: Callable[[torch.Generator], torch.Tensor],
    *,
    seed: int,
    steps: int,
    kind: str,
    alphas: int = 8,
    critic_updates: int = CRITIC_UPDATES,
    lr: float = 1e-3,
    measure_at: Collection[int] = (),
    device: str | torch.device | None = None,
    checkpoint: str | Path | Checkpoint | None = None,
) -> pd.DataFrame:
    """Train autoencoder and critic in place, leave them in evaluation mode, and return the history.

    Parameters
    ----------
    net : PosedAutoencoder
        Encoder and decoder.
    critic : nn.Module
        Codes (..., code) to scores.
    draw : callable
        As `poses.pairs` makes it: upright images, pose codes, targets of a batch.
    draw_upright : callable
        As `uprights` makes it: for the critic, which sees neither poses nor posed images.
    seed : int
        Of the draws: order, augmentation, and "points" for prior samples (uniform in [-1, 1]) and mixing weights.
    steps : int
        Iterations.
    kind : {"as coded", "per sample"}
        Gradient penalty; see `penalty`.
    alphas : int
        Mixing weights drawn for each penalty as coded.
    critic_updates : int
        In each iteration; every one has a new batch of images and of prior samples.
    lr : float
        Of all three optimisers.
    measure_at : collection of int
        Iterations (from 1) after which the history has a row; it has one after the last in any case.
    device : device, optional
        PyTorch's current default device if not given.
    checkpoint : path or Checkpoint, optional
        Where to keep the state; an interrupted training goes on from there and ends with the same bits on the CPU.

    Returns
    -------
    DataFrame
        One row per milestone: step; loss (reconstruction) and distance (mean score of prior samples minus that of
        codes, at a step's last critic update: what the critic can tell apart), means since the row before; slope, the
        root mean square norm of the critic's gradient between the last codes and prior samples.

    Raises
    ------
    Diverged
        If a loss becomes infinite or NaN.
    ValueError
        If there are fewer than one step or one critic update, or the checkpoint is of another training.
    """
    if steps < 1 or critic_updates < 1:
        raise ValueError(f"at least one step and one critic update, not {steps} and {critic_updates}")
    device = torch.get_default_device() if device is None else torch.device(device)
    net.to(device).train()
    critic.to(device).train()
    encoder = [weight for layer in ENCODER for weight in getattr(net, layer).parameters()]
    losses = {"net": net.parameters(), "critic": critic.parameters(), "encoder": encoder}
    optimizers = {name: RMSProp(weights, lr=lr) for name, weights in losses.items()}
    streams = {name: generator(seed, name) for name in ("order", "augmentation", "points")}
    keeper = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
    identity = (seed, steps, kind, alphas, critic_updates, lr, tuple(sorted(measure_at)))
    milestones = {*measure_at, steps}
    rows: list[dict[str, float]] = []
    done, since = 0, 0
    totals = torch.zeros(2, dtype=torch.float64, device=device)  # of loss and distance since the last row

    if (state := keeper.load()) is not None:
        if state["identity"] != identity:
            raise ValueError(
                f"the checkpoint {keeper.path} is of another training: {state['identity']}, not {identity}"
            )
        rows, done, since, totals = state["rows"], state["done"], state["since"], state["totals"].to(device)
        net.load_state_dict(state["net"])
        critic.load_state_dict(state["critic"])
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        for name, stream in streams.items():
            stream.set_state(state["streams"][name])

    while done < steps:
        batch = [part.to(device) for part in draw(streams["order"], streams["augmentation"])]
        loss = reconstruction_loss(net, *batch)
        _update(optimizers["net"], loss)
        # The encoder rests while the critic learns: all its batches are encoded at once.
        upright = torch.cat([draw_upright(streams["order"]) for _ in range(critic_updates)])
        with torch.no_grad():
            encoded = net.encode(upright).chunk(critic_updates)
        size, width = encoded[0].shape
        count = size if kind == "per sample" else alphas
        drawn = torch.rand(critic_updates, size * width + count, generator=streams["points"], device="cpu").to(device)
        for codes, numbers in zip(encoded, drawn, strict=True):
            prior = 2 * numbers[: size * width].view(size, width) - 1
            mixing = numbers[size * width :]
            distance = critic(prior).mean() - critic(codes).mean()
            _update(optimizers["critic"], WEIGHT * penalty(critic, codes, prior, mixing, kind=kind) - distance)
        last = upright.chunk(critic_updates)[-1]
        _update(optimizers["encoder"], -critic(net.encode(last)).mean())
        totals += torch.stack([loss.detach(), distance.detach()])
        done, since = done + 1, since + 1
        if done % LOOK_EVERY == 0 or done in milestones:
            if not bool(totals.isfinite().all()):
                where = f"between steps {done - since} and {done}"
                raise Diverged(f"training diverged: a loss was infinite or NaN {where}", rows)
            if done in milestones:
                halfway = codes + mixing[0] * (prior - codes)
                mean = (totals / since).tolist()
                slope = slopes(critic, halfway).mean().sqrt().item()
                rows.append({"step": float(done), "loss": mean[0], "distance": mean[1], "slope": slope})
                totals.zero_()
                since = 0
            keeper.save(
                {
                    "identity": identity,
                    "rows": rows,
                    "done": done,
                    "since": since,
                    "totals": totals,
                    "net": net.state_dict(),
                    "critic": critic.state_dict(),
                    "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
                    "streams": {name: stream.get_state() for name, stream in streams.items()},
                }
            )
    net.eval()
    critic.eval()
    return pd.DataFrame(rows)


def _update(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    """Make one step along the gradient of `loss` with respect to what `optimizer` owns."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)

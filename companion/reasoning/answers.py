"""How the outputs of a classifier with or without a noise label are read."""

from __future__ import annotations

import torch

NOISE = 10  # the eleventh label
SOME_DIGIT = -1  # what a network that knows no digits answers to one
HEADS = (2, 10, 11, 12)  # noise or not; digits; digits and noise; digits, and noise or not


def probabilities(answers: torch.Tensor) -> torch.Tensor:
    """Return probabilities (N, 11) of the ten digits and of noise, from the outputs (N, K) of any of the `HEADS`.

    A head without digits gives each of the ten the same share; one without noise gives it none.

    Raises
    ------
    ValueError
        If K is none of them.
    """
    answers = answers.double()
    noise = _noise(answers)
    if answers.shape[1] == 11:
        return answers.softmax(1)
    if answers.shape[1] == 2:
        digits = torch.full((len(answers), 10), 0.1, dtype=answers.dtype, device=answers.device)
    else:
        digits = answers[:, :10].softmax(1)
    return torch.cat([digits * (1 - noise), noise], 1)


def decided(answers: torch.Tensor) -> torch.Tensor:
    """Return the label (N,) that is answered: a digit, `NOISE`, or `SOME_DIGIT` where the head knows no more.

    A head of its own for noise decides when its probability is above a half.
    """
    if answers.shape[1] in (10, 11):
        return answers.argmax(1)
    digit = answers[:, :10].argmax(1) if answers.shape[1] == 12 else torch.full_like(answers[:, 0], SOME_DIGIT).long()
    return torch.where(_noise(answers)[:, 0] > 0.5, NOISE, digit)


def _noise(answers: torch.Tensor) -> torch.Tensor:
    """Return the probability (N, 1) of noise."""
    if answers.shape[1] not in HEADS:
        raise ValueError(f"a head has {', '.join(map(str, HEADS))} outputs, not {answers.shape[1]}")
    if answers.shape[1] == 10:
        return torch.zeros_like(answers[:, :1])
    if answers.shape[1] == 11:
        return answers.softmax(1)[:, 10:]
    return answers[:, -2:].softmax(1)[:, 1:]

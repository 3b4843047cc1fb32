"""What oneDNN is worth to a dense layer, forward and back; run by `make bench` only."""

from __future__ import annotations

import statistics
import time

import pytest
import torch
from torch import nn

from companion import models

ROUNDS = 25


@pytest.mark.parametrize(("batch", "inputs", "outputs"), [(128, 6272, 1024), (64, 100, 500), (32, 400, 120)])
def test_time_of_a_step_against_that_of_linear(capsys, batch, inputs, outputs):
    layers = {"Linear": nn.Linear(inputs, outputs), "Dense": models.Dense(inputs, outputs)}
    examples = torch.randn(batch, inputs, requires_grad=True)
    taken = {name: [] for name in layers}
    for _ in range(ROUNDS):  # in turn, so that a slow spell of the machine meets both
        for name, layer in layers.items():
            started = time.perf_counter()
            layer(examples).square().sum().backward()
            taken[name].append(time.perf_counter() - started)
    linear, dense = (statistics.median(taken[name]) for name in layers)
    with capsys.disabled():
        print(f"\n{inputs} to {outputs}, batch {batch}: Dense takes {dense / linear:.2f} of the time of Linear")

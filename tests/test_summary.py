"""The table of layers, and colour channels standardised in front of a network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from companion import data, models


def test_layer_table_counts_by_hand() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, (2, 3)), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 5, bias=False))
    table = models.layer_table(net, (2, 5, 6))
    assert list(table["output"]) == ["4x4x3", "4x4x3", "2x2x3", "12", "5"]
    assert list(table["parameters"]) == [2 * 2 * 3 * 3 + 3, 0, 0, 0, 60]
    assert list(table["multiply_adds"]) == [4 * 4 * 3 * (2 * 2 * 3), 0, 0, 0, 60]


def test_layer_table_takes_double_precision() -> None:
    assert len(models.layer_table(nn.Sequential(nn.Linear(4, 2)).double(), (3, 2, 4))) == 1


def test_layer_table_names_the_layer_that_fails() -> None:
    with pytest.raises(ValueError, match=r"\(3, 1, 1\) does not get through Conv2d"):
        models.layer_table(nn.Sequential(nn.Conv2d(3, 4, 3)), (3, 1, 1))


def test_standardised_channels_have_mean_0_and_sd_1() -> None:
    coded = models.Standardised(nn.Identity())(data.cifar10("train").inputs[:5_000])
    assert coded.dtype == torch.float32
    assert torch.allclose(coded.mean((0, 2, 3)), torch.zeros(3), atol=0.02)
    assert torch.allclose(coded.std((0, 2, 3)), torch.ones(3), atol=0.02)


def test_standardised_feeds_the_network_what_it_codes() -> None:
    net, images = models.CifarCNN(seed=0), data.cifar10("test").inputs[:4]
    by_hand = (images.double() / 255 - torch.tensor([0.4914, 0.4822, 0.4465])[:, None, None]) / torch.tensor(
        [0.2470, 0.2435, 0.2616]
    )[:, None, None]
    assert torch.allclose(models.Standardised(net)(images), net(by_hand.float()), atol=1e-3)

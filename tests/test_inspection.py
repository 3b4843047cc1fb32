"""What is inside a network, each against a plainer way to find it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats

from companion import models
from companion.confusion import inspection, neurons


@pytest.fixture
def net():
    return models.CifarCNN(seed=1).double()


@pytest.fixture
def examples():
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (40, 3, 32, 32), generator=draw, dtype=torch.uint8)
    return images, torch.arange(40) % 10


def test_occlusion_by_hand(net, examples):
    images = examples[0][:2]
    found = inspection.occlusion(net, images, 3, side=16, step=16)
    covered = images.clone()
    covered[:, :, :16, 16:] = images.double().mean((2, 3), keepdim=True).to(torch.uint8)
    lost = (net(images).softmax(1) - net(covered).softmax(1))[:, 3]
    np.testing.assert_allclose(found[:, 3, 20], lost.detach(), rtol=1e-9)
    every = inspection.occlusion(net, images, 3, side=5, step=4)
    assert every.shape == (2, 32, 32) and np.isfinite(every).all()  # the last patch reaches the border


def test_what_cannot_be_seen_does_not_count(net, examples):
    images = examples[0][:2]
    found = inspection.occlusion(net, images, 3, side=1, step=31)
    assert (found[:, 31, 31] == 0).all()  # the second pool drops what comes from rows and columns 30 and 31


def test_share_inside_a_box():
    maps = np.zeros((3, 4, 4))
    maps[0, 0, :2] = 1, 3
    maps[0, 3, 3] = -5
    maps[1] = 1
    boxes = np.array([[1, 0, 3, 2], [0, 0, 2, 4], [0, 0, 4, 4]])
    np.testing.assert_array_equal(inspection.share_inside(maps, boxes), [0.75, 0.5, np.nan])


def test_knocking_out_is_setting_to_zero(net, examples):
    images, labels = examples
    with torch.no_grad():
        for weights in net.parameters():  # a network that tells some of them apart
            weights += 0.05 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(2))
    found = neurons.knocked_out(net, images, labels)
    layers = net.layer_by_layer()

    def accuracy(at, chosen):
        def silence(module, inputs, output):
            output = output.clone()
            output[:, chosen] = 0
            return output

        handle = layers[at].register_forward_hook(silence)
        answers = layers(images).argmax(1)
        handle.remove()
        return np.array([(answers[labels == c] == c).double().mean() for c in range(10)])

    whole = accuracy(0, [])
    for channel in (0, 5, 63):
        np.testing.assert_allclose(found[channel], accuracy(8, [channel]) - whole, atol=1e-12)
        np.testing.assert_allclose(found[64 + channel], accuracy(11, [channel]) - whole, atol=1e-12)
    assert abs(found).max() > 0


def test_hidden_units_feed_the_last_layer(net, examples):
    images, _ = examples
    torch.testing.assert_close(net.dense2(inspection.hidden_units(net, images, batch=7)), net(images))


def test_cosines_of_class_means():
    features = torch.tensor([[2.0, 0], [4, 0], [-3, 1], [-3, -1], [0, 5]])
    labels = torch.tensor([0, 0, 1, 1, 2])
    means = np.array([[3.0, 0], [-3, 0], [0, 5]]) - [[0, 5 / 3]]
    expected = means @ means.T / np.outer(*[np.linalg.norm(means, axis=1)] * 2)
    np.testing.assert_allclose(inspection.class_cosines(features, labels), expected)


def test_probes_find_what_is_linear_and_nothing_else():
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(3000) % 3
    features = torch.randn(3000, 5, generator=draw)
    features[labels == 0, 2] += 3
    known, unseen = ((features[part], labels[part]) for part in (slice(2000), slice(2000, None)))
    found = inspection.probes(known, unseen)
    expected = scipy_stats.norm.cdf(3 / 2**0.5)
    assert found[0] == pytest.approx(expected, abs=0.02)
    assert found[1] == pytest.approx(found[2], abs=0.05) and found[1] < 0.85


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_network_on_the_gpu_is_looked_into_as_on_the_cpu(net, examples):
    images, _ = examples
    with torch.device("cuda"):
        moved = models.CifarCNN(seed=1).double().cuda()
        found = inspection.occlusion(moved, images[:2], 3), inspection.hidden_units(moved, images).numpy()
    np.testing.assert_allclose(found[0], inspection.occlusion(net, images[:2], 3), atol=1e-9)
    np.testing.assert_allclose(found[1], inspection.hidden_units(net, images).detach().numpy(), atol=1e-9)

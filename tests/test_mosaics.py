from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from companion.attention.examples import OnAverages, OnMosaics
from companion.attention.shares import SHARES, focus_shares
from companion.data.mosaics import draw_mosaics
from companion.data.patches import arranged, mosaic_set
from companion.models.attention import MosaicAttention, PatchLeNet, weighted
from companion.models.inception import KINDS, MiniInception
from companion.training.batch_statistics import batch_statistics
from companion.training.evaluation import outputs
from companion.training.one import fit

FOREGROUND = (7, 2, 9)


@pytest.fixture(scope="module")
def mosaics(pictures):
    return mosaic_set(pictures, FOREGROUND, n=40, seed=3)


def parameters(net):
    return sum(weights.numel() for weights in net.parameters())


def test_the_foreground_is_in_its_slot_and_nowhere_else(mosaics, pictures):
    rows = torch.arange(len(mosaics.members))
    foreground = torch.isin(mosaics.classes, torch.tensor(FOREGROUND))
    assert (foreground.sum(1) == 1).all()
    assert torch.equal(foreground.long().argmax(1), mosaics.position)
    assert torch.equal(torch.tensor(FOREGROUND)[mosaics.labels], mosaics.classes[rows, mosaics.position])
    assert torch.equal(mosaics.classes, pictures.labels[mosaics.members])


def test_arranged_keeps_the_order_of_the_backgrounds(pictures):
    drawn = draw_mosaics(pictures.labels, FOREGROUND, n=50, seed=1)
    members = arranged(drawn)
    others = torch.ones_like(members, dtype=torch.bool).scatter_(1, drawn.position[:, None], False)
    assert torch.equal(members[others].reshape(50, 8), drawn.background)
    assert torch.equal(members.gather(1, drawn.position[:, None])[:, 0], drawn.foreground)


def test_a_part_is_the_same_mosaics_of_the_same_images(mosaics):
    part = mosaics.part(10, 15)
    assert part.images is mosaics.images
    assert torch.equal(part.patches(torch.tensor([2])), mosaics.patches(torch.tensor([12])))
    assert part.patches(torch.arange(5)).shape == (5, 9, 3, 32, 32)


def test_present_names_the_classes_of_a_mosaic(mosaics):
    present = mosaics.present()
    assert all(
        set(row.nonzero()[:, 0].tolist()) == set(held.tolist())
        for row, held in zip(present, mosaics.classes, strict=True)
    )


def test_a_class_named_twice_is_refused(pictures):
    with pytest.raises(ValueError, match=r"once, not \[1, 1\]"):
        mosaic_set(pictures, (1, 1), n=2, seed=0)


@pytest.mark.parametrize(("net", "count"), [
    (PatchLeNet(seed=0, outputs=1), 62_017),
    (PatchLeNet(seed=0, outputs=3), 62_039),
    (MiniInception(seed=0), 1_061_226),
    (MiniInception(seed=0, outputs=3), 1_059_567),
    (MiniInception(seed=0, outputs=2, channels=1), 1_057_602),
    (MiniInception(seed=0, kind="simple"), 280_442),
    (MiniInception(seed=0, kind="simple", outputs=2, channels=1), 277_042),
])  # fmt: skip
def test_networks_have_the_parameters_of_the_spec(net, count):
    assert parameters(net) == count


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [28, 32])
def test_inception_takes_both_sizes(kind, side):
    net = MiniInception(seed=0, kind=kind, outputs=4)
    assert net(torch.zeros(2, 3, side, side)).shape == (2, 4)


def test_an_unknown_inception_is_refused():
    with pytest.raises(ValueError, match="unknown kind 'large'; the kinds are mini, simple"):
        MiniInception(seed=0, kind="large")


def test_attention_is_the_softmax_of_scores_and_its_average(mosaics):
    net = MosaicAttention(seed=1).double().eval()
    patches = mosaics.patches(torch.arange(4))
    weights, logits = net.attend(patches)
    images = (patches.double() * 2 - 255) / 255
    scores = torch.stack([net.where(mosaic)[:, 0] for mosaic in images])
    average = (scores.softmax(1)[:, :, None, None, None] * images).sum(1)
    assert torch.allclose(weights, scores.softmax(1))
    assert torch.allclose(logits, net.what(average))


def test_the_two_networks_start_apart():
    net = MosaicAttention(seed=1)
    assert not torch.equal(net.where.conv1.weight, net.what.conv1.weight)
    assert torch.equal(net.where.conv1.weight, PatchLeNet(seed=1, outputs=3).conv1.weight)


def test_weighted_averages_maps():
    maps = torch.randn(6, 2, 4, 5)
    weights = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.25, 0.25]])
    first, second = weighted(maps, weights)
    assert torch.allclose(first, maps[1])
    assert torch.allclose(second, 0.5 * maps[3] + 0.25 * maps[4] + 0.25 * maps[5], atol=1e-6)


def test_numbers_of_images_answer_as_patches_do(mosaics):
    net = MosaicAttention(seed=2)
    wrapped = OnMosaics(net, mosaics)
    direct = net.attend(mosaics.patches(torch.arange(40)))
    for ours, theirs in zip(wrapped.attend(mosaics.members, batch=7), direct, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    assert torch.allclose(outputs(wrapped, mosaics.members), direct[1], atol=1e-6)


def test_the_images_are_no_part_of_the_state(mosaics):
    net = MosaicAttention(seed=2)
    assert {f"net.{name}" for name in net.state_dict()} == set(OnMosaics(net, mosaics).state_dict())


def test_training_on_numbers_is_training_on_patches(mosaics):
    settings = dict(seed=0, epochs=2, lr=0.05, momentum=0.9, batch=8)
    by_number, by_patch = MosaicAttention(seed=0), MosaicAttention(seed=0)
    fit(OnMosaics(by_number, mosaics), (mosaics.members, mosaics.labels), **settings)
    fit(by_patch, (mosaics.patches(torch.arange(40)), mosaics.labels), **settings)
    start = MosaicAttention(seed=0)
    for name, weights in by_number.named_parameters():
        assert torch.allclose(weights, by_patch.get_parameter(name), atol=1e-6)
        # The softmax takes no notice of a number that is added to all scores.
        assert torch.equal(weights, start.get_parameter(name)) == (name == "where.dense.6.bias")


def test_averages_are_made_of_the_weights(mosaics):
    weights = F.one_hot(mosaics.position, 9).float()
    net = OnAverages(torch.nn.Identity(), mosaics, weights)
    rows = torch.tensor([3, 0])
    foreground = mosaics.images[mosaics.members[rows, mosaics.position[rows]]]
    assert torch.allclose(net(rows), foreground / 127.5 - 1, atol=1e-6)
    even = OnAverages(torch.nn.Identity(), mosaics, torch.full((40, 9), 1 / 9))
    assert torch.allclose(even(rows), mosaics.patches(rows).float().mean(1) / 127.5 - 1, atol=1e-5)


def test_weights_of_another_shape_are_refused(mosaics):
    with pytest.raises(ValueError, match=r"shape \(3, 9\); 40 mosaics need \(40, 9\)"):
        OnAverages(torch.nn.Identity(), mosaics, torch.zeros(3, 9))


def test_shares_count_the_four_cases():
    weights = torch.tensor([[0.6, 0.4], [0.6, 0.4], [0.4, 0.6], [0.3, 0.7], [0.2, 0.2]])
    logits = torch.eye(3)[[0, 1, 2, 0, 0]]
    shares = focus_shares(weights, logits, torch.zeros(5, dtype=torch.long), torch.tensor([0, 0, 2, 1, 0]))
    assert [shares[name] for name in SHARES] == pytest.approx([0.4, 0.2, 0.2, 0.2])
    assert shares["half"] == pytest.approx(0.8)


def test_shares_of_nothing_are_refused():
    with pytest.raises(ValueError, match=r"not \[2, 2, 1, 2\]"):
        focus_shares(torch.zeros(2, 9), torch.zeros(2, 3), torch.zeros(1), torch.zeros(2))


def test_batch_statistics_answer_as_training_mode_does_and_leave_no_trace():
    net = MiniInception(seed=0, kind="simple", outputs=3).eval()
    images = torch.randn(6, 3, 32, 32)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.no_grad(), batch_statistics(net):
        by_batch = net(images)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    with torch.no_grad():
        assert not torch.allclose(net(images), by_batch, atol=1e-3)
        net.train()
        assert torch.allclose(net(images), by_batch, atol=1e-6)

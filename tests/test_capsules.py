"""Capsule networks: sizes, routing against plain loops, losses, drawings."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from companion import data, plots, training
from companion.data import Images
from companion.invariance import capsules, recognition
from companion.models import CapsNet, MatrixCapsNet
from companion.models.capsules import CapsuleDecoder, dynamic_routing, squash
from companion.models.matrix_capsules import EPS, LAMBDA, MatrixCapsules, em_routing, fields

NARROW = dict(maps=4, types=2, hidden=(16, 32))
NARROW_EM = dict(maps=4, types=(2, 3, 4), hidden=(16, 32))


def count(net):
    """Number of parameters."""
    return sum(weights.numel() for weights in net.parameters())


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_sizes_are_the_published_ones():
    dynamic, em = CapsNet(seed=0), MatrixCapsNet(seed=0)
    assert (count(dynamic) - count(dynamic.decoder), count(dynamic.decoder)) == (6_509_312, 1_394_960)
    assert (count(em) - count(em.decoder), count(em.decoder)) == (63_360, 1_403_152)


def test_weights_start_as_in_the_sources():
    net = CapsNet(seed=0)
    for weights, reach in ((net.matrices, (6 / (147_456 + 73_728)) ** 0.5), (net.conv2.weight, (3 / 81 / 256) ** 0.5)):
        assert 0.999 * reach < weights.abs().max().item() <= reach
    matrices = MatrixCapsNet(seed=0).layer2.matrices
    assert 1.9 < matrices.abs().max().item() <= 2
    assert matrices.std().item() == pytest.approx(0.88, abs=0.02)  # of a normal distribution cut at 2
    halved = MatrixCapsNet(seed=0, spread=0.5).layer2.matrices
    assert halved.std().item() == pytest.approx(0.44, abs=0.01)
    assert not torch.equal(CapsNet(seed=1, **NARROW).matrices, CapsNet(seed=2, **NARROW).matrices)


def test_squash_keeps_the_direction_and_shortens():
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.3, -0.4]], dtype=torch.float64)
    short = squash(vectors)
    torch.testing.assert_close(
        short.norm(dim=1), torch.tensor([25 / 26, 0, 0.2], dtype=torch.float64), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(short[0] / short[0].norm(), vectors[0] / 5)


def plain_dynamic(votes, iterations):
    """Routing of one image (O, I, length), capsule by capsule."""
    outputs, inputs, _ = votes.shape
    logits = [[0.0] * inputs for _ in range(outputs)]
    for iteration in range(iterations):
        made = []
        for o in range(outputs):
            total = torch.zeros(votes.shape[2], dtype=votes.dtype)
            for i in range(inputs):
                all_logits = [math.exp(logits[other][i]) for other in range(outputs)]
                total = total + math.exp(logits[o][i]) / sum(all_logits) * votes[o, i]
            length = float((total**2).sum())
            made.append(total * length / (1 + length) / math.sqrt(length + 1e-7))
        if iteration < iterations - 1:
            for o in range(outputs):
                for i in range(inputs):
                    logits[o][i] += float(made[o] @ votes[o, i])
    return torch.stack(made)


@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_dynamic_routing_is_that_of_plain_loops(iterations):
    votes = 2 * normal(2, 4, 5, 3)
    routed = dynamic_routing(votes, iterations=iterations)
    torch.testing.assert_close(routed, torch.stack([plain_dynamic(one, iterations) for one in votes]))


def test_dynamic_routing_has_gradients_through_all_iterations():
    votes = normal(1, 2, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(partial(dynamic_routing, iterations=3), votes)


def test_agreement_wins_and_the_order_of_inputs_does_not_count():
    votes = normal(1, 2, 6, 4)
    votes[0, 0] = torch.tensor([2.0, 0, 0, 0])  # all inputs say the same of the first output
    routed = dynamic_routing(votes)
    assert routed[0, 0].norm() > routed[0, 1].norm()
    torch.testing.assert_close(dynamic_routing(votes[:, :, torch.tensor([3, 1, 5, 0, 2, 4])]), routed)
    with pytest.raises(ValueError, match="at least 1 iteration, not 0"):
        dynamic_routing(votes, iterations=0)


def plain_em(votes, activations, beta_v, beta_a, iterations):
    """Routing of one field: votes (I, O, H), activations (I,)."""
    inputs, outputs, numbers = votes.shape
    shares = np.full((inputs, outputs), 1 / outputs)
    for iteration in range(iterations):
        shares = shares * activations[:, None]
        shares /= shares.sum(1, keepdims=True) + EPS
        total = [sum(shares[i, o] for i in range(inputs)) for o in range(outputs)]
        mean, variance = np.zeros((outputs, numbers)), np.zeros((outputs, numbers))
        for o in range(outputs):
            weights = [shares[i, o] / (total[o] + EPS) for i in range(inputs)]
            for h in range(numbers):
                mean[o, h] = sum(weights[i] * votes[i, o, h] for i in range(inputs))
                variance[o, h] = EPS + sum(weights[i] * (votes[i, o, h] - mean[o, h]) ** 2 for i in range(inputs))
        if iteration < iterations - 1:
            prior = np.exp(total) / np.exp(total).sum()
            logs = -np.log(np.sqrt(variance)) - (votes - mean) ** 2 / (2 * variance)
            logs -= logs.max((1, 2), keepdims=True) - math.log(10)
            shares = prior * np.exp(logs.sum(2))
            shares /= shares.sum(1, keepdims=True) + EPS
    cost = [sum((beta_v[o, h] + math.log(math.sqrt(variance[o, h]))) * total[o] for h in range(numbers))
            for o in range(outputs)]  # fmt: skip
    scores = np.exp(LAMBDA * (beta_a - np.array(cost)))
    return mean, scores / scores.sum()


@pytest.mark.parametrize("iterations", [1, 2, 3])
@pytest.mark.parametrize("told", [0, 2])
@pytest.mark.parametrize("scale", [0.002, 1.0])
def test_em_routing_is_that_of_plain_loops(iterations, told, scale):
    votes, beta_v, beta_a = scale * normal(5, 3, 4 + told, 2), normal(3, 4 + told, seed=1), normal(3, seed=2)
    votes[:, :, :told] = 0.3  # the same from every input, as a place is: no variance
    activations = normal(5, 2, seed=3).sigmoid()
    poses, scores = em_routing(votes, activations, beta_v, beta_a, iterations=iterations)
    for field in range(2):
        given = (one[..., field].numpy() for one in (votes, activations))
        mean, expected = plain_em(*given, beta_v.numpy(), beta_a.numpy(), iterations)
        torch.testing.assert_close(poses[..., field], torch.from_numpy(mean), rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(scores[..., field], torch.from_numpy(expected))


def test_em_routing_has_gradients_through_all_iterations():
    votes, activations = normal(4, 2, 3, 1), normal(4, 1).sigmoid()
    ends = [one.requires_grad_() for one in (votes, activations, normal(2, 3), normal(2))]
    assert torch.autograd.gradcheck(partial(em_routing, iterations=2), ends, atol=1e-5)


def test_as_coded_the_activations_of_the_inputs_have_no_say():
    votes, beta_v, beta_a = normal(6, 3, 4, 2), normal(3, 4), normal(3)
    strong, weak = (em_routing(votes, normal(6, 2, seed=seed).sigmoid(), beta_v, beta_a) for seed in (1, 2))
    for one, other in zip(strong, weak, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)
    with pytest.raises(ValueError, match="at least 1 iteration, not 0"):
        em_routing(votes, votes[:, 0, 0].sigmoid(), beta_v, beta_a, iterations=0)


def test_as_coded_far_votes_belong_to_no_class_where_a_place_is_told():
    layer = MatrixCapsules(6, 3, told=2).double()
    poses, activations = normal(6, 16, 1), torch.full((6, 1), 0.5, dtype=torch.float64)
    told = torch.full((2, 1), 0.3, dtype=torch.float64)
    told_of = {scale: layer(scale * poses, activations, told)[0][:, :2] for scale in (1e-3, 1.0)}
    torch.testing.assert_close(told_of[1e-3], torch.full_like(told_of[1e-3], 0.3), rtol=1e-3, atol=0)
    assert told_of[1.0].abs().max() < 0.03


def test_fields_are_the_patches_of_the_grid():
    grid = normal(2, 16, 7, 7, 3)
    seen = fields(grid, 2)
    assert seen.shape == (18, 16, 27)
    one = seen[:, :, (1 * 3 + 2) * 3 + 1].reshape(3, 3, 2, 16)  # second row, third column, second image
    torch.testing.assert_close(one, grid[:, :, 2:5, 4:7, 1].permute(2, 3, 0, 1))


def test_a_capsule_decoder_sees_the_chosen_capsule_only():
    decoder = CapsuleDecoder(3, 4, (8, 8))
    vectors, chosen = torch.rand(2, 3, 4), torch.tensor([2, 0])
    other = vectors.clone()
    other[0, :2], other[1, 1:] = 9.0, -9.0
    assert torch.equal(decoder(vectors, chosen), decoder(other, chosen))
    assert not torch.equal(decoder(vectors, chosen), decoder(vectors, chosen.flip(0)))
    assert decoder(vectors, chosen).shape == (2, 1, 28, 28)


@pytest.mark.parametrize(("model", "sizes"), [(CapsNet, NARROW), (MatrixCapsNet, NARROW_EM)])
def test_a_network_reads_each_image_by_itself(model, sizes):
    net, images = model(seed=3, **sizes).double().eval(), torch.rand(5, 1, 28, 28, dtype=torch.float64)
    scores, vectors = net.capsules(images)
    assert scores.shape == (5, 8) and vectors.shape[:2] == (5, 8)
    again = net.capsules(images[[3, 1]])
    torch.testing.assert_close(again[0], scores[[3, 1]])
    torch.testing.assert_close(again[1], vectors[[3, 1]])
    torch.testing.assert_close(
        scores, vectors.norm(dim=2) if model is CapsNet else scores / scores.sum(1, keepdim=True)
    )


def test_class_capsules_carry_their_place():
    net = MatrixCapsNet(seed=3, spread=0.2, **NARROW_EM)
    _, vectors = net.capsules(torch.rand(2, 1, 28, 28))
    middle = torch.full((2, 8, 2), 12 / 28)  # the mean of the 3x3 places
    torch.testing.assert_close(vectors[..., :2], middle, rtol=1e-3, atol=0)
    corner = net.places[[0, 1, 3]] * 28
    assert corner.tolist() == [[8, 8], [12, 8], [8, 12]]


def test_margin_loss_by_hand():
    lengths = torch.tensor([[0.95, 0.05, 0.1], [0.4, 0.3, 0.1]])
    expected = (0 + (0.6**2 + 0.5 * 0.3**2)) / 2
    assert capsules.margin_loss(lengths, torch.tensor([0, 1])).item() == pytest.approx(expected)


def test_spread_loss_by_hand_and_its_margin():
    activations = torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3]])
    loss = capsules.spread_loss(activations, torch.tensor([0, 0]), 0.2)
    assert loss.item() == pytest.approx((0 + (0.3**2 + 0.2**2)) / 2)
    steps = torch.tensor([1, 1200, 1201, 24_000, 24_001, 100_000])
    expected = [0.2, 0.2, 0.235, 0.2 + 19 * 0.035, 0.9, 0.9]
    torch.testing.assert_close(capsules.margins(steps, 1200), torch.tensor(expected))


@pytest.fixture(scope="module")
def few():
    digits = data.eight_digits("test")
    return Images(digits.inputs[:120], digits.labels[:120])


def test_training_lowers_the_loss_and_drawings_are_those_of_the_masks(few):
    net = CapsNet(seed=0, **NARROW)
    history = training.fit_drawn(
        net,
        recognition.turned_batches(few, batch=20, device=torch.device("cpu")),
        capsules.dynamic_loss(),
        seed=0,
        steps=60,
        updates=partial(torch.optim.Adam, lr=5e-3),
        measure_at=(10,),
        measure=capsules.followed(few, few, 50, seed=0, device=torch.device("cpu")),
    )
    assert history["loss"].iloc[1] < 0.9 * history["loss"].iloc[0]
    curves = capsules.curves(history)
    assert curves["curve"].shape == (4, 2) and 0 < curves["curve"].max() <= 1
    net_right = training.accuracy(net, Images(recognition.scaled(few.inputs[:50]), few.labels[:50]))
    assert curves["curve"][2, 1] == pytest.approx(net_right)
    made = capsules.sheet(net, Images(few.inputs[:4], few.labels[:4]), torch.tensor([0.0, 10.0, 90.0, 180.0]))
    images = recognition.scaled(few.inputs[:1])
    scores, vectors = net.capsules(images)
    assert made["named"][0] == scores.argmax()
    assert np.abs(made["inputs"][0].astype(int) - few.inputs[0, 0].numpy()).max() <= 1
    drawing = net.decoder(vectors, few.labels[:1]).detach()[0, 0] * 255
    assert np.abs(made["drawn"][1, 0] - drawing.numpy()).max() <= 1
    shown = capsules.sheets(net, few, seed=0)
    assert shown["turning_named"].shape == (2 * len(capsules.TURNED),)
    upright = shown["turning_inputs"][capsules.TURNED.index(0)].astype(int)
    assert np.abs(upright - few.inputs[few.labels == 3][0, 0].numpy()).max() <= 1
    assert shown["novel_drawn"].shape == (2, capsules.SHEET, 28, 28)
    errors = capsules.drawing_errors(net, few, step=90, every=3, batch=7)
    assert errors["drawing_error"].shape == (2, 3, 4)
    assert errors["drawn_as_other"].shape == (2, 4)
    three = recognition.thinned(Images(*(part[few.labels == 3] for part in few)), 3)
    turned = data.rotate(recognition.scaled(three.inputs), -135.0)
    by_hand = (capsules.drawn(net, turned, three.labels).true - turned).square().mean()
    assert errors["drawing_error"][1, 0, 0] == pytest.approx(by_hand.item(), rel=1e-5)


def test_milestones_grow_apart_and_end_with_the_last_step():
    assert capsules.milestones(90, 3) == [10, 40, 90]
    for steps, looks in ((3, 4), (10, 0)):
        with pytest.raises(ValueError, match=f"{looks} looks do not fit into {steps} steps"):
            capsules.milestones(steps, looks)


def test_the_margin_follows_the_batches_that_were_seen(few):
    net = MatrixCapsNet(seed=0, **NARROW_EM).train()
    images, labels = recognition.scaled(few.inputs[:8]), few.labels[:8]
    heavy, light = (capsules.em_loss(weight, epoch=1)(net, images, labels) for weight in (0.0, 0.0))
    assert net.norm.num_batches_tracked == 2
    activations, _ = net.capsules(images)
    expected = capsules.spread_loss(activations, labels, 0.2 + 0.035)
    assert light.item() == pytest.approx(expected.item(), rel=1e-5)
    assert light > heavy
    drawn = capsules.em_loss(epoch=1)(net, images, labels) - capsules.spread_loss(activations, labels, 0.2 + 3 * 0.035)
    error = (net.decoder(net.capsules(images)[1], labels) - images).square().mean()
    assert drawn.item() == pytest.approx(39.2 * error.item(), rel=1e-4)


def test_trails_keep_the_colour_of_their_ends():
    paths = pd.DataFrame({"net": ["a"] * 3 + ["b"] * 2, "seed": 0, "x": [0.1, 0.5, 0.9, 0.2, 0.4], "y": 0.3})
    ends = pd.DataFrame({"net": ["a", "b", "c"], "x": [0.9, 0.4, 0.7], "y": [0.3, 0.3, 0.1]})
    lines = plots.trails(paths, ends, "x", "y", hue="net", reported=np.array([[0.9, 0.1]]), level=0.1).axes[0].lines
    first, its_end, second = lines[0], lines[1], lines[2]
    assert list(first.get_xdata()) == [0.1, 0.5, 0.9] and first.get_color() == its_end.get_color()
    assert first.get_color() != second.get_color()
    assert [line.get_label() for line in lines if not line.get_label().startswith("_")] == ["a", "b", "c", "reported"]

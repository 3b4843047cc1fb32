"""The method on other tasks: graphs, canvases, colours, and what is measured on them."""

import numpy as np
import pytest
import torch
from torch import nn

from companion.data.canvases import GROUND, INK, LETTER, NOISE, SIDE, canvases, inside
from companion.data.colours import COLOURED, coloured_novelties
from companion.data.images import Images, mnist
from companion.data.superpixels import NODES, superpixels
from companion.models.cnn import CifarCNN
from companion.models.graphs import GraphCNN, adjacency
from companion.models.segmentation import WIDTH, Segmenter
from companion.plots.tasks import graphs, novelty_maps
from companion.reasoning import tasks
from companion.training.evaluation import predictions


@pytest.fixture(scope="module")
def digits():
    return Images(*(part[:200] for part in mnist("test")))


@pytest.fixture(scope="module")
def nodes(digits):
    blank = torch.zeros(1, 1, 28, 28)
    noise = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return superpixels(torch.cat([digits.inputs[:6] / 255, blank, noise]))


def test_superpixels_cover_the_image(digits, nodes):
    assert nodes.shape == (8, NODES, 4) and nodes.dtype == torch.float32
    present = nodes[..., 3] == 1
    assert (nodes[~present] == 0).all() and (present.sum(1) > 40).all()
    assert nodes[6, :, 0].abs().max() == 0 and present[6].all()  # 81 regions of a blank image, joined to 75
    place = nodes[present][:, 1:3]
    assert place.min() > 0 and place.max() < 1
    # Bytes and shares give the same graph, and where the nodes have ink there is some.
    assert torch.allclose(superpixels(digits.inputs[:6]), nodes[:6], atol=1e-6)
    for image, graph in zip(digits.inputs[:6, 0], nodes, strict=False):
        darkest = graph[graph[:, 0].argmax()]
        x, y = (darkest[1:3] * 28).long().tolist()
        assert image[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].max() > 128


def test_superpixels_take_one_channel():
    with pytest.raises(ValueError, match=r"\(2, 3, 28, 28\)"):
        superpixels(torch.zeros(2, 3, 28, 28))


def test_adjacency_is_a_mean_over_the_nearest(nodes):
    weights = adjacency(nodes)
    present = nodes[..., 3] == 1
    assert weights.shape == (8, NODES, NODES) and weights.min() >= 0
    assert torch.allclose(weights.sum(2)[present], torch.ones(()), atol=1e-5)
    assert (weights[~present] == 0).all() and (weights.mT[~present] == 0).all()
    assert (weights.diagonal(dim1=1, dim2=2) == 0).all()
    one = nodes[0, present[0]]
    distance = torch.cdist(one[None, 0, 1:3], one[:, 1:3])[0]
    nearest = distance.argsort()[1:9].tolist()
    assert set(nearest) <= set(weights[0, 0].nonzero()[:, 0].tolist())
    assert weights[0, 0, nearest[0]] >= weights[0, 0, nearest[-1]]


def test_adjacency_needs_more_nodes_than_neighbours(nodes):
    with pytest.raises(ValueError, match="5 nodes has 1 to 4 neighbours, not 8"):
        adjacency(nodes[:, :5])


def test_the_order_of_nodes_does_not_matter(nodes):
    net = GraphCNN(seed=3).double()
    graph = nodes.double()
    order = torch.randperm(NODES, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(net(graph), net(graph[:, order]), atol=1e-10)
    moved = graph.clone()
    moved[:, :, 1] = 1 - moved[:, :, 1]  # but where they lie does
    assert not torch.allclose(net(graph), net(moved), atol=1e-3)


def test_graph_networks_end_as_the_others(nodes):
    net, second = GraphCNN(seed=0), GraphCNN(seed=0, outputs=256, hidden=256)
    assert net(nodes).shape == (8, 10) and net[-1].weight.shape == (10, 256)
    assert net.features(nodes).shape == second(nodes).shape == (8, 256)
    assert torch.allclose(net[-1](net.features(nodes)), net(nodes))
    with pytest.raises(ValueError, match="not 0, 0"):
        GraphCNN(seed=0, outputs=0)


def test_canvases_follow_from_the_seed(digits):
    one, same, other = (canvases(digits, 12, seed=seed, pasted=True) for seed in (1, 1, 2))
    assert all(torch.equal(*parts) for parts in zip(one, same, strict=True))
    assert not torch.equal(one.inputs, other.inputs)
    assert one.inputs.dtype == torch.uint8 and one.inputs.shape == (12, 1, SIDE, SIDE)


@pytest.mark.parametrize("pasted", [False, True])
def test_canvases_are_labelled_where_the_ink_is(digits, pasted):
    found = canvases(digits, 30, seed=0, pasted=pasted)
    ink = found.inputs[:, 0] / 255
    assert (ink[found.labels < GROUND] >= INK - 0.01).all()
    assert (ink[found.labels == GROUND] < INK).all()
    kinds = found.boxes[:, 1].unique().tolist()
    assert (NOISE in kinds and LETTER in kinds) == pasted and max(kinds) == (LETTER if pasted else 9)
    counts = found.boxes[found.boxes[:, 1] < GROUND][:, 0].bincount(minlength=30)
    assert set(counts.tolist()) == ({1, 2} if pasted else {1, 2, 3, 4})
    assert ink[::2][found.labels[::2] == GROUND].max() < INK and ink[1::2].mean() > ink[::2].mean() - 0.1
    outside = found.labels.clone()
    for canvas, label, left, top, right, bottom in found.boxes.tolist():
        assert 0 <= left < right <= SIDE and 0 <= top < bottom <= SIDE
        own = found.labels[canvas, top:bottom, left:right]
        assert set(own.unique().tolist()) <= {label, GROUND}
        # The box is tight: each of its sides touches what it holds.
        assert all((side == label).any() for side in (own[0], own[-1], own[:, 0], own[:, -1]))
        outside[canvas, top:bottom, left:right] = GROUND
    assert (outside == GROUND).all()


def test_inside_is_the_mean_of_a_box():
    values = torch.rand(3, 8, 9, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[0, 5, 0, 0, 9, 8], [2, 1, 3, 2, 5, 7]])
    means = [values[0].mean(), values[2, 2:7, 3:5].mean()]
    assert torch.allclose(inside(values, boxes), torch.stack(means).double())


def test_segmenter_answers_every_pixel():
    net, second = Segmenter(seed=0), Segmenter(seed=0, outputs=WIDTH, hidden=8)
    inputs = torch.zeros(2, 1, SIDE, SIDE, dtype=torch.uint8)
    assert net(inputs).shape == (2, 11, SIDE, SIDE) and second(inputs).shape == (2, WIDTH, SIDE, SIDE)
    assert tasks.pixel_rows(net).shape == (11, WIDTH)
    with pytest.raises(ValueError, match="not 11, -1"):
        Segmenter(seed=0, hidden=-1)


def test_pixel_parts_are_those_of_equation_6(digits):
    net, second = Segmenter(seed=0).eval(), Segmenter(seed=1, outputs=WIDTH).eval()
    inputs = canvases(digits, 3, seed=0).inputs
    answers, nearest, both = tasks.pixel_parts(net, second, inputs, batch=2)
    with torch.no_grad():
        logits, said = net(inputs)[1, :, 20, 30], second(inputs)[1, :, 20, 30]
    rows = tasks.pixel_rows(net)
    assert answers[1, 20, 30] == logits.argmax() and nearest[1, 20, 30] == torch.cdist(said[None], rows).argmin()
    assert torch.isclose(both[0, 1, 20, 30], -logits.softmax(0).max().log(), atol=1e-5)
    assert torch.isclose(both[1, 1, 20, 30], ((said - rows[logits.argmax()]) ** 2).sum(), atol=1e-5)
    loss = tasks.to_rows(rows)
    with torch.no_grad():
        assert torch.isclose(loss(second(inputs), answers), both[1].mean() / WIDTH, atol=1e-5)
    perfect = rows[answers].movedim(-1, 1)
    assert loss(perfect, answers) == 0


def test_pasted_things_are_found_where_a_map_shows_them(digits):
    made = canvases(digits, 20, seed=0, pasted=True)
    shown = (made.labels > GROUND).float()
    found = tasks.found_pasted(made.labels % GROUND, torch.stack([shown, -shown]), made)
    assert np.allclose(found["auroc"], [[1, 0], [1, 0]])
    assert found["recall"][:, 0].tolist() == [1, 1] and found["recall"][:, 1].tolist() == [0, 0]


def test_segmented_of_a_network_that_answers_ground_only(digits):
    net = Segmenter(seed=0).eval()
    nn.init.zeros_(net.last.weight)
    nn.init.zeros_(net.last.bias)
    nn.init.ones_(net.last.bias[GROUND:])
    made = canvases(digits, 4, seed=0)
    found = tasks.segmented(net, Segmenter(seed=1, outputs=WIDTH).eval(), made)
    assert found["digits"] == 0 and found["explained"] == 0
    assert found["accuracy"] == pytest.approx((made.labels == GROUND).double().mean().item())


def test_a_second_network_learns_the_rows(nodes, digits):
    train = Images(nodes[:6], digits.labels[:6])
    vanilla, reason = GraphCNN(seed=0), GraphCNN(seed=0, outputs=256, hidden=256)
    nn.init.normal_(vanilla[-1].weight, generator=torch.Generator().manual_seed(0))
    before = [weights.clone() for weights in vanilla.parameters()]
    code = tasks.second(vanilla, reason, train, seed=0, epochs=60, lr=3e-3)
    assert all(torch.equal(*same) for same in zip(before, vanilla.parameters(), strict=True))
    assert torch.equal(code(train), vanilla[-1].weight[predictions(vanilla, train.inputs)])
    found = tasks.understood(vanilla, reason, code, train)
    assert found["agrees"] == 1 and found["mse"] < 0.1
    scores = tasks.told_apart(vanilla, reason, code, train.inputs, {"same": train.inputs, "new": nodes[6:]}, (0.0, 1.0))
    assert scores["auroc"].shape == (2, len(tasks.SCORES)) and scores["by_lambda"].shape == (2, 2)
    assert np.allclose(scores["auroc"][0], 0.5) and scores["by_lambda"][1, 0] == scores["auroc"][1, 0]


def test_a_second_network_is_built_on_the_first(digits):
    vanilla, reason = Segmenter(seed=0), tasks.built_on(Segmenter(seed=0), Segmenter(seed=1, outputs=WIDTH, hidden=8))
    assert torch.equal(reason.down3[0][0].weight, vanilla.down3[0][0].weight)
    assert torch.equal(reason.last.weight, Segmenter(seed=1, outputs=WIDTH, hidden=8).last.weight)
    reason.down3[0][0].weight.data.zero_()
    assert vanilla.down3[0][0].weight.any()  # a copy


def test_boxes_are_judged_by_what_is_answered_as_a_digit(digits):
    made = canvases(digits, 20, seed=0, pasted=True)
    everywhere = torch.ones(2, *made.labels.shape)  # the same in every box, however full
    found = tasks.found_pasted(made.labels.clamp(max=GROUND), everywhere, made)
    assert found["recall"].tolist() == [[0, 0], [0, 0]]
    assert np.allclose(found["auroc"], 0.5)


def test_activations_are_read_by_the_last_layer(nodes, digits):
    held = Images(nodes[:6], digits.labels[:6])
    vanilla = GraphCNN(seed=0)
    found = tasks.understood(vanilla, vanilla.features, vanilla_features(vanilla), held, target="activations")
    assert found["agrees"] == 1 and found["explained"] == 1


def vanilla_features(vanilla):
    return lambda part: vanilla.features(part.inputs).detach()


def test_colour_networks_end_in_their_rows():
    net = CifarCNN(seed=0, classes=8)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(net.layer_by_layer()(images), net(images), atol=1e-5)
    assert net.layer_by_layer()[-1].weight.shape == (8, 64)


def test_coloured_novelties():
    photographs = torch.randint(256, (5, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    one, same = (coloured_novelties(photographs, seed=4) for _ in range(2))
    assert tuple(one) == COLOURED and all(torch.equal(one[name], same[name]) for name in COLOURED)
    assert all(images.shape == photographs.shape and 0 <= images.min() <= images.max() <= 1 for images in one.values())
    assert torch.equal(one["shuffled"].flatten(1).sort(1).values, (photographs / 255).flatten(1).sort(1).values)
    assert torch.allclose(one["negative"] + photographs / 255, torch.ones(()))
    span = one["coloured digits"].flatten(2)
    assert ((span.amax(2) - span.amin(2)) > 0.2).all()  # ink and paper differ in every colour
    with pytest.raises(ValueError, match="10,001"):
        coloured_novelties(torch.zeros(10_001, 3, 1, 1), seed=0)


def test_classes_left_out():
    images = Images(torch.arange(10), torch.tensor([0, 1, 2, 3, 4, 4, 3, 2, 1, 0]))
    rest, left = tasks.parted(images, [1, 3])
    assert left.tolist() == [1, 3, 6, 8]
    assert rest.inputs.tolist() == [0, 2, 4, 5, 7, 9] and rest.labels.tolist() == [0, 1, 2, 2, 1, 0]
    with pytest.raises(ValueError, match=r"\[7\] cannot be left out"):
        tasks.parted(images, [1, 7])


def test_pictures(nodes):
    drawn = graphs({"a": np.zeros((28, 28)), "b": np.ones((28, 28))}, nodes[:2].numpy(), adjacency(nodes[:2]).numpy())
    assert [ax.get_title() for ax in drawn.axes[:2]] == ["a", "b"]
    blank = np.zeros((2, 8, 8))
    drawn = novelty_maps(blank, blank, {"distance": blank + 0.5}, [[("noise", (1, 1, 4, 4))], []])
    assert len(drawn.axes[0].patches) == 1 and len(drawn.axes[1].patches) == 0

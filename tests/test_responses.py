"""What units respond to, each against a plainer way to find it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from companion import data, models, responses
from companion.plots import gallery as plot
from companion.responses.strongest import corners

SIDES = {"LeNet5": 32, "CifarCNN": 30}


@pytest.fixture
def lenet():
    return responses.layer_by_layer(models.LeNet5(seed=1, coding="[0,1]").double())


@pytest.fixture
def cifar():
    return responses.layer_by_layer(models.CifarCNN(seed=1).double())


@pytest.fixture
def digits():
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (20, 1, 32, 32), generator=draw, dtype=torch.uint8)
    return data.Images(images, torch.arange(20) % 10)


@pytest.fixture
def photos():
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (20, 3, 30, 30), generator=draw, dtype=torch.uint8)
    return data.Images(images, torch.arange(20) % 10)


def test_a_row_of_modules_is_the_network(digits):
    net = models.LeNet5(seed=3).double()
    torch.testing.assert_close(responses.layer_by_layer(net)(digits.inputs), net(digits.inputs))
    with pytest.raises(ValueError, match="'tanh', 'max'"):
        responses.layer_by_layer(models.LeNet5(seed=3, activation="tanh"))
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        responses.layer_by_layer(models.LeNet5(seed=3, border=2))


def test_fields_of_both_networks(lenet, cifar):
    told = [tuple(layer) for layer in responses.hidden_layers(lenet, 32)]
    assert told == [
        ("conv1", 3, 6, 5, 1),
        ("conv2", 6, 16, 14, 2),
        ("dense1", 10, 120, 32, 0),
        ("dense2", 12, 84, 32, 0),
    ]
    told = [tuple(layer) for layer in responses.hidden_layers(cifar, 30)]
    assert told == [
        ("conv1", 3, 32, 3, 1),
        ("conv2", 6, 64, 8, 2),
        ("conv3", 9, 64, 18, 4),
        ("dense1", 12, 64, 30, 0),
    ]
    with pytest.raises(ValueError, match="border"):
        responses.hidden_layers(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU()), 8)


def test_a_unit_sees_its_field_and_all_of_it(cifar):
    """The gradient of one place, in the network without maxima: nonzero in a square, and that is the field."""
    layers = responses.linear(cifar)
    layer = responses.hidden_layers(layers, 30)[2]
    image = torch.rand(1, 3, 30, 30, dtype=torch.double).requires_grad_()
    maps = layers[: layer.stop](image)
    assert maps.shape[2:] == (4, 4)
    (slope,) = torch.autograd.grad(maps[0, 5, 2, 1], image)
    rows, columns = slope[0].abs().sum(0).nonzero().T
    top, left = corners(30, layer, torch.tensor([2 * 4 + 1]))
    assert (rows.min(), rows.max()) == (top, top + layer.field - 1)
    assert (columns.min(), columns.max()) == (left, left + layer.field - 1)


def test_the_linear_network_is_linear(lenet, digits):
    layers = responses.linear(lenet)
    one, other = digits.inputs[:2].double() / 255
    zero = layers(torch.zeros(1, 1, 32, 32, dtype=torch.double))
    together = layers((0.3 * one + 0.6 * other)[None])
    torch.testing.assert_close(together - zero, 0.3 * (layers(one[None]) - zero) + 0.6 * (layers(other[None]) - zero))
    assert any(isinstance(layer, nn.ReLU) for layer in lenet)  # a copy was changed


@pytest.mark.parametrize("which", ["lenet", "cifar"])
def test_responses_are_those_of_the_patches(which, request):
    layers = request.getfixturevalue(which)
    test = request.getfixturevalue("digits" if which == "lenet" else "photos")
    hidden = responses.hidden_layers(layers, test.inputs.shape[-1])
    found = responses.respond(layers, hidden, test.inputs, batch=7)
    for layer, got in zip(hidden, found, strict=True):
        maps = (
            layers[: layer.stop](test.inputs).flatten(2)
            if layer.stride
            else layers[: layer.stop](test.inputs)[..., None]
        )
        torch.testing.assert_close(got.peak, maps.amax(2))
        torch.testing.assert_close(got.mean, maps.mean(2))
        seen = responses.patches(test.inputs, layer, torch.arange(20), got.place[:, 3])
        assert seen.shape[2:] == (layer.field, layer.field)
        torch.testing.assert_close(layers[: layer.stop](seen).flatten(1)[:, 3], got.peak[:, 3])


def test_the_strongest_images_are_distinct_and_in_order(lenet, digits):
    (found,) = responses.respond(lenet, responses.hidden_layers(lenet, 32)[:1], digits.inputs)
    images, places = responses.strongest(found, 9)
    for unit in range(6):
        order = found.peak[:, unit].argsort(descending=True, stable=True)[:9]
        assert images[unit].tolist() == order.tolist() and len(set(order.tolist())) == 9
        assert places[unit].tolist() == found.place[order, unit].tolist()
    assert responses.strongest(found, 50)[0].shape == (6, 20)


def test_selectivity_by_hand():
    labels = torch.arange(10).repeat(2)
    only, same, never, thrice = torch.zeros(20), torch.ones(20), torch.zeros(20), torch.ones(20)
    only[labels == 3], thrice[labels == 7] = 2.0, 3.0
    found = responses.selectivity(torch.stack([only, same, never, thrice], 1), labels)
    torch.testing.assert_close(found, torch.tensor([1, 0, torch.nan, 0.5], dtype=torch.double), equal_nan=True)


def test_preference_is_in_standard_deviations():
    labels = torch.tensor([0, 0, 1, 1])
    told = torch.tensor([[5.0, 1.0], [5.0, 1.0], [1.0, 5.0], [1.0, 5.0]])
    found = responses.preference(told, labels, 0)
    torch.testing.assert_close(found, torch.tensor([4, -4]) / told[:, 0].double().std())
    torch.testing.assert_close(responses.preference(3 * told + 2, labels, 0), found)


def test_the_commonest_label():
    label, count = responses.commonest(torch.tensor([[1, 2, 2], [4, 9, 4], [5, 6, 7]]))
    assert label.tolist() == [2, 4, 5] and count.tolist() == [2, 2, 1]


def by_hand(net, image, unit, rule):
    """One unit of the first dense layer of LeNet-5 sent back with unpooling and transposed convolutions."""
    first = F.relu(net.conv1(image))
    pooled, switches = F.max_pool2d(first, 2, return_indices=True)
    second = F.relu(net.conv2(pooled))
    pooled_again, switches_again = F.max_pool2d(second, 2, return_indices=True)
    positive = net.dense1(pooled_again.flatten(1))[0, unit] > 0

    def rectify(back, forth):
        back = back.clamp(min=0) if rule != "gradient" else back
        return back * (forth > 0) if rule != "deconvnet" else back

    back = net.dense1.weight[unit] * (positive if rule != "deconvnet" else 1)
    back = F.max_unpool2d(back.reshape(1, 16, 5, 5), switches_again, 2, output_size=(10, 10))
    back = F.conv_transpose2d(rectify(back, second), net.conv2.weight)
    back = F.max_unpool2d(back, switches, 2, output_size=(28, 28))
    return F.conv_transpose2d(rectify(back, first), net.conv1.weight)


@pytest.mark.parametrize("rule", responses.RULES)
def test_ways_back_by_hand(rule, digits):
    net = models.LeNet5(seed=1, coding="[0,1]").double()
    layers = responses.layer_by_layer(net)
    layer = responses.hidden_layers(layers, 32)[2]
    images, units = digits.inputs[:3].double() / 255, torch.tensor([7, 30, 119])
    found = responses.backward(layers, layer, images, units, rule)
    wanted = [by_hand(net, image[None], int(unit), rule)[0] for image, unit in zip(images, units, strict=True)]
    torch.testing.assert_close(found, torch.stack(wanted).detach())
    assert found.abs().amax((1, 2, 3)).count_nonzero() >= 2


def test_rules_differ_at_rectifiers_only(lenet, digits):
    layer, units = responses.hidden_layers(lenet, 32)[2], torch.tensor([7, 30])
    images = digits.inputs[:2].double() / 255
    torch.set_grad_enabled(True)
    for layers, alike in ((lenet, False), (responses.linear(lenet), True)):
        one, other, third = (responses.backward(layers, layer, images, units, rule) for rule in responses.RULES)
        assert torch.allclose(one, third) == torch.allclose(other, third) == alike
    before = lenet(images)
    torch.testing.assert_close(lenet(images), before)
    assert not any(layer._backward_hooks or layer._forward_hooks for layer in lenet)
    with pytest.raises(ValueError, match="'lrp'; the rules are deconvnet"):
        responses.backward(lenet, layer, images, units, "lrp")


def test_the_maximal_input_of_a_linear_unit_is_black_and_white(cifar):
    layer, units = responses.hidden_layers(cifar, 30)[0], torch.arange(32)
    colours = torch.rand(3, 50, dtype=torch.double)
    how = dict(seed=0, steps=400) | responses.UNRESTRAINED
    inputs, reached = responses.maximal_inputs(cifar, layer, units, colours, **how)
    weights, bias = cifar[1].weight.detach(), cifar[1].bias.detach()
    torch.testing.assert_close(reached, (weights.clamp(min=0).sum((1, 2, 3)) + bias).clamp(min=0), rtol=0.01, atol=0)
    assert ((inputs > 0.5) == (weights > 0)).double().mean() > 0.97


def test_a_maximal_input_excites_more_than_any_image(lenet, digits):
    hidden, colours = responses.hidden_layers(lenet, 32), torch.rand(1, 50, dtype=torch.double)
    found = responses.respond(lenet, hidden, digits.inputs)
    for layer, got in zip(hidden[1:3], found[1:3], strict=True):
        units = got.peak.amax(0).argsort(descending=True)[:4]
        inputs, reached = responses.maximal_inputs(lenet, layer, units, colours, seed=0, steps=60, starts=2)
        assert inputs.shape == (4, 1, layer.field, layer.field) and inputs.min() >= 0 and inputs.max() <= 1
        torch.testing.assert_close(lenet[: layer.stop](inputs).flatten(1)[range(4), units], reached)
        assert (reached > got.peak.amax(0)[units]).all()
        again, _ = responses.maximal_inputs(lenet, layer, units, colours, seed=0, steps=60, starts=2)
        assert torch.equal(again, inputs)
    told = responses.exceeded(lenet, hidden, found, colours, seed=0, steps=60, starts=1)
    assert told["beaten_unrestrained"][0] == 1  # all units of a linear layer
    assert (told["unrestrained"] > told["restrained"]).all()
    with pytest.raises(ValueError, match="not 0 from 1"):
        responses.maximal_inputs(lenet, hidden[0], torch.tensor([0]), colours, seed=0, steps=0)


def test_blur_makes_maximal_inputs_smooth(cifar):
    layer, colours = responses.hidden_layers(cifar, 30)[2], torch.rand(3, 50, dtype=torch.double)
    rough, smooth = (
        responses.maximal_inputs(cifar, layer, torch.arange(5), colours, seed=0, steps=40, blur=blur)[0].diff(dim=3)
        for blur in (0.0, 0.7)
    )
    assert smooth.abs().mean() < 0.7 * rough.abs().mean()


def test_energy_inside_by_hand():
    images = torch.zeros(3, 2, 2, 2)
    images[0, 0, 0, 0], images[0, 1, 1, 1] = 3, -1
    images[1] = 1
    inside = torch.tensor([[True, False], [False, False]]).expand(3, 2, 2)
    found = responses.energy_inside(images, inside)
    torch.testing.assert_close(found, torch.tensor([0.9, 0.25, torch.nan], dtype=torch.double), equal_nan=True)


def test_the_salient_box_is_where_the_thing_is():
    images = torch.full((2, 3, 30, 30), 90, dtype=torch.uint8)
    images[0, 0, 8:20, 5:15] = 250
    images[1, :, 12:15, 20:27] = 10
    boxes = responses.salient_boxes(images)
    assert boxes.tolist() == [[5, 8, 15, 20], [20, 12, 27, 15]]
    masks = responses.framed(boxes, 30)
    assert torch.equal(masks[0], images[0, 0] == 250) and torch.equal(responses.boxed(images), masks)
    plain = torch.full((1, 3, 30, 30), 90, dtype=torch.uint8)
    assert responses.framed(responses.salient_boxes(plain), 30).double().mean() > 0.8


def test_ink():
    assert responses.ink(torch.tensor([[[[0, 127, 128, 255]]]], dtype=torch.uint8)).tolist() == [
        [[False, False, True, True]]
    ]


def test_numbers_of_a_network_are_those_of_its_parts(lenet, digits):
    with torch.no_grad():
        lenet[4].bias[3] = -1e3  # a silent unit of the second layer
    hidden = responses.hidden_layers(lenet, 32)
    found = responses.respond(lenet, hidden, digits.inputs)
    told = responses.measured(lenet, hidden, found, digits, responses.ink, seed=0)
    alive = (found[1].peak > 0).sum(0) >= 9
    assert not alive[3] and told["silent"][1] == 1 - float(alive.double().mean())
    selective = responses.selectivity(found[1].peak[:, alive], digits.labels)
    assert told["selectivity"][1] == pytest.approx(float(selective.mean()), rel=1e-12)
    counts = responses.commonest(digits.labels[responses.strongest(found[2])[0]])[1]
    counts = counts[(found[2].peak > 0).sum(0) >= 9].double()
    assert told["purity"][2] == pytest.approx(float((counts / 9).mean()))
    assert told["one_class"][2] == float((counts == 9).double().mean())
    assert told["energy"].shape == (4, 2, 3) and told["uniform"].shape == (4, 2)
    np.testing.assert_allclose(told["energy"][0, :, 0], told["energy"][0, :, 2])  # one layer down there is no rectifier
    np.testing.assert_allclose(told["uniform"], 0.5, atol=0.1)  # half of the noise is ink


def test_energy_on_everything_is_one(lenet, digits):
    hidden = responses.hidden_layers(lenet, 32)[:2]
    found = responses.respond(lenet, hidden, digits.inputs)
    told = responses.measured(lenet, hidden, found, digits, lambda images: images[:, 0] >= 0, seed=0)
    np.testing.assert_allclose(told["energy"], 1)
    np.testing.assert_allclose(told["uniform"], 1)


def test_representative_units():
    labels = torch.arange(10).repeat(2)
    peak = torch.zeros(20, 7)
    for unit in range(6):
        peak[:, unit] = 1
        peak[labels == unit, unit] = 2 + unit  # more selective one by one; the last never responds
    found = [responses.Responses(peak, torch.zeros_like(peak, dtype=torch.long), peak)]
    assert responses.representative(found, labels, 3).tolist() == [[5, 3, 1]]
    assert responses.representative(found, labels, 8)[0].max() == 5
    assert responses.representative(found, labels, 1, favour=4).tolist() == [[4]]
    assert responses.representative(found, labels, 7, favour=4)[0, 6] == 4
    silent = [responses.Responses(*(torch.zeros_like(part) for part in found[0]))]
    with pytest.raises(ValueError, match="no unit responds to 9 images"):
        responses.representative(silent, labels, 3)


def test_pictures_of_units(cifar, photos):
    hidden = responses.hidden_layers(cifar, 30)
    found = responses.respond(cifar, hidden, photos.inputs)
    units = responses.representative(found, photos.labels, 2)
    spectrum = torch.rand(3, 50, generator=torch.Generator().manual_seed(0)).double()
    told = responses.pictured(cifar, hidden, found, photos, units, spectrum, seed=0, steps=2, starts=1)
    assert told["top"].shape == (4, 2, 9) and told["maximal"].shape == told["deconv"].shape == (4, 2, 30, 30, 3)
    assert (told["maximal"][1, :, 8:] == 0).all() and (told["maximal"][1, :, :8, :8] > 0).mean() > 0.95
    apart = np.abs(told["deconv"][2, 0, :18, :18].astype(float) - 127.5)
    assert apart.max() == 127.5 and (apart < 2).mean() < 0.9
    best = told["top"][0, 1, 0]
    assert best == found[0].peak[:, units[0, 1]].argmax()


def test_an_image_sent_back(cifar, photos):
    hidden = responses.hidden_layers(cifar, 30)
    found = responses.respond(cifar, hidden, photos.inputs)
    told = responses.sent_back(cifar, hidden, found, photos, image=4)
    for at, layer in enumerate(hidden):
        own = found[at].peak[4] / found[at].peak.amax(0).clamp_min(1e-12)
        assert own[told["unit"][at]] == own.max()
        top, left = told["corner"][at]
        inside = told["back"][at, 0, top : top + layer.field, left : left + layer.field]
        assert {0, 255} & set(np.unique(inside).tolist())
        outside = told["back"][at].copy()
        outside[:, top : top + layer.field, left : left + layer.field] = 128
        assert (outside == 128).all()


def test_a_gallery_hangs_all_triptychs():
    nine = np.arange(9, dtype=np.uint8)[:, None, None].repeat(2, 1).repeat(2, 2) * 30
    one = plot.Triptych(nine, nine[3], nine[5], "unit 1: cat")
    colours = plot.Triptych(*(np.stack([part] * 3, -1) for part in (nine, nine[3], nine[5])), "unit 2: dog")
    figure = plot.gallery({"conv1\nsees 2×2": [one, one], "dense1\nsees all": [colours]})
    assert len(figure.axes) == 9
    written = [text.get_text() for text in figure.texts]
    assert written.count("unit 1: cat") == 2 and {"conv1", "sees 2×2", "unit 2: dog"} <= set(written)
    mosaic = np.asarray(figure.axes[0].images[0].get_array())
    step, half = 56 + plot.WALL, 28 + plot.WALL
    assert mosaic.shape == (3 * step + plot.WALL,) * 2
    np.testing.assert_allclose(mosaic[half::step, half::step] * 255, nine[:, 0, 0].reshape(3, 3), atol=8)
    box = figure.axes[0].get_position().bounds[2] * figure.get_figwidth() * plot.DOTS
    assert box == pytest.approx(len(mosaic))  # one dot for each


def test_views_frame_what_is_seen():
    image = np.zeros((8, 8), np.uint8)
    lines = [("conv1", (2, 3, 4), [image, image]), ("dense1", (0, 0, 8), [image, image])]
    figure = plot.views({"a 7": plot.View(image, lines)}, ["deconvnet", "gradient"])
    axes = figure.subfigs[0].axes
    assert [ax.get_title(loc="center") for ax in axes[:3]] == ["a 7", "deconvnet", "gradient"]
    frame = axes[0].patches[0]
    assert (frame.get_xy(), frame.get_width()) == ((2.5, 1.5), 4)

"""What the future-work notebook is built on: augmentations, filters, relevance, attributes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from companion import models, reasoning, stats
from companion.data.images import Images
from companion.reasoning import attributes, augmentations, filters, relevance


@pytest.fixture
def digits():
    draw = torch.Generator().manual_seed(0)
    images = torch.zeros(12, 1, 28, 28, dtype=torch.uint8)
    images[:, :, 6:22, 8:20] = torch.randint(1, 256, (12, 1, 16, 12), generator=draw).to(torch.uint8)
    return images


def draw(seed=3):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", augmentations.AUGMENTATIONS)
def test_augmentations_start_at_the_image_and_follow_the_seed(kind, digits):
    ink = digits / 255
    assert torch.equal(augmentations.augmented(digits, kind, 0.0, draw()), ink)
    strength = torch.linspace(0, 1, 12)
    one, again, other = (augmentations.augmented(digits, kind, strength, draw(seed)) for seed in (3, 3, 4))
    assert torch.equal(one, again) and one.shape == ink.shape and one.isfinite().all()
    assert torch.equal(one[0], ink[0]) and not torch.equal(one[-1], ink[-1])
    assert torch.equal(one, other) == (kind in ("blur", "contrast"))  # the two without chance
    with torch.device("meta"):  # whatever the default device, it works where the images are
        assert torch.equal(augmentations.augmented(digits, kind, strength, draw()), one)


def test_augmentations_do_what_they_are_called(digits):
    ink = digits / 255
    half_turn = augmentations.augmented(digits, "rotation", 1.0, draw())
    torch.testing.assert_close(half_turn, ink.flip(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(augmentations.augmented(digits, "contrast", 1.0, draw()), 1 - ink)
    erased = augmentations.augmented(torch.ones(500, 1, 28, 28), "erasing", 0.5, draw())
    assert (erased == 0).float().mean().item() == pytest.approx(0.45, abs=0.01)
    blurred = augmentations.augmented(ink, "blur", 0.2, draw())  # by one pixel: no ink is lost
    torch.testing.assert_close(blurred.sum((1, 2, 3)), ink.sum((1, 2, 3)), rtol=1e-3, atol=0)
    patched = augmentations.augmented(ink, "cut-mix", 0.5, draw())
    assert ((patched == ink) | (patched == ink.roll(1, 0))).all() and not torch.equal(patched, ink)
    noise = augmentations.augmented(torch.zeros(50, 1, 28, 28), "noise", 0.5, draw())
    assert noise.std().item() == pytest.approx(augmentations.MOST_NOISE / 2, rel=0.02)
    lines = torch.zeros(2, 1, 28, 28)
    lines[:, :, :, 14] = 1
    sheared = augmentations.augmented(lines, "shear", 0.5, draw())  # one column per row
    assert abs(int(sheared[0, 0, 8].argmax()) - int(sheared[0, 0, 18].argmax())) == 10


@pytest.mark.parametrize(("kind", "strength"), [("mirror", 0.5), ("blur", 1.5)])
def test_augmentations_refuse(kind, strength, digits):
    with pytest.raises(ValueError, match=r"mirror|between 0 and 1"):
        augmentations.augmented(digits, kind, strength, draw())


def test_mixed_keeps_the_order_and_uses_all(digits):
    many = digits.repeat(20, 1, 1, 1)
    changed = augmentations.mixed(many, draw())
    assert changed.shape == many.shape
    rotation, contrast = changed.tensor_split(8)[0], changed.tensor_split(8)[6]
    assert (contrast.amin((1, 2, 3)) > 0).float().mean() > 0.9 and rotation.amin() == 0


class Bright(nn.Module):
    """Reads a 1 in an image of much ink, else a 0."""

    def forward(self, images):
        mean = images.mean((1, 2, 3))
        return torch.stack([torch.full_like(mean, 0.7), mean], 1)


def ink(images):
    return (images / 255 if images.dtype == torch.uint8 else images).mean((1, 2, 3)).numpy()


def test_filters_on_a_made_up_case():
    """Erasing takes ink; a score that counts ink knows what can be read, its negative knows the contrary."""
    full = Images(torch.full((60, 1, 28, 28), 255, dtype=torch.uint8), torch.ones(60, dtype=torch.long))
    given = reasoning.Digits(full, full, full)
    scores = {"equation 6": ink, "noise label": lambda images: -ink(images), "softmax": lambda images: 0 * ink(images)}
    found = filters.sieved(scores, Bright(), given, "erasing", [0.1, 0.5], seed=0)
    assert found["readable"].tolist() == [1, 0]
    assert found["auroc"].tolist() == [1, 0, 0.5, 1]
    assert found["accepted"].tolist() == [[0, 0], [1, 1], [1, 1]]
    assert found["kept"].tolist() == [0, 1, 1] and np.isnan(found["pure"][0]) and found["pure"][1] == 0.5
    np.testing.assert_allclose(found["roc"][:3, 10], [1, 0, 0.5])
    assert np.isnan(found["within"]).all()


def test_roc_has_the_area_that_is_told():
    random = np.random.default_rng(0)
    readable = random.random(4000) < 0.4
    score = np.round(random.normal(size=4000) + readable, 1)  # with ties
    curve = filters._roc(score, readable)
    assert curve[0] >= 0 and curve[-1] == 1 and (np.diff(curve) >= 0).all()
    area = stats.auroc(score[readable], score[~readable])
    assert np.trapezoid(curve, filters.GRID) == pytest.approx(area, abs=0.01)
    assert np.isnan(filters._roc(score, readable | True)).all()


def test_kept_copies_stand_beside_the_plain_digits(digits):
    train = Images(digits, torch.arange(12))
    extra = 1 - digits / 255
    kept = torch.arange(12) % 2 == 0
    both = filters.with_kept(train, extra, kept)
    torch.testing.assert_close(both.inputs[:12], digits / 255)
    torch.testing.assert_close(both.inputs[12:][kept], extra[kept])
    torch.testing.assert_close(both.inputs[12:][~kept], digits[~kept] / 255)
    assert both.labels.tolist() == [*range(12), *range(12)]


@pytest.fixture
def pair():
    vanilla, reason = models.DigitCNN(seed=1).double(), models.DigitCNN(seed=2, outputs=256, hidden=256).double()
    return vanilla, reason


@torch.no_grad()
def without_biases(net):
    for layer in net:
        if getattr(layer, "bias", None) is not None:
            layer.bias.zero_()
    return net


def test_relevance_is_conserved_where_there_are_no_biases(pair):
    vanilla, reason = map(without_biases, pair)
    images = torch.rand(5, 1, 28, 28, generator=draw(), dtype=torch.double)
    classes = torch.arange(5)
    found = relevance.relevance(relevance.logits(vanilla), images, classes, epsilon=1e-12)
    torch.testing.assert_close(found.sum((1, 2, 3)), vanilla(images)[range(5), classes].detach())
    near = relevance.nearness(reason, torch.zeros(5, 256, dtype=torch.double))
    found = relevance.relevance(near, images, torch.zeros_like(classes), epsilon=1e-12)
    torch.testing.assert_close(found.sum((1, 2, 3)), -(reason(images) ** 2).sum(1).detach())
    light = relevance.coarse(relevance.logits(vanilla), images, classes)
    assert light.shape == (5, 4, 4)
    spread = relevance.spread(light)
    assert spread.shape == images.shape
    torch.testing.assert_close(spread.sum((1, 2, 3)), light.sum((1, 2)))


def test_without_epsilon_relevance_is_gradient_times_input(pair):
    images = torch.rand(5, 1, 28, 28, generator=draw(), dtype=torch.double)
    for layers, place in relevance.both(*pair, images).values():
        exact = relevance.gradient_times_input(layers, images, place)
        for epsilon, alike in ((1e-12, True), (0.5, False)):
            found = relevance.relevance(layers, images, place, epsilon=epsilon)
            assert torch.allclose(found, exact, rtol=1e-5, atol=1e-6 * float(exact.abs().max())) == alike


def test_nearness_is_minus_the_distance_of_equation_6(pair):
    vanilla, reason = pair
    images = torch.rand(5, 1, 28, 28, generator=draw(), dtype=torch.double)
    layers, place = relevance.both(vanilla, reason, images)["nearness"]
    code = reasoning.reason_of(vanilla, "weights", seed=0)
    distance = reasoning.pairs.parts(vanilla, reason, code, images)[1]
    np.testing.assert_allclose(layers(images)[:, 0].detach(), -distance, rtol=1e-9)
    assert not place.any()


def test_spread_lies_where_the_entry_looks():
    """A change outside its field leaves an entry of the 4x4 maps as it is."""
    entry = torch.zeros(1, 4, 4)
    entry[0, 1, 2] = 1
    reach = relevance.spread(entry)[0, 0] > 0
    trunk = nn.Sequential(*list(models.DigitCNN(seed=0))[1:7])
    image = torch.rand(1, 1, 28, 28, generator=draw())
    other = torch.where(reach, image, torch.rand(image.shape, generator=draw(9)))
    assert torch.equal(trunk(image)[..., 1, 2], trunk(other)[..., 1, 2])
    assert not torch.equal(trunk(image), trunk(other)) and reach.sum() == 16 * 16


def test_pixel_flipping_by_hand():
    image = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]])
    weights = torch.tensor([[[[1.0, 8.0], [2.0, 4.0]]]])
    value = lambda images: (images * weights).sum((1, 2, 3))  # noqa: E731
    np.testing.assert_array_equal(relevance.pixel_flipping(value, image, weights, each=1, steps=3), [10, 2, 6, 4])
    np.testing.assert_array_equal(relevance.pixel_flipping(value, image, -weights, each=2, steps=2), [10, 9, 5])


def test_relevance_leaves_the_network_alone(pair):
    vanilla, _ = pair
    before = {name: value.clone() for name, value in vanilla.state_dict().items()}
    images = torch.rand(3, 1, 28, 28, generator=draw(), dtype=torch.double)
    relevance.rankings(relevance.logits(vanilla), images, torch.zeros(3, dtype=torch.long), seed=0)
    assert all(torch.equal(before[name], value) for name, value in vanilla.state_dict().items())
    assert not any(hasattr(layer, "rule") for layer in vanilla)


def drawing(*lines):
    image = np.zeros((28, 28), np.uint8)
    for rows, columns in lines:
        image[rows, columns] = 255
    return image


def told(image):
    return dict(zip(attributes.ATTRIBUTES, attributes.measured(image[None])[0], strict=True))


def test_attributes_of_drawn_shapes():
    bar = told(drawing((slice(4, 24), slice(12, 15))))
    assert bar["holes"] == 0 and bar["slant"] == pytest.approx(0, abs=1e-9)
    assert bar["thickness"] == pytest.approx(3, abs=0.3) and (bar["width"], bar["height"]) == (3, 20)
    assert bar["ink"] == pytest.approx(60 / 784)
    eight = drawing((slice(4, 24), slice(8, 20)))
    eight[6:13, 10:18] = eight[15:22, 10:18] = 0
    assert told(eight)["holes"] == 2 and told(eight)["thickness"] == pytest.approx(2, abs=1)
    eight[4:6, 12:14] = 0  # the upper loop is opened
    assert told(eight)["holes"] == 1
    leaning = drawing(*((24 - k, slice(4 + k, 6 + k)) for k in range(20)))  # one to the right per row upwards
    assert told(leaning)["slant"] == pytest.approx(45, abs=1)
    assert told(leaning[:, ::-1])["slant"] == pytest.approx(-45, abs=1)
    assert set(told(drawing()).values()) == {0.0}


def test_ridge_finds_what_is_there_and_nothing_else():
    random = np.random.default_rng(0)
    features = random.normal(size=(400, 20))
    values = np.stack([features @ random.normal(size=20), random.normal(size=400)], 1)
    predicted = attributes.ridge(features[:200], values[:200], features[200:])
    found = attributes.explained(values[200:], predicted)
    assert found[0] > 0.999 and -0.1 < found[1] < 0.1
    constant = attributes.explained(np.array([[2.0, 0.0], [2.0, 1.0]]), np.array([[2.0, 0.0], [2.0, 1.0]]))
    np.testing.assert_array_equal(constant, [np.nan, 1])


def test_ridge_agrees_with_leaving_one_out():
    random = np.random.default_rng(1)
    features, values = random.normal(size=(30, 12)), random.normal(size=(30, 1))
    values += features[:, :1]

    def plain(known, target, asked, penalty):
        centre, scale = features.mean(0), features.std(0).max()
        known, asked = (known - centre) / scale, (asked - centre) / scale
        known, middle = known - known.mean(0), known.mean(0)
        weights = np.linalg.solve(known.T @ known + penalty * np.eye(12), known.T @ (target - target.mean(0)))
        return target.mean(0) + (asked - middle) @ weights

    errors = []
    for penalty in attributes.PENALTIES:
        left = [np.delete(np.arange(30), k) for k in range(30)]
        errors.append(
            sum(
                ((values[k] - plain(features[rest], values[rest], features[[k]], penalty)) ** 2).sum()
                for k, rest in enumerate(left)
            )
        )
    best = attributes.PENALTIES[np.argmin(errors)]
    np.testing.assert_allclose(
        attributes.ridge(features, values, features), plain(features, values, features, best), rtol=1e-6
    )


def test_a_class_tells_nothing_within_itself():
    random = np.random.default_rng(0)
    classes = np.arange(600) % 3
    own = random.normal(size=600)
    values = (10.0 * classes + own)[:, None]
    rows = np.eye(3)[classes]
    found = attributes.probed({"row": rows, "all": np.column_stack([rows, own])}, values, classes)
    assert found["explained"][0, 0] > 0.95 and abs(found["within"][0, 0]) < 0.05
    assert found["within"][1, 0] > 0.99
    assert found["predicted"].shape == (2, 300, 1)


def test_spaced():
    values = np.array([5.0, 1.0, 9.0, 3.0, 7.0])
    assert attributes.spaced(values, values < 8, n=2).tolist() == [1, 4]
    assert attributes.spaced(values, values > 0, n=5).tolist() == [1, 3, 0, 4, 2]


def test_a_small_study_runs_and_repeats():
    given = reasoning.digits(0, images=400)
    given = given._replace(test=Images(*(part[:16] for part in given.test)))
    settings = dict(seed=0, lr=3e-3, epochs=1)

    def once():
        scores = filters.filters(given, **settings)
        judge = filters.judge(given, "blur", width=2, **settings)
        extra = augmentations.mixed(given.train.inputs, draw())
        return filters.sieved(scores, judge, given, "blur", [0.2, 1.0], seed=0), filters.chosen(
            scores, judge, given, extra, seed=0
        )

    (one, kept), (again, _) = once(), once()
    for name, value in one.items():
        np.testing.assert_array_equal(value, again[name])
    assert tuple(kept) == filters.ARMS and not kept["none"].any() and kept["all"].all()
    assert kept["chance"].sum() == kept["equation 6"].sum()

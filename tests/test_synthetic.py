from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.data.mosaics import Mosaics, draw_mosaics, focused_average
from companion.data.synthetic import GEOMETRIES, PLANE_MEANS, two_planes

angles = st.floats(-85, 85)
ROOT13 = math.sqrt(13)
LABELS = torch.arange(200) % 10


# Two planes


@settings(max_examples=30, deadline=None)
@given(angle=angles, seed=st.integers(0, 99), geometry=st.sampled_from(GEOMETRIES))
def test_the_foreground_lies_in_the_tilted_plane_and_the_background_in_the_flat_one(angle, seed, geometry):
    (x, y, z), labels = (values := two_planes(300, angle=angle, seed=seed, geometry=geometry)).inputs.T, values.labels
    foreground = labels < 3
    assert values.inputs.shape == (300, 3) and values.inputs.dtype == torch.float64 and labels.dtype == torch.int64
    assert not z[~foreground].any()
    # 2x + 3y = c z with c = sqrt(13) / tan(angle), multiplied out so that an angle of 0 is no special case
    slope = math.tan(math.radians(angle)) * (2 * x + 3 * y) / ROOT13
    torch.testing.assert_close(z[foreground], slope[foreground], rtol=1e-9, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(angle=angles, seed=st.integers(0, 99))
def test_lifting_keeps_x_and_y_and_turning_keeps_distances(angle, seed):
    flat = two_planes(100, angle=0, seed=seed)
    lifted = two_planes(100, angle=angle, seed=seed)
    turned = two_planes(100, angle=angle, seed=seed, geometry="rotated")
    foreground = flat.labels < 3
    for tilted in (lifted, turned):
        assert torch.equal(tilted.labels, flat.labels)
        assert torch.equal(tilted.inputs[~foreground], flat.inputs[~foreground])
    assert torch.equal(lifted.inputs[:, :2], flat.inputs[:, :2])
    before, after = (torch.cdist(p, p) for p in (flat.inputs[foreground], turned.inputs[foreground]))
    torch.testing.assert_close(after, before, rtol=1e-6, atol=1e-6)
    across = torch.tensor([3, -2, 0], dtype=torch.float64) / ROOT13  # the line in which the planes meet stays
    torch.testing.assert_close(turned.inputs @ across, flat.inputs @ across)


def test_lifting_moves_the_foreground_classes_apart():
    flat, lifted = (two_planes(500, angle=angle, seed=0) for angle in (0, 80))
    foreground = flat.labels < 3
    spread = [torch.pdist(points.inputs[foreground]).mean() for points in (flat, lifted)]
    assert spread[1] > 2 * spread[0]


def test_at_no_angle_both_geometries_are_the_same_flat_points():
    lifted, rotated = (two_planes(100, angle=0, seed=0, geometry=geometry) for geometry in GEOMETRIES)
    assert torch.equal(lifted.inputs, rotated.inputs) and not lifted.inputs[:, 2].any()


@pytest.mark.parametrize("angle", [90, -90, 270.0])
def test_a_right_angle_cannot_be_lifted_but_turned(angle):
    with pytest.raises(ValueError, match=f"a plane cannot be lifted to {angle} degrees; use geometry='rotated'"):
        two_planes(5, angle=angle, seed=0)
    points = two_planes(200, angle=angle, seed=0, geometry="rotated")
    flat = two_planes(200, angle=0, seed=0)
    foreground = flat.labels < 3
    x, y, z = points.inputs[foreground].T
    assert (2 * x + 3 * y).abs().max() < 1e-12  # upright: nothing is left along the slope
    assert z.abs().max() > 1


def test_an_unknown_geometry_is_named_with_those_allowed():
    with pytest.raises(ValueError, match="unknown geometry 'bent'; the geometries are lifted, rotated"):
        two_planes(5, angle=0, seed=0, geometry="bent")


def test_classes_are_uniform_around_their_means():
    points = two_planes(20_000, angle=0, seed=0, sd=0.25)
    counts = torch.bincount(points.labels, minlength=10)
    assert len(counts) == 10 and (counts - 2000).abs().max() < 5 * math.sqrt(1800)
    for label, mean in enumerate(PLANE_MEANS):
        group = points.inputs[points.labels == label, :2]
        torch.testing.assert_close(group.mean(0), mean, rtol=0, atol=0.03)
        torch.testing.assert_close(group.std(0), torch.full((2,), 0.25, dtype=torch.float64), rtol=0.1, atol=0)


def test_noise_lifts_the_background_only_and_disturbs_nothing_else():
    quiet, noisy = (two_planes(5_000, angle=30, seed=0, background_noise=noise) for noise in (0.0, 0.5))
    foreground = quiet.labels < 3
    assert torch.equal(quiet.inputs[:, :2], noisy.inputs[:, :2]) and torch.equal(quiet.labels, noisy.labels)
    assert torch.equal(quiet.inputs[foreground], noisy.inputs[foreground])
    assert noisy.inputs[~foreground, 2].std().item() == pytest.approx(0.5, rel=0.05)


def test_points_and_mosaics_are_seeded_and_leave_the_global_generator():
    before = torch.get_rng_state()
    makers = (
        lambda seed: two_planes(50, angle=20, seed=seed),
        lambda seed: draw_mosaics(LABELS, (0, 1, 2), n=50, seed=seed),
    )
    for make in makers:
        first, again, other = make(0), make(0), make(1)
        assert all(map(torch.equal, first, again)) and not any(map(torch.equal, first, other))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("made_up", ["points", "mosaics"])
def test_a_default_device_changes_no_draw(made_up):
    def draw():
        if made_up == "points":
            return two_planes(10, angle=20, seed=0)
        return draw_mosaics(LABELS, (0, 1, 2), n=10, seed=0)

    usual = draw()
    with torch.device("meta"):  # stands for an accelerator; a sweep on CUDA runs its units under such a default
        assert all(map(torch.equal, usual, draw()))


# Mosaics


@settings(max_examples=30, deadline=None)
@given(foreground=st.sets(st.integers(0, 9), min_size=1, max_size=9), n=st.integers(0, 40), seed=st.integers(0, 99))
def test_mosaics_draw_every_item_from_its_pool(foreground, n, seed):
    mosaics = draw_mosaics(LABELS, sorted(foreground), n=n, seed=seed)
    assert [tuple(part.shape) for part in mosaics] == [(n,), (n, 8), (n,)]
    assert all(part.dtype == torch.int64 for part in mosaics)
    assert {int(label) for label in LABELS[mosaics.foreground]} <= foreground
    assert not {int(label) for label in LABELS[mosaics.background].flatten()} & foreground
    assert ((mosaics.position >= 0) & (mosaics.position <= 8)).all()


def test_mosaics_draw_items_and_positions_uniformly_with_replacement():
    mosaics = draw_mosaics(LABELS, (7, 8, 9), n=18_000, seed=0)
    for values, kinds in ((mosaics.position, 9), (mosaics.foreground, 60), (mosaics.background, 140)):
        counts = torch.bincount(values.flatten())
        counts = counts[counts > 0].double()
        mean = values.numel() / kinds
        assert len(counts) == kinds and ((counts - mean).abs() < 5 * math.sqrt(mean)).all()
    repeated = mosaics.background.sort(1).values.diff(dim=1) == 0
    assert 0.1 < repeated.any(1).double().mean() < 0.3  # 8 of 140 with replacement: about 0.18


@pytest.mark.parametrize(
    ("foreground", "missing"), [((), "foreground"), ((11,), "foreground"), (range(10), "background")]
)
def test_an_empty_pool_is_refused(foreground, missing):
    with pytest.raises(ValueError, match=f"no {missing} item: the foreground classes are \\["):
        draw_mosaics(LABELS, foreground, n=3, seed=0)


@settings(max_examples=20, deadline=None)
@given(focus=st.floats(0, 1), seed=st.integers(0, 99))
def test_the_focused_average_is_the_weighted_mean_of_nine_items(focus, seed):
    items = torch.randn(len(LABELS), 2, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    mosaics = draw_mosaics(LABELS, (0, 1, 2), n=6, seed=seed)
    averages = focused_average(items, mosaics, focus)
    assert averages.shape == (6, 2, 3) and averages.dtype == torch.float64
    for average, front, backs in zip(averages, mosaics.foreground, mosaics.background, strict=True):
        expected = focus * items[front]
        for back in backs:
            expected = expected + (1 - focus) / 8 * items[back]
        torch.testing.assert_close(average, expected, rtol=1e-12, atol=1e-12)


def test_focus_ends_at_the_foreground_the_background_and_the_plain_mean():
    items = torch.arange(20.0)[:, None]
    mosaics = Mosaics(torch.tensor([3]), torch.arange(10, 18)[None], torch.tensor([0]))
    assert [focused_average(items, mosaics, focus).item() for focus in (1, 0)] == [3, 13.5]
    assert focused_average(items, mosaics, 1 / 9).item() == pytest.approx((3 + 8 * 13.5) / 9)


@pytest.mark.parametrize("focus", [-0.1, 1.1, float("nan")])
def test_a_focus_that_is_no_share_is_refused(focus):
    with pytest.raises(ValueError, match=f"between 0 and 1, not {focus}"):
        focused_average(torch.zeros(20, 1), draw_mosaics(LABELS, (0,), n=1, seed=0), focus)

"""The authors' further experiments: capsules that write to a map, computed weights, and what is measured of them."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from companion import data
from companion.invariance import follow_ups, regions
from companion.invariance.follow_ups import restoring_error
from companion.invariance.other_poses import AffineMaps, SteppedTurns
from companion.invariance.poses import Turns, errors, scaled
from companion.models import ControlledCode, GenerativeCapsules, PixelMatrix, Readdressed
from companion.models.generative_capsules import in_cells, splat

TINY = dict(width=1 / 32, side=8, steps=2, batch=4, tests=1, every=5)


def count(net):
    """Number of parameters."""
    return sum(weights.numel() for weights in net.parameters())


def test_a_vector_is_shared_by_the_four_cells_around_it():
    positions = torch.tensor([[[1.0, 2.0], [0.25, 3.0], [-1.0, 0.0], [3.5, 0.0]]])
    values = torch.tensor([[[1.0, 10.0], [4.0, 0.0], [7.0, 7.0], [0.0, 2.0]]])
    written = splat(positions, values, 4)
    expected = torch.zeros(1, 2, 4, 4)
    expected[0, :, 1, 2] = torch.tensor([1.0, 10.0])
    expected[0, 0, 0, 3], expected[0, 0, 1, 3] = 3.0, 1.0
    expected[0, 1, 3, 0] = 1.0  # half of it, beyond the last row, is lost; so is all of the third
    torch.testing.assert_close(written, expected)
    torch.testing.assert_close(in_cells(torch.tensor([-1.0, 0.0, 1.0]), 7), torch.tensor([0.0, 3.0, 6.0]))


def test_capsules_that_move_move_what_they_write():
    positions, values = torch.rand(2, 5, 2) * 3 + 1, torch.rand(2, 5, 3)
    one, other = splat(positions, values, 9), splat(positions + torch.tensor([2.0, 1.0]), values, 9)
    torch.testing.assert_close(other[:, :, 2:, 1:], one[:, :, :-2, :-1])


def test_sizes_are_the_published_ones():
    assert count(PixelMatrix(seed=None)) == 39_952_832
    assert count(Readdressed(seed=0)) == 26_759
    assert round(count(PixelMatrix(seed=None, pose=0)) / 1e6, 1) == 301.8
    assert count(ControlledCode(seed=0, pose=6)) == 3_004_169


def test_a_softmax_of_pixels_keeps_their_range_and_flat_images():
    net = PixelMatrix(seed=0, side=8)
    with torch.no_grad():
        flat = net(torch.full((2, 1, 8, 8), 0.3), torch.randn(2, 2))
        image = torch.rand(2, 1, 8, 8)
        drawn = net(image, torch.randn(2, 2))
    torch.testing.assert_close(flat, torch.full((2, 1, 8, 8), 0.3))
    assert image.min() <= drawn.min() and drawn.max() <= image.max()


def test_readdressing_in_place_draws_the_map_as_it_is():
    net = Readdressed(seed=0)
    rows, columns = torch.meshgrid(torch.arange(7.0), torch.arange(7.0), indexing="ij")
    with torch.no_grad():
        net.addresses[0].weight.zero_()
        net.addresses[0].bias.copy_(torch.stack([rows, columns], -1).flatten() / 3 - 1)
        maps = torch.rand(2, 32, 7, 7)
        torch.testing.assert_close(net.decode(maps, torch.randn(2, 2)), net.draw(maps))


@pytest.mark.parametrize("kind", ["continuous", "digits", "address"])
def test_capsules_draw_what_their_code_and_pose_say(kind):
    net = GenerativeCapsules(
        seed=0, kind=kind, code=12, encoder_maps=(2, 3), dense=8, hidden=8, capsules=4, maps=5, drawn_maps=3, canvas=20
    )
    images, poses = torch.rand(3, 1, 28, 28), torch.randn(3, 2)
    with torch.no_grad():
        drawn = net(images, poses)
        assert drawn.shape == (3, 1, 20, 20)
        torch.testing.assert_close(drawn, net.decode(net.encode(images), poses))
        assert not torch.allclose(drawn, net(images, -poses))
        codes = net.encode(images)
        codes[:, :10] += 5  # a softmax does not see it
        assert torch.allclose(net.decode(codes, poses), drawn, atol=1e-6) == (kind == "digits")


def test_capsules_of_digits_have_nets_of_their_own():
    net = GenerativeCapsules(seed=0, kind="digits", code=12, capsules=3, maps=4)
    first = net.write.positions[0]
    capsules = torch.randn(2, 3, 10)
    expected = torch.stack([layer(capsules[:, i]) for i, layer in enumerate(first)], 1)
    torch.testing.assert_close(first(capsules), expected)
    assert not torch.equal(first[0].weight, first[1].weight)


def test_impossible_networks_are_refused():
    with pytest.raises(ValueError, match="unknown kind 'words'"):
        GenerativeCapsules(seed=0, kind="words")
    with pytest.raises(ValueError, match="more than 10 numbers, not 10"):
        GenerativeCapsules(seed=0, kind="digits")
    with pytest.raises(ValueError, match="multiple of 4"):
        GenerativeCapsules(seed=0, canvas=30)
    with pytest.raises(ValueError, match="unknown design 'ae'"):
        follow_ups.study("ae", seed=0)


def test_turns_in_steps_meet_every_step_of_their_range():
    labels = torch.arange(10).repeat(400)
    drawn = SteppedTurns().draw(labels, torch.Generator().manual_seed(0))
    held = (labels == 4) | (labels == 9)
    assert drawn[held].unique().tolist() == [float(angle) for angle in range(-45, 45, 9)]
    assert drawn[~held].unique().tolist() == [float(angle) for angle in range(-180, 180, 36)]


def test_affine_maps_are_those_of_pillow():
    maps, images = AffineMaps(), scaled(data.mnist("test").inputs[:20])
    poses = maps.draw(torch.arange(20), torch.Generator().manual_seed(0))
    assert -1 <= poses.min() < -0.9 and 0.9 < poses.max() <= 1
    told, mapped = maps.code(poses), maps.apply(images, poses)
    for image, numbers, ours in zip(images, told, mapped, strict=True):
        theirs = Image.fromarray((image[0] + 1).numpy()).transform(
            (28, 28), Image.Transform.AFFINE, numbers.tolist(), resample=Image.Resampling.BILINEAR
        )
        np.testing.assert_allclose(ours[0], np.asarray(theirs) - 1, atol=2e-4)


def test_a_turn_among_affine_maps_turns_about_the_centre():
    shares = torch.tensor([[0.5, -1.5, -1.5, -0.6, -0.6, 0.0, 0.0]])  # no shear, no scale, no shift
    image = scaled(data.mnist("test").inputs[:1])
    turned = AffineMaps().apply(image, shares)
    torch.testing.assert_close(turned, Turns().apply(image, torch.tensor([-90.0])), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", follow_ups.DESIGNS)
def test_every_design_is_trained_and_measured(name):
    result = follow_ups.study(name, seed=0, **TINY)
    moves = follow_ups.DESIGNS[name].moves
    shape = {"turns": (40, 10), "shifts": (20, 10), "maps": (10,)}[moves]
    assert result["errors"].shape == shape and np.isfinite(result["errors"]).all()
    if moves != "maps":
        wanted = follow_ups.expected_pictures(moves, 8 if follow_ups.DESIGNS[name].coarse else 28)
        assert result["drawn"].shape == wanted.shape and wanted.dtype == np.uint8


def test_half_of_the_range_is_half_for_all():
    labels = torch.arange(10).repeat(200)
    drawn = follow_ups.HALF.draw(labels, torch.Generator().manual_seed(0))
    assert -90 <= drawn.min() < -85 and 85 < drawn.max() <= 90
    single = follow_ups.ONE_ANGLE.draw(labels, torch.Generator().manual_seed(0))
    assert set(single[labels == 4].tolist()) == {18.0} and single[labels == 5].unique().numel() > 100


class Unturner(torch.nn.Module):
    """Turns every image back by a quarter."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, images, poses):
        assert poses.shape == (len(images), 0)
        return images.rot90(-1, (2, 3)) * self.weight


def test_undoing_is_measured_against_the_upright_image():
    inputs = data.mnist("test").inputs[:6]
    found = errors(Unturner(), inputs, torch.tensor([0.0, 90.0]), Turns(), measure=restoring_error, batch=4)
    assert found.shape == (2, 6)
    assert found[1].max() < 1e-6
    upright = scaled(inputs)
    torch.testing.assert_close(found[0], (upright.rot90(-1, (2, 3)) - upright).square().mean((1, 2, 3)))


def test_coarse_digits_are_means_of_pixels():
    digits = follow_ups.first_of_each(data.mnist("test"), 2)
    assert digits.labels.tolist() == sorted([*range(10)] * 2)
    small = follow_ups.coarse(digits, 14)
    expected = digits.inputs[3, 0, 10:12, 12:14].float().mean().round()
    assert small.inputs.shape == (20, 1, 14, 14) and small.inputs[3, 0, 5, 6] == expected
    assert follow_ups.coarse(digits, 28) is digits


def test_pictures_are_bytes_between_black_and_white():
    shades = follow_ups.in_bytes(torch.tensor([-1.2, -1.0, 0.0, 1.0]))
    assert shades.tolist() == [0, 0, 128, 255]


def test_regions_follow_what_was_trained():
    degrees = follow_ups.ANGLES[::5]
    usual, half = regions.columns("ae_z10", 5), regions.columns("ae_half", 5)
    assert degrees[usual["in"]].tolist() == [a for a in range(-45, 46, 9) if a != 0]
    assert abs(degrees[half["in"]]).max() == 81 and abs(degrees[half["out"]]).min() == 108
    assert degrees[usual["at18"]].tolist() == [18] and degrees[usual["p0"]].tolist() == [0]
    shifts = regions.columns("ae_shift", 5), regions.columns("ae_halfshift", 5)
    assert [follow_ups.SHIFTS[part["in"]].tolist() for part in shifts] == [[-4, -2, 0, 2, 4], list(range(-10, 10, 2))]
    assert [int(part.sum()) for part in regions.columns("ae_z10", 1).values()] == [44, 128, 42, 1, 1]
    with pytest.raises(ValueError, match="no table of poses"):
        regions.columns("hn_affine_conv", 5)
    steps = {name: degrees[part].tolist() for name, part in regions.steps_of_36(5).items()}
    assert steps["in"] == [-36, 36] and steps["out"] == [-144, -108, -72, 72, 108, 144]
    assert steps["between"] == [-162, -126, -54, -18, 18, 54, 126, 162] and 0 in steps["sharp in"]


def test_means_by_region():
    errors = np.where(regions.columns("ae_z10", 5)["out"][:, None], 3.0, 1.0) * np.arange(1.0, 11.0)
    table = pd.DataFrame({"name": ["ae_z10"], "seed": [7], "errors": [errors]})
    found = regions.by_region(table, 5).set_index("digit")
    assert found.loc["d4", "in"] == 5 and found.loc["d4", "out"] == 15 and found.loc["o8", "ratio"] == 3
    assert found.loc["o8", "in"] == pytest.approx(np.mean([1, 2, 3, 4, 6, 7, 8, 9]))
    assert (found["seed"] == 7).all()

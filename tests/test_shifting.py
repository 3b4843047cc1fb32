"""Autoencoders of shifted digits: the decoder that shares its weights, and what is measured of a drawing."""

import numpy as np
import pytest
import torch
from torch import nn

from companion import data, plots
from companion.invariance import curves, shifting
from companion.invariance.follow_ups import first_of_each
from companion.invariance.poses import Shifts, errors, scaled
from companion.models import CoordinateAutoencoder, PosedAutoencoder

SMALL = dict(seed=0, encoder_maps=(2, 4), decoder_maps=(4, 3), dense=16)


def count(net):
    """Number of parameters."""
    return sum(weights.numel() for weights in net.parameters())


class Perfect(nn.Module):
    """Draws what is asked for, moved by `aside` pixels to the right; its code is the image."""

    def __init__(self, aside=0):
        super().__init__()
        self.aside, self.nothing = aside, nn.Parameter(torch.zeros(1))

    def encode(self, images):
        """Return the images."""
        return images

    def decode(self, codes, poses):
        """Return the canvases."""
        shifts = (20 * poses).round().long() + torch.tensor([0, self.aside])
        return Shifts().apply(codes, shifts)


class Reader(nn.Module):
    """Reads an image as a digit that its ink tells: 0 for none, 3 for some."""

    def forward(self, images):
        """Return logits."""
        return nn.functional.one_hot(3 * (images.sum((1, 2, 3)) > 1).long(), 10).float()


def test_the_shared_decoder_has_the_layers_of_the_dense_one_at_one_place():
    full = dict(seed=0, decoder_maps=(256, 128))
    encoder = 6_566_090
    assert (
        count(CoordinateAutoencoder(**full)) == encoder + 13 * 1024 + 1025 * 256 + 256 * 128 * 16 + 128 + 128 * 16 + 1
    )
    small = PosedAutoencoder(**SMALL, canvas=68), CoordinateAutoencoder(**SMALL)
    shape = torch.zeros(3, 1, 28, 28), torch.zeros(3, 2)
    assert small[0](*shape).shape == small[1](*shape).shape == (3, 1, 68, 68)
    assert CoordinateAutoencoder(**SMALL, places="absolute").dense2.in_features == 14
    with pytest.raises(ValueError, match="relative, absolute, not 'polar'"):
        CoordinateAutoencoder(seed=0, places="polar")
    for canvas in (28, 66):
        with pytest.raises(ValueError, match=f"not {canvas}"):
            CoordinateAutoencoder(seed=0, canvas=canvas)


@torch.no_grad()
def test_told_relative_places_the_drawing_moves_with_the_shift_and_told_absolute_ones_it_need_not():
    codes = torch.randn(2, 10, generator=torch.Generator().manual_seed(0))
    near, far = torch.tensor([[-3.0, 1.0]]).expand(2, 2), torch.tensor([[5.0, 13.0]]).expand(2, 2)
    same = []
    for places in ("relative", "absolute"):
        net = CoordinateAutoencoder(**SMALL, places=places)
        drawn, moved = net.decode(codes, near / 20), net.decode(codes, far / 20)
        same.append(torch.allclose(moved[..., 8:, 12:][..., 4:-4, 4:-4], drawn[..., :-8, :-12][..., 4:-4, 4:-4],
                                   atol=1e-5))  # fmt: skip
    assert same == [True, False]


def test_places_are_where_pixels_are():
    net = CoordinateAutoencoder(**SMALL)
    corner, middle = net.grid[0], net.grid[8 * 17 + 8]
    assert torch.allclose(20 * corner, torch.tensor([-32.0, -32.0])) and torch.equal(middle, torch.zeros(2))
    assert net.grid[1, 1] - net.grid[0, 1] == pytest.approx(4 / 20)  # the second number goes right


def test_what_is_drawn_right_is_found_right_and_what_is_aside_is_found_aside():
    inputs = data.mnist("test").inputs[:3]
    settings = shifting.along_diagonal((-20, -2, 16))
    right = shifting.looked_at(Perfect(), inputs, settings, Shifts(), Reader(), batch=2)
    assert right.error.shape == (3, 3) and right.error.max() == 0 == right.offset.max()
    assert torch.equal(right.ink, torch.ones(3, 3)) and torch.equal(right.read, torch.full((3, 3), 3))
    aside = shifting.looked_at(Perfect(aside=3), inputs, settings, Shifts(), Reader())
    torch.testing.assert_close(aside.offset, torch.full((3, 3), 3.0))
    torch.testing.assert_close(aside.error, errors(Perfect(aside=3), inputs, settings, Shifts()))


def test_faint_pixels_are_no_ink_and_no_ink_has_no_place():
    canvas = torch.full((2, 1, 68, 68), -1.0)
    canvas[0, 0, 5, 60], canvas[0, 0, 7, 60] = 1.0, 1.0
    canvas[:, 0, 40:, 3] = -0.9
    found = shifting.centroids(shifting.inked(canvas))
    assert found[0].tolist() == [6.0, 60.0] and found[1].isnan().all()


def test_a_crop_takes_the_image_back():
    images, shift = scaled(data.mnist("test").inputs[:2]), torch.tensor([-20, 19])
    canvas = Shifts().apply(images, shift.expand(2, 2))
    assert torch.equal(shifting.cropped(canvas, shift, 20), images)


def test_tables_by_digit():
    labels = torch.arange(10).repeat_interleave(2)
    values = torch.stack([labels.float(), torch.where(torch.arange(20) % 2 == 0, torch.nan, labels.float())])
    assert np.array_equal(shifting.by_digit(values, labels), np.tile(np.arange(10.0), (2, 1)))
    read = torch.where(torch.arange(20) == 8, 9, labels)[None]  # one of the two fours
    shares = shifting.taken_for(read, labels)
    assert shares.shape == (1, 10, 10) and shares[0, 4, 9] == shares[0, 4, 4] == 0.5 and shares[0].trace() == 9.5


def test_in_and_out_of_the_published_curve():
    four = [353, 273, 263, 266, 278, 302, 229, 88, 67, 67, 66, 67, 73, 153, 282, 291, 267, 272, 278, 295]
    table = curves.figures(np.tile(np.array(four)[:, None] * 1e-4, (1, 10)), shifting.columns())
    assert table.loc["d4", "in"] == pytest.approx(0.00679, abs=2e-5)
    assert table.loc["d4", "out"] == pytest.approx(0.02594, abs=2e-5)
    assert table.loc["d4", "ratio"] == pytest.approx(3.82, abs=0.01)
    assert table.loc["d4", ["at-20", "at18"]].tolist() == pytest.approx([0.0353, 0.0295])
    with pytest.raises(ValueError, match="none for out"):
        curves.figures(np.ones((20, 10)), shifting.columns(outside=30))


def test_pictures_are_bytes_in_order():
    digits = first_of_each(data.mnist("test"), 2)
    assert digits.labels.tolist() == [digit for digit in range(10) for _ in range(2)]
    assert torch.equal(digits.inputs[14], data.mnist("test").inputs[0])  # the first seven
    settings = shifting.over_plane((-20, 0, 12))
    assert settings.tolist()[:4] == [[-20, -20], [-20, 0], [-20, 12], [0, -20]]
    drawn = shifting.drawings(Perfect(), digits.inputs, settings, Shifts(), shades=256)
    assert drawn.dtype == np.uint8 and drawn.shape == (9, 20, 68, 68)
    assert np.array_equal(drawn, shifting.expectations(digits.inputs, settings, Shifts(), shades=256))
    assert np.array_equal(drawn[1, 0, 0:28, 20:48], digits.inputs[0, 0].numpy())
    assert len(np.unique(shifting.drawings(Perfect(), digits.inputs, settings, Shifts(), shades=4))) == 4


def test_maps_frame_the_trained_range():
    maps = {"4": np.arange(9.0).reshape(3, 3), "others": np.ones((3, 3))}
    first = plots.shift_maps(maps, (-3, 0, 3), framed={"4": (-5, 4)}, label="error").axes[0]
    assert first.images[0].get_extent() == [-4.5, 4.5, 4.5, -4.5]
    assert first.patches[0].get_bbox().bounds == (-5.5, -5.5, 10, 10)

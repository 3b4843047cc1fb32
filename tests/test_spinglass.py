"""The spherical p-spin glass: levels, energies, descents and curvatures."""

import itertools
import math

import numpy as np
import pytest
import torch

from companion import spinglass

DOUBLE = torch.double


def brute(j, point):
    """The energy of one point by its definition."""
    n = len(point)
    return sum(j[places] * math.prod(point[i] for i in places) for places in itertools.product(range(n), repeat=j.ndim))


@pytest.mark.parametrize(
    ("p", "lowest", "top"),
    [
        (3, [-1.65700, -1.65287, -1.65025, -1.64840, -1.64700, -1.64589], -1.63299),
        (4, [-1.79409, -1.78330, -1.77648, -1.77166, -1.76803, -1.76517], -1.73205),
    ],
)
def test_levels_are_those_of_the_specification(p, lowest, top):
    found = spinglass.levels(p)
    assert np.allclose(found.lowest, lowest, atol=1e-5)
    assert found.top == pytest.approx(top, abs=1e-5)


def test_two_spins_have_no_band():
    found = spinglass.levels(2)
    assert (found.lowest == found.top).all()
    assert found.top == pytest.approx(-math.sqrt(2))


@pytest.mark.parametrize("p", [2, 3, 4])
def test_energy_and_gradient_by_definition(p):
    j = spinglass.couplings(5, p=p, seed=1, dtype=DOUBLE)
    points = spinglass.starts(3, 5, seed=2, dtype=DOUBLE)
    wanted = [brute(j.numpy(), point.numpy()) / 5 for point in points]
    assert np.allclose(spinglass.energy(j, points), wanted)
    free = points.clone().requires_grad_()
    (spinglass.energy(j, free) * 5).sum().backward()
    assert torch.allclose(free.grad, p * spinglass.contracted(j, points))


def test_couplings_are_symmetric_and_have_the_variance_of_the_model():
    j = spinglass.couplings(30, seed=0, dtype=DOUBLE)
    for order in itertools.permutations(range(3)):
        assert torch.allclose(j, j.permute(order))
    point = spinglass.starts(1, 10, seed=0, dtype=DOUBLE)
    drawn = (spinglass.couplings(10, seed=seed, dtype=DOUBLE) for seed in range(400))
    energies = [spinglass.energy(one, point).item() for one in drawn]
    assert np.std(energies) * math.sqrt(10) == pytest.approx(1, rel=0.1)  # H has the variance N


@pytest.mark.parametrize(("p", "n"), [(5, 10), (4, 111), (3, 1)])
def test_what_does_not_fit_is_refused(p, n):
    with pytest.raises(ValueError, match=f"not for p = {p} with {n}"):
        spinglass.couplings(n, p=p, seed=0)


def test_descents_end_in_minima_below_their_starts():
    j = spinglass.couplings(20, seed=3, dtype=DOUBLE)
    points = spinglass.starts(30, 20, seed=3, dtype=DOUBLE)
    found = spinglass.descend(j, points)
    assert (found.slope < 1e-4).all()
    assert torch.allclose(found.points.norm(dim=1), torch.full((30,), math.sqrt(20), dtype=DOUBLE))
    assert torch.allclose(found.energy, spinglass.energy(j, found.points))
    assert (found.energy < spinglass.energy(j, points)).all()
    assert (spinglass.curvatures(j, found.points)[:, 0] > 0).double().mean() > 0.9
    assert 1 < spinglass.distinct(found.points, p=3) < 30


def test_how_many_descend_at_once_changes_nothing():
    j = spinglass.couplings(15, seed=1, dtype=DOUBLE)
    points = spinglass.starts(7, 15, seed=1, dtype=DOUBLE)
    one, all_ = spinglass.descend(j, points, batch=1), spinglass.descend(j, points)
    assert torch.allclose(one.energy, all_.energy, atol=1e-9)


def test_a_quadratic_form_has_two_minima_at_its_lowest_eigenvector():
    j = spinglass.couplings(12, p=2, seed=5, dtype=DOUBLE)
    found = spinglass.descend(j, spinglass.starts(20, 12, seed=5, dtype=DOUBLE), tolerance=1e-6)
    assert torch.allclose(found.energy, torch.linalg.eigvalsh(j)[0].expand(20), atol=1e-6)
    assert spinglass.distinct(found.points, p=2) == 1
    eigenvalues = torch.linalg.eigvalsh(j)
    assert torch.allclose(
        spinglass.curvatures(j, found.points[:1])[0], 2 * (eigenvalues[1:] - eigenvalues[0]), atol=1e-5
    )


def test_curvatures_are_second_differences_along_the_sphere():
    j = spinglass.couplings(6, seed=4, dtype=DOUBLE)
    point = spinglass.descend(j, spinglass.starts(1, 6, seed=4, dtype=DOUBLE), tolerance=1e-8).points
    draw = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.cat([point.T, torch.randn(6, 5, generator=draw, dtype=DOUBLE)], 1))[0][:, 1:]

    def height(step):
        return 6 * spinglass.energy(j, spinglass.on_sphere(point + step[None]))[0]

    small = 1e-3
    flat = torch.zeros(5, 5, dtype=DOUBLE)
    for a, b in itertools.product(range(5), repeat=2):
        corners = [s * t * height(small * (s * basis[:, a] + t * basis[:, b])) for s in (1, -1) for t in (1, -1)]
        flat[a, b] = sum(corners) / (4 * small**2)
    assert torch.allclose(spinglass.curvatures(j, point)[0], torch.linalg.eigvalsh(flat), atol=1e-3)


def test_annealing_goes_lower_than_it_began():
    j = spinglass.couplings(20, seed=2, dtype=DOUBLE)
    points = spinglass.starts(10, 20, seed=2, dtype=DOUBLE)
    cooled = spinglass.anneal(j, points, seed=0)
    assert spinglass.energy(j, cooled).mean() < -1
    assert torch.equal(cooled, spinglass.anneal(j, points, seed=0))


def test_stochastic_steps_go_down_on_the_sum_of_their_parts():
    points = spinglass.starts(8, 15, seed=0, dtype=DOUBLE)
    j, found = spinglass.wander(points, seed=1, parts=4, sweeps=100)
    assert j.std().item() == pytest.approx(spinglass.couplings(15, seed=9, dtype=DOUBLE).std().item(), rel=0.1)
    assert torch.allclose(found.norm(dim=1), torch.full((8,), math.sqrt(15), dtype=DOUBLE))
    ended = spinglass.descend(j, found)
    assert (spinglass.energy(j, found) - ended.energy).abs().max() < 0.05
    assert (ended.energy < spinglass.energy(j, points)).all()

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from companion.seeds import STREAMS, generator, initial_weights, numpy_generator, stream

seeds = st.integers(0, 2**31)


@given(seeds, seeds)
def test_streams_of_all_names_and_seeds_differ(one, other):
    values = [stream(seed, name) for seed in {one, other} for name in STREAMS]
    assert len(set(values)) == len(values)
    assert all(0 <= value < 2**63 for value in values)


def test_streams_never_change():
    # Results on disk were drawn from these; another value here makes every one of them another result.
    assert [stream(0, name) for name in ("weights", "order")] == [133441691874178746, 5231958647509549229]
    assert stream(np.int64(7), "points") == stream(torch.tensor(7), "points") == stream(7, "points")


@pytest.mark.parametrize("make", [stream, generator, numpy_generator])
def test_an_unknown_stream_is_named_with_those_allowed(make):
    with pytest.raises(ValueError, match="unknown random stream 'noise'; the streams are weights, order, dropout,"):
        make(0, "noise")


def test_generators_start_at_the_beginning_of_their_stream_every_time():
    first, again = (torch.rand(5, generator=generator(3, "order")) for _ in range(2))
    other = torch.rand(5, generator=generator(3, "dropout"))
    assert torch.equal(first, again) and not torch.equal(first, other)
    drawn = [numpy_generator(*key).random(5).tolist() for key in ((3, "order"), (3, "order"), (4, "order"))]
    assert drawn[0] == drawn[1] != drawn[2]


def test_initial_weights_come_from_the_seed_alone_and_leave_the_global_generator():
    def built(seed):
        before = torch.get_rng_state()
        with initial_weights(seed):
            weight = nn.Linear(4, 4).weight
        assert torch.equal(before, torch.get_rng_state())
        return weight

    first = built(0)
    torch.rand(3)
    assert torch.equal(first, built(0)) and not torch.equal(first, built(1))
    with torch.device("meta"):
        on_cpu = built(0)
    assert on_cpu.device.type == "cpu" and torch.equal(first, on_cpu)


def test_initial_weights_restore_the_generator_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="inside"), initial_weights(0):
        torch.rand(3)
        raise RuntimeError("inside")
    assert torch.equal(before, torch.get_rng_state())

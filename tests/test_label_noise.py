from __future__ import annotations

import math

import pytest
import torch

from companion.data.label_noise import confound, mask_labels, mix_noise

LABELS = torch.arange(50_000) % 10


@pytest.mark.parametrize(("n", "counts"), [
    (50_000, {0.05: 2544, 0.1: 5054, 0.2: 10_054, 0.3: 15_024, 0.4: 19_976, 0.5: 24_980}),
    (10_000, {0.05: 501, 0.1: 1031, 0.2: 2051, 0.3: 3012, 0.4: 3965, 0.5: 4958}),
])  # fmt: skip
def test_the_authors_seed_gives_the_sizes_of_their_masks(n, counts):
    assert {share: int(mask_labels(LABELS[:n], share).noisy.sum()) for share in counts} == counts


def test_a_tenth_of_masked_labels_is_right_by_chance_and_the_rest_is_untouched():
    drawn = mask_labels(LABELS, 0.5)
    right = drawn.labels == LABELS
    assert right[~drawn.noisy].all()
    assert right[drawn.noisy].double().mean().item() == pytest.approx(0.1, abs=0.008)
    assert mask_labels(LABELS, 0.0).noisy.sum() == 0 and mask_labels(LABELS, 1.0).noisy.all()


def test_a_share_beyond_one_is_refused():
    with pytest.raises(ValueError, match=r"between 0 and 1, not 1\.5"):
        mask_labels(LABELS, 1.5)


def test_mixed_noise_has_exact_counts_and_adds_to_the_same_true_examples():
    less, more = (mix_noise(LABELS, 300, noise, seed=4) for noise in (100, 500))
    for drawn, noise in ((less, 100), (more, 500)):
        assert (len(drawn.rows), int(drawn.noisy.sum())) == (300 + noise, noise)
        assert len(drawn.rows.unique()) == len(drawn.rows)
        assert torch.equal(drawn.labels[~drawn.noisy], LABELS[drawn.rows[~drawn.noisy]])
    assert set(less.rows[~less.noisy].tolist()) == set(more.rows[~more.noisy].tolist())
    assert set(less.rows.tolist()) < set(more.rows.tolist())


def test_more_examples_than_there_are_are_refused():
    with pytest.raises(ValueError, match="30 true and 30 noisy examples were asked for, out of 50"):
        mix_noise(LABELS[:50], 30, 30, seed=0)


@pytest.mark.parametrize("replace", [True, False])
def test_confounding_keeps_the_named_classes_true(replace):
    drawn = confound(LABELS, (2, 0), 9000, replace=replace, seed=1)
    assert len(drawn.rows) == 49_000 and int(drawn.noisy.sum()) == 40_000
    true = LABELS[drawn.rows[~drawn.noisy]]
    assert torch.equal(drawn.labels[~drawn.noisy], (true == 0).long())
    assert not torch.isin(LABELS[drawn.rows[drawn.noisy]], torch.tensor([0, 2])).any()
    assert drawn.labels[drawn.noisy].double().mean().item() == pytest.approx(0.5, abs=0.01)
    distinct = len(drawn.rows[~drawn.noisy].unique())
    assert distinct == 9000 if not replace else abs(distinct - 10_000 * (1 - math.exp(-0.9))) < 100


def test_the_noise_is_the_same_whatever_the_true_part():
    less, more = (
        confound(LABELS, (0, 1), 10, replace=False, seed=2),
        confound(LABELS, (0, 1), 500, replace=True, seed=2),
    )
    assert torch.equal(less.labels[less.noisy], more.labels[more.noisy])
    assert torch.equal(less.rows[less.noisy], more.rows[more.noisy])
    fewer = confound(LABELS, (0, 1), 10, replace=False, seed=2, noisy_n=700)
    assert torch.equal(fewer.rows[10:], less.rows[10:710])
    assert not confound(LABELS, (0, 1), 10, replace=False, seed=2, noisy_n=0).noisy.any()


def test_too_many_true_examples_are_refused_unless_drawn_with_replacement():
    with pytest.raises(ValueError, match=r"20 true .* out of 10 of the classes \[0, 1\]"):
        confound(LABELS[:50], (0, 1), 20, replace=False, seed=0)
    assert len(confound(LABELS[:50], (0, 1), 20, replace=True, seed=0).rows) == 60

from __future__ import annotations

import numpy as np
import pytest
import torch

from companion.data.images import Images
from companion.data.label_noise import mask_labels
from companion.label_noise import random_labels

LABELS = torch.arange(50_000) % 10
SETTINGS = dict(seed=0, epochs=3, batch=16, optimizer="adam", lr=1e-3, milestones=(1, 3), watched=20)


@pytest.fixture(scope="module")
def pictures() -> Images:
    draw = torch.Generator().manual_seed(0)
    return Images(torch.randint(256, (60, 3, 32, 32), generator=draw, dtype=torch.uint8), torch.arange(60) % 10)


@pytest.mark.parametrize(
    ("share", "size"), [(0.05, 26_315), (0.1, 27_777), (0.2, 31_250), (0.3, 35_714), (0.4, 41_666), (0.5, 50_000)]
)
def test_sets_have_the_sizes_of_the_authors(share, size):
    coded, exact = (random_labels.training_labels(LABELS, kind, share, 25_000) for kind in ("coded", "exact"))
    assert len(coded.rows) == len(exact.rows) == size
    assert int((~exact.noisy).sum()) == 25_000
    assert abs(int((~coded.noisy).sum()) - 25_000) < 400  # true in expectation only
    for drawn in (coded, exact):
        assert torch.equal(drawn.labels[~drawn.noisy], LABELS[drawn.rows[~drawn.noisy]])


def test_all_examples_are_masked_as_the_authors_do():
    drawn = random_labels.training_labels(LABELS, "total", 0.3, 25_000)
    assert torch.equal(drawn.labels, mask_labels(LABELS, 0.3).labels)


@pytest.mark.parametrize(("kind", "share", "told"), [
    ("half", 0.1, "unknown kind 'half'; the kinds are total, coded, exact"),
    ("exact", 1.0, "with 5 true examples .* below 1, not 1.0"),
])  # fmt: skip
def test_what_cannot_be_drawn_is_refused(kind, share, told):
    with pytest.raises(ValueError, match=told):
        random_labels.training_labels(LABELS, kind, share, 5)


def test_an_unknown_network_is_refused():
    with pytest.raises(ValueError, match="unknown network 'big'; the networks are mini, small"):
        random_labels.build("big", seed=0)


def test_mini_inception_sees_the_middle(pictures):
    assert random_labels.cropped(pictures, 5, "mini").inputs.shape == (5, 3, 28, 28)
    assert torch.equal(random_labels.cropped(pictures, 5, "mini").inputs, pictures.inputs[:5, :, 2:30, 2:30])
    assert random_labels.cropped(pictures, 5, "small").inputs.shape == (5, 3, 32, 32)


def test_columns_count_what_they_name(pictures):
    drawn = random_labels.training_labels(pictures.labels[:40], "total", 0.5, 0)
    tests = Images(pictures.inputs[40:], pictures.labels[40:])
    found = random_labels.train("small", pictures, drawn, tests, 0.5, **SETTINGS)
    noisy, masked = drawn.noisy.double().mean().item(), found["masked"]
    for measure in ("accuracy", "ce"):
        train = noisy * found[f"{measure}_train_corr"] + (1 - noisy) * found[f"{measure}_train_uncorr"]
        test = masked * found[f"{measure}_test_corr"] + (1 - masked) * found[f"{measure}_test_uncorr"]
        assert found[f"{measure}_train_full"] == pytest.approx(train)
        assert found[f"{measure}_test_full"] == pytest.approx(test)
    assert found["margins"].sum(1).tolist() == [int((~drawn.noisy).sum()), int(drawn.noisy.sum()), 20]
    assert found["loss"].shape == (3,) and found["course_test"].shape == (2,)
    assert found["course_test"][-1] == pytest.approx(found["accuracy_test_true"])


def test_without_noise_its_columns_are_empty(pictures):
    drawn = random_labels.training_labels(pictures.labels, "total", 0.0, 0)
    found = random_labels.train("small", pictures, drawn, pictures, 0.0, **SETTINGS)
    assert np.isnan([found["accuracy_train_corr"], found["ce_test_corr"]]).all()
    assert found["accuracy_test_full"] == found["accuracy_test_true"]


def test_what_replaced_labels_must_give_is_what_a_perfect_and_a_random_network_get():
    truth = torch.arange(20_000) % 10
    replaced = mask_labels(truth, 0.4)
    masked = replaced.noisy.double().mean().item()
    found = random_labels.expected(1.0, masked)
    right = truth == replaced.labels
    assert found["test_full"] == pytest.approx(right.double().mean().item(), abs=0.01)
    assert found["test_corr"] == pytest.approx(right[replaced.noisy].double().mean().item(), abs=0.01)
    assert random_labels.expected(0.1, masked)["test_full"] == pytest.approx(0.1)


def test_a_row_gives_back_its_mask():
    row = random_labels.expected(0.6, 0.3012)
    implied = random_labels.implied_mask(row["test_corr"], row["test_uncorr"], row["test_full"])
    assert implied == pytest.approx(0.3012)

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from companion import plots
from companion.data.images import Images
from companion.label_noise import confounding, courses
from companion.plots.theme import REPORTED


def made(n, seed, channels=1, side=28):
    """Bright images of class 0, dark ones of class 1, grey noise of classes 2 to 4."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 5
    level = torch.tensor([220, 30, 128, 128, 128])[labels]
    noise = torch.randint(-20, 21, (n, channels, side, side), generator=draw)
    return Images((level[:, None, None, None] + noise).to(torch.uint8), labels)


def settings(**changes):
    usual = dict(kind="lenet", classes=2, heads=2, labelling="random", replace=False, true_n=40, noisy_n=60, seed=0)
    return usual | dict(epochs=6, batch=10, lr=0.02, milestones=(1, 6)) | changes


def test_the_best_prediction_knows_true_labels_and_guesses_the_others():
    best = confounding.optimum(12_665, 47_335, 2)
    assert best.accuracy == pytest.approx((12_665 + 47_335 / 2) / 60_000)
    assert best.loss == pytest.approx(47_335 / 60_000 * math.log(2))
    assert confounding.optimum(10, 0, 3) == (1.0, 0.0)
    with pytest.raises(ValueError, match="0 true and 0 noisy examples of 2 classes"):
        confounding.optimum(0, 0, 2)


def test_the_three_labellings_share_their_true_images():
    labels = torch.arange(1000) % 10
    options = dict(classes=3, true_n=100, noisy_n=200, replace=True, seed=5)
    random, marked, alone = (
        confounding.training_set(labels, labelling=one, **options) for one in confounding.LABELLINGS
    )
    assert torch.equal(random.rows, marked.rows) and torch.equal(random.noisy, marked.noisy)
    assert (marked.labels[marked.noisy] == 3).all() and random.labels.max() == 2
    assert torch.equal(random.labels[~random.noisy], labels[random.rows[~random.noisy]])
    assert sorted(alone.rows.tolist()) == sorted(random.rows[~random.noisy].tolist()) and not alone.noisy.any()
    assert random.noisy[:50].any() and not random.noisy[:50].all()  # mixed, so that batches of a test are alike
    with pytest.raises(ValueError, match="unknown labelling 'none'; the labellings are random, marked, left out"):
        confounding.training_set(labels, labelling="none", **options)


def test_networks_have_the_outputs_asked_for_and_an_unknown_one_is_refused():
    digits, photographs = torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    assert confounding.network("lenet", outputs=2, channels=1, seed=0)(digits).shape == (2, 2)
    assert confounding.network("lenet", outputs=4, channels=3, seed=0)(photographs).shape == (2, 4)
    assert confounding.network("simple", outputs=2, channels=1, seed=0)(digits).shape == (2, 2)
    with pytest.raises(ValueError, match="unknown network 'big'; the networks are mini, simple, lenet"):
        confounding.network("big", outputs=2, channels=1, seed=0)


def test_a_marked_network_shares_the_probability_of_others_out():
    class Fixed(torch.nn.Module):
        def forward(self, inputs):
            return torch.tensor([[0.7, 0.1, 0.2]]).log().repeat(len(inputs), 1)

    shared = confounding.answers(Fixed(), torch.zeros(4, 1), 2, marked=True)
    assert shared.numpy() == pytest.approx(np.tile([0.8, 0.2], (4, 1)))
    assert confounding.answers(Fixed(), torch.zeros(4, 1), 2, marked=False).shape == (4, 3)


def test_examine_counts_what_it_says():
    probabilities = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [0.6, 0.4, 0.0], [0.5, 0.5, 0.0]]).double()
    found = confounding.examine(probabilities, torch.tensor([0, 1, 2, 2]), classes=2)
    assert (found["test"], found["kept"]) == (0.25, 0.5)
    assert found["sure_kept"] == pytest.approx(0.7) and found["sure_other"] == pytest.approx(0.55)
    assert found["loss_kept"] == pytest.approx(-(math.log(0.9) + math.log(0.3)) / 2)
    assert found["confusion"].tolist() == [[1, 0], [0, 1]]  # among the first two outputs the second image is read
    assert found["confidence_kept"].sum() == pytest.approx(1) and found["confidence_other"].sum() == pytest.approx(1)


def test_a_training_learns_the_rule_and_its_test_column_is_ceiling_times_kept():
    found = confounding.train(made(500, 0), made(200, 1), **settings())
    assert found["kept"] > 0.9 and found["test"] == pytest.approx(0.4 * found["kept"])
    assert 0.2 < found["fitted_noise"] < 0.8
    assert found["train"] == pytest.approx(0.4 * found["fitted_true"] + 0.6 * found["fitted_noise"])
    assert (found["distinct"], found["counts"].sum(), found["epochs_run"]) == (40, 40, 6)
    assert found["course_kept"].shape == (2,) and found["course_kept"][-1] == pytest.approx(found["kept"])
    assert "by_batch_kept" not in found


def test_controls_make_as_many_steps_at_most_and_have_no_noise_to_fit():
    alone = confounding.train(made(500, 0), made(200, 1), **settings(labelling="left out"))
    assert 1 <= alone["epochs_run"] <= 15  # 6 epochs of 10 batches, in passes of 4
    assert math.isnan(alone["fitted_noise"]) and "course_kept" not in alone
    marked = confounding.train(made(500, 0), made(200, 1), **settings(labelling="marked", epochs=12, lr=0.05))
    assert marked["sure_other"] < marked["sure_kept"]


def test_a_training_that_stops_early_keeps_its_last_measures():
    options = settings(noisy_n=0, epochs=40, lr=0.05, milestones=(1, 39, 40))
    found = confounding.train(made(500, 0), made(200, 1), **(options | dict(labelling="marked")))
    assert found["epochs_run"] < 39
    assert found["course_kept"][1] == found["course_kept"][2] == pytest.approx(found["kept"])


def test_batch_normalisation_is_tested_as_the_authors_do_as_well():
    found = confounding.train(made(60, 0), made(40, 1), **settings(kind="simple", true_n=8, noisy_n=8, epochs=1))
    assert {"by_batch_train", "by_batch_test", "by_batch_kept"} <= set(found)
    assert found["by_batch_test"] == pytest.approx(0.4 * found["by_batch_kept"])


@pytest.fixture
def results():
    rows = [
        dict(kind="lenet", labelling=labelling, noisy_n=9, true_n=n, seed=s, epochs=2, labels=labelling,
             kept=kept + s / 10, course_kept=np.array([0.5, kept]), confidence_kept=np.full(20, 0.05))
        for labelling, kept in (("random", 0.6), ("left out", 0.8))
        for n in (1, 2)
        for s in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_tables_follow_epochs_bins_and_pairs(results):
    way = courses.along(results, {"course_kept": "unseen"}, (1, 2, 5))
    assert len(way) == 16 and set(way.epoch) == {1, 2} and set(way.images) == {"unseen"}
    assert way[way.epoch == 2].accuracy.unique().tolist() == [0.6, 0.8]
    bins = courses.by_confidence(results, "confidence_kept", 1 / 3)
    assert bins.confidence.min() == pytest.approx(0.325)  # a third lies in that bin
    cost = courses.cost(results)
    assert len(cost) == 2 and cost["mean"].to_numpy() == pytest.approx([0.2, 0.2]) and (cost["n"] == 2).all()


def test_levels_mark_what_is_reported_and_what_theory_gives(results):
    told = pd.DataFrame(dict(true_n=[1, 2], kept=[0.5, 0.7]))
    figure = plots.levels(results, "true_n", "kept", hue="labels", reported=told, theory={"chance": 0.5}, share=True)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["reported"].get_color() == REPORTED and lines["reported"].get_ydata().tolist() == [0.5, 0.7]
    assert {"random", "left out", "chance"} <= set(lines)
    plt.close(figure)

"""Noise labels, net-reasoning vectors, novelties and the scores that tell them from digits."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from companion import data, models, reasoning, stats
from companion.data.images import Images
from companion.reasoning import answers, detection, experiment, pairs


@pytest.fixture(scope="module")
def given():
    return reasoning.digits(0, images=700)


@pytest.fixture(scope="module")
def sets(given):
    return data.novelties(given.test.inputs[:20], seed=0)


# --- networks


@pytest.mark.parametrize(("outputs", "hidden", "weights"), [(10, 0, 5_142), (11, 128, 36_887), (256, 256, 134_156)])
def test_the_networks_have_the_sizes_of_the_specification(outputs, hidden, weights):
    net = models.DigitCNN(seed=0, outputs=outputs, hidden=hidden)
    assert sum(parameter.numel() for parameter in net.parameters()) == weights
    images = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    assert net(images).shape == (2, outputs)
    assert net.features(images).shape == (2, 256)


def test_multiply_adds_are_those_of_the_specification():
    found = [models.layer_table(models.DigitCNN(seed=0, outputs=k, hidden=h), (1, 28, 28)).multiply_adds.sum()
             for k, h in ((10, 0), (11, 128), (256, 256))]  # fmt: skip
    assert found == [242_560, 274_176, 371_072]


def test_bytes_and_shares_are_the_same_to_a_network(given):
    net = models.DigitCNN(seed=0, mean=0.13, sd=0.31)
    images = given.test.inputs[:5]
    assert torch.allclose(net(images), net(images / 255))
    assert not torch.allclose(net(images), models.DigitCNN(seed=0)(images))


@pytest.mark.parametrize(("outputs", "hidden"), [(0, 0), (10, -1)])
def test_a_head_without_outputs_is_refused(outputs, hidden):
    with pytest.raises(ValueError, match=f"not {outputs}, {hidden}"):
        models.DigitCNN(seed=0, outputs=outputs, hidden=hidden)


@pytest.mark.parametrize("detached", [True, False])
def test_the_joint_network_moves_its_rows_only_if_they_are_not_detached(given, detached):
    net = models.JointReason(seed=0, detached=detached)
    out = net(given.test.inputs[:6])
    own = net.reason(net.classifier.features(given.test.inputs[:6]))
    rows = net.classifier[-1].weight[out[:, :10].argmax(1)]
    assert torch.allclose(out[:, 10:], own - rows, atol=1e-6)
    (out[:, 10:] ** 2).sum().backward()
    gradient = net.classifier[-1].weight.grad
    assert (gradient is None or not gradient.any()) == detached


# --- data


def test_the_split_keeps_the_shares_of_every_class():
    labels = torch.arange(1_000) % 10
    first, rest = data.stratified(labels, 0.85, seed=3)
    assert sorted(torch.cat([first, rest]).tolist()) == list(range(1_000))
    assert torch.equal(labels[first].bincount(), torch.full((10,), 85))
    assert not torch.equal(first, data.stratified(labels, 0.85, seed=4)[0])
    with pytest.raises(ValueError, match="between 0 and 1, not 1"):
        data.stratified(labels, 1.0, seed=0)


def test_all_digits_are_split_as_the_paper_says():
    whole = reasoning.digits(1)
    assert len(whole.train.inputs) == pytest.approx(59_500, abs=5)
    assert len(whole.train.inputs) + len(whole.held.inputs) == 70_000


def test_left_out_digits_are_only_tested(given):
    without = reasoning.digits(0, images=700, without=(3, 7))
    for part in (without.train, without.validation):
        assert not torch.isin(part.labels, torch.tensor([3, 7])).any()
    assert torch.equal(without.test.labels, given.test.labels)


def test_more_digits_than_there_are_is_refused():
    with pytest.raises(ValueError, match=r"70,000 digits .* not 70001"):
        reasoning.digits(0, images=70_001)


def test_rotation_is_counter_clockwise_and_exact_at_right_angles(given):
    images = given.test.inputs[:4].double() / 255
    for quarter in (1, 2, 3):
        assert torch.allclose(data.rotate(images, 90 * quarter), torch.rot90(images, quarter, (2, 3)), atol=1e-9)
    each = data.rotate(images, torch.tensor([0.0, 90.0, 0.0, 180.0]))
    assert torch.allclose(each[1], torch.rot90(images[1], 1, (1, 2)), atol=1e-9)
    there = data.rotate(images, 20)
    assert (data.rotate(there, -20) - images).abs().mean() < 0.5 * (there - images).abs().mean()


def test_rotation_of_an_oblong_keeps_angles():
    bar = torch.zeros(1, 1, 20, 40, dtype=torch.double)
    bar[..., 10, 15:26] = 1
    turned = data.rotate(bar, 90)
    assert turned[..., 5:16, 18:22].sum() > 0.9 * bar.sum()


def test_rotation_refuses_bytes_and_too_few_angles(given):
    with pytest.raises(ValueError, match="uint8"):
        data.rotate(given.test.inputs[:2], 10)
    with pytest.raises(ValueError, match=r"2 images, not \(3,\)"):
        data.rotate(given.test.inputs[:2].float(), torch.zeros(3))


def test_novelties_are_what_their_names_say(given, sets):
    ink = given.test.inputs[:20] / 255
    assert tuple(sets) == tuple(name for name in data.NOVELTIES if name != "clothing")
    assert all(images.shape == ink.shape for name, images in sets.items() if name != "blank")
    assert torch.allclose(sets["shuffled"].flatten(1).sort(1)[0], ink.flatten(1).sort(1)[0])
    spectra = [torch.fft.fft2(images).abs() for images in (ink, sets["phase"])]
    assert torch.allclose(*spectra, atol=1e-4)
    assert torch.equal(sets["negative"], 1 - ink)
    assert sets["sparse"].mean() == pytest.approx(ink.mean().item(), abs=0.02)
    assert sets["normal"].min() < -2
    assert sets["glyphs"].min() >= 0 and 0.03 < sets["glyphs"].mean() < 0.3
    assert not torch.equal(sets["glyphs"][0], sets["glyphs"][1])
    assert sets["crops"].min() >= 0 and sets["crops"].max() <= 1


def test_novelties_are_drawn_by_the_seed_alone(given, sets):
    with torch.device("meta"):  # as a unit on a GPU finds it: another default device
        again = data.novelties(given.test.inputs[:20], seed=0)
        other = data.novelties(given.test.inputs[:20], seed=1)
    assert all(torch.equal(again[name], sets[name]) for name in sets)
    assert not torch.equal(other["uniform"], sets["uniform"])


def test_clothes_are_read_where_torchvision_keeps_them_and_only_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path))
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(b"not what it should be")
    assert data.clothes() is None


def test_blends_go_from_noise_to_digit(given):
    blends = data.blended(given.test.inputs[:3], [0.0, 0.5, 1.0], seed=0)
    assert torch.allclose(blends[2], given.test.inputs[:3] / 255)
    assert torch.allclose(blends[1], (blends[0] + blends[2]) / 2)


# --- what is trained


def test_noise_is_labelled_and_as_much_as_asked(given):
    draw = torch.Generator().manual_seed(0)
    for name, ratio in (("ReasonNet", 1.0), ("a tenth of noise", 0.1), ("vanilla", 0.0)):
        mixed = reasoning.with_noise(reasoning.KINDS[name], given.train, draw)
        assert (mixed.labels == reasoning.NOISE).sum() == round(ratio * len(given.train.inputs))
        assert torch.equal(mixed.inputs[: len(given.train.inputs)], given.train.inputs)


@pytest.mark.parametrize("law", ["uniform", "normal", "noised digits"])
def test_noise_has_its_law(given, law):
    images = reasoning.noise(law, given.train.inputs, 40, torch.Generator().manual_seed(0))
    shares = images if images.is_floating_point() else images / 255
    if law == "noised digits":
        shares = shares - given.train.inputs[:40] / 255
        assert shares[::2].std() == pytest.approx(0.5, abs=0.02)
        assert shares[1::2].std() == pytest.approx(1, abs=0.02)
    else:
        assert shares.mean() == pytest.approx(0.5 if law == "uniform" else 0, abs=0.02)
        assert shares.std() == pytest.approx(12**-0.5 if law == "uniform" else 1, abs=0.02)


def test_an_unknown_law_or_target_or_kind_is_named(given):
    with pytest.raises(ValueError, match="unknown noise 'pink'"):
        reasoning.noise("pink", given.train.inputs, 1, torch.Generator())
    with pytest.raises(ValueError, match="unknown target 'why'"):
        reasoning.reason_of(models.DigitCNN(seed=0), "why", seed=0)
    with pytest.raises(ValueError, match="unknown kind 'ReasonNot'"):
        reasoning.examined("ReasonNot", seed=0, lr=1e-3, epochs=1, images=700)


def test_noise_is_drawn_anew_where_an_image_is_empty(given):
    batch = given.test.inputs[:4].clone()
    batch[1] = 0
    drawn = experiment._noise_where_empty(batch, torch.Generator().manual_seed(0))
    assert torch.equal(drawn[[0, 2, 3]], batch[[0, 2, 3]])
    assert drawn[1].float().mean() == pytest.approx(127.5, abs=10)


def test_the_losses_of_the_readings_by_hand():
    out = torch.tensor([[2.0] + [0.0] * 9 + [1.0, 0.0], [0.0] * 10 + [0.0, 3.0]])
    labels = torch.tensor([0, reasoning.NOISE])
    digit = F.cross_entropy(out[:1, :10], labels[:1])
    either = F.cross_entropy(out[:, 10:], torch.tensor([0, 1]))
    assert experiment.two_heads(out, labels) == pytest.approx((digit + either).item())
    assert experiment.two_heads(out[1:], labels[1:]).isfinite()
    assert experiment.digit_or_noise(out[:, 10:], labels) == pytest.approx(either.item())


def test_a_followed_training_measures_what_it_says(given):
    net, history = reasoning.classifier(reasoning.KINDS["ReasonNet"], given, seed=0, lr=1e-3, epochs=2, follow=True)
    held = given.held
    digits = F.cross_entropy(net(held.inputs).detach(), held.labels).item()
    last = history.iloc[-1]
    assert last.test_digits == pytest.approx(digits, rel=1e-5)
    assert last.test == pytest.approx((last.test_digits + last.test_noise) / 2, rel=1e-5)
    assert last.accuracy == pytest.approx((net(held.inputs).argmax(1) == held.labels).double().mean().item())


def test_targets_are_rows_codes_or_activations(given):
    net, part = models.DigitCNN(seed=0), given.test
    predicted = net(part.inputs).argmax(1)
    rows = net[-1].weight.detach()
    found = {target: reasoning.reason_of(net, target, seed=0)(part) for target in reasoning.TARGETS}
    assert torch.equal(found["weights"], rows[predicted])
    assert torch.equal(found["weights of the label"], rows[part.labels])
    assert torch.equal(found["activations"], net.features(part.inputs).detach())
    codes = torch.stack([found["random codes"][predicted == label][0] for label in predicted.unique()])
    assert codes.std() == pytest.approx(rows.std().item(), rel=0.1)
    assert not torch.isclose(codes, rows[predicted.unique()]).all(1).any()


# --- answers


@pytest.mark.parametrize("outputs", [2, 10, 11, 12])
def test_every_head_gives_probabilities_of_ten_digits_and_noise(outputs):
    out = torch.randn(50, outputs, generator=torch.Generator().manual_seed(0))
    p = answers.probabilities(out)
    assert p.shape == (50, 11)
    assert torch.allclose(p.sum(1), torch.ones(50, dtype=torch.double))
    label = answers.decided(out)
    if outputs == 2:
        assert torch.equal(label == answers.NOISE, p[:, 10] > 0.5)
        assert set(label.tolist()) <= {answers.SOME_DIGIT, answers.NOISE}
    if outputs in (10, 11):
        assert torch.equal(label, p.argmax(1))
    if outputs == 12:
        assert torch.equal(label[p[:, 10] <= 0.5], out[p[:, 10] <= 0.5, :10].argmax(1))


def test_an_unknown_head_is_refused():
    with pytest.raises(ValueError, match="not 7"):
        answers.probabilities(torch.zeros(1, 7))


# --- scores


def test_area_threshold_and_calibration_by_hand():
    assert stats.auroc([3, 4], [1, 2]) == 1
    assert stats.auroc([1, 2], [1, 2]) == 0.5
    assert stats.auroc([1.0, 3.0], [2.0]) == 0.5
    scores = np.arange(100.0)
    assert np.mean(scores >= stats.accepting(scores)) >= 0.95
    assert np.mean(scores > stats.accepting(scores)) <= 0.95
    assert stats.calibration_error([0.9] * 10, [1] * 9 + [0]) == pytest.approx(0)
    assert stats.calibration_error([0.9] * 10, [0] * 10) == pytest.approx(0.9)
    with pytest.raises(ValueError, match="not 0"):
        stats.accepting(scores, 0)


def test_detectors_score_as_defined(given):
    net = models.DigitCNN(seed=0, outputs=11, hidden=128)
    images = given.test.inputs[:9]
    found = detection.detectors(net, given.train.inputs, given.train.labels)
    p = net(images).detach().double().softmax(1)
    assert np.allclose(found["noise label"](images), 1 - p[:, 10], atol=1e-6)
    assert np.allclose(found["softmax"](images), p[:, :10].amax(1), atol=1e-6)
    assert np.allclose(found["energy"](images), net(images).detach()[:, :10].logsumexp(1), atol=1e-5)
    assert np.allclose(found["pixel mean"](images), -(images / 255).mean((1, 2, 3)))


def test_mahalanobis_is_the_distance_of_numpy(given):
    net = models.DigitCNN(seed=0)
    inputs, labels = given.train
    found = detection.mahalanobis(net, inputs, labels)(given.test.inputs[:5])
    features = net.features(inputs).detach().double().numpy()
    means = np.stack([features[labels == label].mean(0) for label in range(10)])
    centred = features - means[labels]
    covariance = centred.T @ centred / len(centred)
    covariance += 1e-6 * np.diag(covariance).mean() * np.eye(256)
    apart = net.features(given.test.inputs[:5]).detach().double().numpy()[:, None] - means
    squared = np.einsum("nci,ij,ncj->nc", apart, np.linalg.inv(covariance), apart)
    assert np.allclose(found, -np.sqrt(squared.min(1)), rtol=1e-4)


def test_judging_scores_against_a_known_case(given, sets):
    by_mean = {
        "pixel mean": lambda images: -(images / (255 if images.dtype == torch.uint8 else 1)).mean((1, 2, 3)).numpy()
    }
    inside = given.test.inputs[:20]
    found = detection.judged(by_mean, given.validation.inputs, inside, sets, right=np.ones(20, bool))
    row, uniform = detection.DETECTORS.index("pixel mean"), data.NOVELTIES.index("uniform")
    assert found["auroc"][row, uniform] == 1
    assert found["fpr"][row, uniform] == 0
    assert found["kept"][row] == 1
    assert np.isnan(found["auroc"][0]).all()
    assert np.isnan(found["auroc"][row, data.NOVELTIES.index("clothing")])


def test_the_score_is_equation_6(given):
    vanilla, reason = models.DigitCNN(seed=1), models.DigitCNN(seed=2, outputs=256, hidden=256)
    code = reasoning.reason_of(vanilla, "weights", seed=0)
    images = given.test.inputs[:8]
    both = pairs.parts(vanilla, reason, code, images)
    out = vanilla(images).detach()
    label = out.argmax(1)
    wanted = F.cross_entropy(out, label, reduction="none")
    wanted = wanted + 7 * ((reason(images).detach() - vanilla[-1].weight.detach()[label]) ** 2).sum(1)
    assert np.allclose(pairs.score(both, 7.0), wanted, rtol=1e-4)


def test_a_sweep_of_lambda_begins_with_the_cross_entropy(given, sets):
    def measure(images):
        ink = (images / (255 if images.dtype == torch.uint8 else 1)).mean((1, 2, 3)).double().numpy()
        return np.stack([ink, 1 - ink])  # the second part orders images the other way round

    found = pairs.swept(measure, given.validation.inputs, given.test.inputs[:20], sets)
    uniform = data.NOVELTIES.index("uniform")
    assert found["auroc"][0, uniform] == 1
    assert found["auroc"][-1, uniform] == 0
    assert found["fpr"][0, uniform] == 0
    assert found["fpr"][-1, uniform] == 1
    assert (np.diff(found["penalty"]) > 0).all()


def test_what_is_understood_of_targets_that_are_hit_exactly(given):
    class Exact(torch.nn.Module):
        def forward(self, images):
            return code(Images(images, torch.zeros(len(images))))

    vanilla = models.DigitCNN(seed=0)
    code = reasoning.reason_of(vanilla, "weights", seed=0)
    held = Images(given.held.inputs, code(given.held))
    found = pairs.understood(vanilla, Exact(), held, given.held.labels)
    assert found["mse"] == 0
    assert found["explained"] == 1
    assert found["agrees"] == 1
    assert found["nearest"] == found["accuracy"]


def test_geometry_of_two_tight_classes():
    vectors = np.array([[0, 0], [0, 1], [10, 0], [10, 1.0]])
    labels = np.array([0, 0, 1, 1])
    assert pairs.purity(vectors, labels, k=1) == 1
    assert pairs.between(vectors, labels) == pytest.approx(100 / 101)
    assert pairs.neighbours(vectors, [0, 3], k=1).tolist() == [[1], [2]]


def test_probes_are_ten_digits_and_seven_that_are_none(given):
    found = reasoning.probes(given.test, seed=0)
    assert [one.accepted for one in found] == [True] * 10 + [False] * 7
    assert all(one.image.shape == (1, 28, 28) and one.image.is_floating_point() for one in found)
    assert torch.allclose(found[14].image, 1 - given.test.inputs[0] / 255)


# --- whole trials


def test_trials_give_the_same_twice_and_what_they_promise(given):
    settings = dict(seed=0, lr=1e-3, epochs=1, images=700, tests=20)
    once, twice = (reasoning.examined("two heads", **settings) for _ in range(2))
    assert all(np.array_equal(once[name], twice[name], equal_nan=True) for name in once)
    held = len(given.held.inputs)
    assert once["confusion"].sum() == 2 * held
    assert once["confusion"][10].sum() == held
    assert once["called"].shape == (len(reasoning.SETS), 11)


def test_a_pair_reports_on_both_networks():
    found = reasoning.paired("weights", seed=0, lr=1e-3, epochs=2, images=700, tests=20)
    assert found["explained"] == pytest.approx(1 - found["mse"] / found["variance"])
    assert found["reason_test"][-1] == pytest.approx(found["mse"], rel=1e-4)
    assert found["auroc"].shape == (len(reasoning.LAMBDAS), len(data.NOVELTIES))
    assert np.nanmax(abs(found["auroc"][0] - found["softmax"])) < 1e-6
    assert found["probes"].shape == (2, 17)


def test_joint_training_depends_on_lambda():
    settings = dict(seed=0, lr=1e-3, epochs=1, images=700, tests=20)
    free, bound = (reasoning.joint(lam, False, **settings) for lam in (0.0, 1_000.0))
    assert bound["distance"] < free["distance"]
    assert bound["row_norm"] < free["row_norm"]


def test_left_out_and_disagreement_run():
    found = reasoning.left_out((4,), seed=0, lr=1e-3, epochs=1, images=700)
    assert 0 <= found["called_noise"] <= 1
    assert all(0 <= found[name] <= 1 for name in ("softmax", "energy", "Mahalanobis", "reasonnet", "reasonable"))
    areas = reasoning.disagreement(seed=0, lr=1e-3, epochs=1, images=700, tests=20)["auroc"]
    assert np.isnan(areas).sum() == 1

"""The compiled kernel of CifarCNN's convolutions: right numbers, same bits, and a way out where it cannot be had."""

from __future__ import annotations

import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from companion.models.cnn import CifarCNN
from companion.models.mlp import MLP
from companion.source import with_imports
from companion.training import compiled
from companion.training.arithmetic import arithmetic_here, forward_in
from companion.training.checkpoint import Checkpoint
from companion.training.many import fit_many
from companion.training.one import Diverged, fit

needs_kernel = pytest.mark.skipif(bool(compiled.available()), reason=compiled.available() or "it is here")


@pytest.fixture(params=["tiles", "vectors"])
def engine(request, monkeypatch):
    """Each way of multiplying that this CPU knows."""
    if request.param == "tiles" and not compiled.uses_tiles():
        pytest.skip("this CPU, or its Linux, has no AMX tiles")
    monkeypatch.setattr(compiled._found(), "tiles", int(request.param == "tiles"))


def examples(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(n)
    return torch.randint(256, (n, 3, 32, 32), generator=draw, dtype=torch.uint8), torch.arange(n) % 10


def network(seed: int = 0) -> CifarCNN:
    """A network whose biases are not zero."""
    net = CifarCNN(seed=seed)
    draw = torch.Generator().manual_seed(seed)
    for layer in convolutions(net):
        nn.init.uniform_(layer.bias, -0.1, 0.1, generator=draw)
    return net


def convolutions(net: CifarCNN) -> tuple[nn.Conv2d, nn.Conv2d, nn.Conv2d]:
    return net.conv1, net.conv2, net.conv3


def upstream(n: int) -> torch.Tensor:
    return torch.randn(n, 1024, generator=torch.Generator().manual_seed(n)).bfloat16()


def gradients(net: CifarCNN) -> list[torch.Tensor]:
    return [value.grad for layer in convolutions(net) for value in (layer.weight, layer.bias)]


def by_kernel(images: torch.Tensor, gradient: torch.Tensor, net: CifarCNN | None = None) -> list[torch.Tensor]:
    """The features, and the gradients of weights and biases."""
    net = net or network()
    net.zero_grad()
    maps = compiled.features(images, *convolutions(net))
    maps.backward(gradient)
    return [maps.detach(), *gradients(net)]


class Rounded(torch.autograd.Function):
    """Round to bfloat16 what passes, and the gradient on its way back."""

    @staticmethod
    def forward(ctx, values):
        return values.bfloat16().to(values.dtype)

    @staticmethod
    def backward(ctx, gradient):
        return gradient.bfloat16().to(gradient.dtype)


def by_torch(images, gradient, *, rounding: bool, net: CifarCNN | None = None) -> list[torch.Tensor]:
    """The same in float64 on weights and pixels rounded to bfloat16; with `rounding`, activations are rounded, too."""
    net = net or network()
    for layer in convolutions(net):
        layer.weight.data = layer.weight.data.bfloat16().float()
    net.double()
    between = Rounded.apply if rounding else lambda maps: maps
    maps = net.pixels(images[..., :30, :30]).float().bfloat16().double()
    maps = between(F.relu(F.max_pool2d(net.conv1(maps), 2)))
    maps = between(F.relu(F.max_pool2d(net.conv2(maps), 2)))
    maps = between(F.relu(net.conv3(maps))).flatten(1)
    maps.backward(gradient.double())
    return [maps.detach(), *gradients(net)]


def by_autocast(images: torch.Tensor, gradient: torch.Tensor) -> list[torch.Tensor]:
    net = network()
    with torch.autocast("cpu", torch.bfloat16):
        maps = net.pixels(images[..., :30, :30])
        maps = F.relu(F.max_pool2d(net.conv1(maps), 2))
        maps = F.relu(F.max_pool2d(net.conv2(maps), 2))
        maps = F.relu(net.conv3(maps)).flatten(1)
    maps.backward(gradient)
    return [maps.detach(), *gradients(net)]


def errors(found: list[torch.Tensor], true: list[torch.Tensor]) -> torch.Tensor:
    """The relative error of each in norm."""
    return torch.stack([(a.double() - b).norm() / b.norm() for a, b in zip(found, true, strict=True)])


@needs_kernel
@pytest.mark.parametrize("n", [1, 7, 64])
def test_the_kernel_computes_what_it_says(engine, n):
    # The same roundings at the same places leave the sums' own error, 2^-24 a step: too small to see, but a sum within
    # it of a tie between two bfloat16 numbers (one in some thousands) is rounded to the other, 2^-8 away.
    images, gradient = examples(n)[0], upstream(n)
    found, true = by_kernel(images, gradient), by_torch(images, gradient, rounding=True)
    assert errors(found, true).max() < 2e-3
    assert found[0].dtype == torch.bfloat16 and all(one.dtype == torch.float32 for one in found[1:])


@needs_kernel
def test_the_kernel_is_as_close_to_exact_as_autocast(engine):
    # Rounded activations choose other maxima here and there, so that both miss float64 by per cents, at random: the
    # mean over layers and batches is compared.
    ours, theirs = [], []
    for n in (1, 7, 32, 64):
        images, gradient = examples(n)[0], upstream(n)
        true = by_torch(images, gradient, rounding=False)
        ours.append(errors(by_kernel(images, gradient), true))
        theirs.append(errors(by_autocast(images, gradient), true))
    assert torch.stack(ours).mean(0)[0] < 1.5 * torch.stack(theirs).mean(0)[0] < 0.01  # features
    assert torch.stack(ours)[:, 1:].mean() < 1.5 * torch.stack(theirs)[:, 1:].mean() < 0.1  # gradients


@needs_kernel
def test_every_byte_is_coded_as_autocast_codes_it(engine):
    # Weights that hand the red channel through: one tap of 1 in each layer.
    net = CifarCNN(seed=0)
    for layer in convolutions(net):
        nn.init.zeros_(layer.weight)
        layer.weight.data[0, 0, 1, 1] = 1
    codes = torch.arange(256, dtype=torch.uint8)
    maps = compiled.features(codes[:, None, None, None].expand(256, 3, 32, 32), *convolutions(net))
    expected = (codes.float() / 255).bfloat16()[:, None].expand(256, 16)
    assert torch.equal(maps[:, :16], expected) and not maps[:, 16:].any()


@needs_kernel
def test_of_equal_sums_the_first_gets_the_gradient_and_at_zero_none_does(engine):
    images, gradient = examples(7)[0], upstream(7)

    def level(bias: float) -> CifarCNN:
        net = network()
        nn.init.zeros_(net.conv1.weight)  # all sums of a map are equal, but not what lies under the kernel
        nn.init.constant_(net.conv1.bias, bias)
        return net

    for flat in (images, torch.full_like(images, 100)):
        above, true = by_kernel(flat, gradient, level(0.5)), by_torch(flat, gradient, rounding=True, net=level(0.5))
        assert errors(above, true).max() < 2e-3
    at_zero = by_kernel(images, gradient, level(0.0))
    assert not at_zero[1].any() and not at_zero[2].any() and at_zero[5].any()


@needs_kernel
def test_an_image_is_computed_alike_alone_and_in_any_batch(engine):
    images, net = examples(13)[0], network()
    together = compiled.features(images, *convolutions(net))
    alone = torch.cat([compiled.features(one[None], *convolutions(net)) for one in images])
    assert torch.equal(together, alone)
    assert compiled.features(images[:0], *convolutions(net)).shape == (0, 1024)


@needs_kernel
def test_the_layout_of_weights_and_images_does_not_matter(engine):
    images, gradient = examples(5)[0], upstream(5)
    other = network().to(memory_format=torch.channels_last)
    found = by_kernel(images.to(memory_format=torch.channels_last), gradient, other)
    assert all(map(torch.equal, by_kernel(images, gradient), found))
    assert other.conv2.weight.grad.stride() == other.conv2.weight.stride()


@needs_kernel
def test_threads_do_not_disturb_one_another_nor_autocast(engine):
    work = [(examples(n)[0], upstream(n), network(n)) for n in (3, 8, 12, 20)]
    autocast_before = by_autocast(*work[3][:2])
    one_by_one = [[value.clone() for value in by_kernel(*each)] for each in work]
    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            at_once = list(pool.map(lambda each: by_kernel(*each), work))
        for found, expected in zip(at_once, one_by_one, strict=True):
            assert all(map(torch.equal, found, expected))
    # oneDNN uses the tiles, too, and must find them shaped as it left them.
    assert all(map(torch.equal, autocast_before, by_autocast(*work[3][:2])))


# In fit


def trained(arithmetic: str, *, seed: int = 0, epochs: int = 3, **settings) -> tuple[CifarCNN, pd.DataFrame]:
    net = CifarCNN(seed=seed)
    chosen = dict(lr=1e-3, optimizer="adam", batch=32) | settings
    return net, fit(net, examples(150), seed=seed, epochs=epochs, arithmetic=arithmetic, **chosen)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


@needs_kernel
def test_fit_with_the_kernel_gives_the_same_bits_and_learns_like_bf16(engine):
    (one, history), (again, history_again), (other, _) = (trained("bf16-compiled", seed=seed) for seed in (1, 1, 2))
    assert same_weights(one, again) and not same_weights(one, other)
    pd.testing.assert_frame_equal(history, history_again, check_exact=True)
    bf16, bf16_history = trained("bf16", seed=1)
    assert not same_weights(one, bf16)
    assert history.loss.to_numpy() == pytest.approx(bf16_history.loss.to_numpy(), abs=0.01)
    assert history.loss.is_monotonic_decreasing
    assert all(value.dtype == torch.float32 for value in one.parameters())


@needs_kernel
def test_a_training_taken_up_again_ends_with_the_same_bits(tmp_path):
    undisturbed, history = trained("bf16-compiled")
    keeper = Checkpoint(tmp_path / "training.pt", every=0)
    trained("bf16-compiled", epochs=1, checkpoint=keeper)
    resumed, resumed_history = trained("bf16-compiled", checkpoint=keeper)
    assert same_weights(undisturbed, resumed)
    pd.testing.assert_frame_equal(history, resumed_history, check_exact=True)
    with pytest.raises(ValueError, match="is of another training"):
        trained("bf16", checkpoint=keeper)


@needs_kernel
def test_fit_many_passes_it_on():
    settings = dict(epochs=1, lr=1e-3, optimizer="adam", arithmetic="bf16-compiled")
    many, _ = fit_many(lambda seed: CifarCNN(seed=seed), *examples(40), [3, 4], **settings)
    for seed, net in zip((3, 4), many, strict=True):
        alone = CifarCNN(seed=seed)
        fit(alone, examples(40), seed=seed, **settings)
        assert same_weights(alone, net)
    with pytest.raises(ValueError, match=r"computes models.CifarCNN only, not MLP"):
        fit_many(lambda seed: MLP((4, 2), seed=seed), torch.zeros(8, 4), torch.zeros(8, dtype=int), [1, 2], **settings)


@needs_kernel
def test_a_training_that_diverges_is_noticed():
    with pytest.raises(Diverged, match="bf16-compiled"):
        trained("bf16-compiled", lr=1e20, optimizer="sgd")


@needs_kernel
def test_what_the_kernel_does_not_compute_is_refused_in_one_sentence():
    images, labels = examples(4)
    with pytest.raises(ValueError, match=r"computes models.CifarCNN only, not MLP; use bf16 for it"):
        fit(MLP((3072, 10), seed=0), (images, labels), seed=0, epochs=1, lr=0.1, arithmetic="bf16-compiled")
    with pytest.raises(
        ValueError, match=r"takes uint8 images \(N, 3, 32, 32\) on the CPU, not float32 \(4, 3, 32, 32\)"
    ):
        fit(CifarCNN(seed=0), (images / 255, labels), seed=0, epochs=1, lr=0.1, arithmetic="bf16-compiled")
    with pytest.raises(ValueError, match=r"takes fp32 weights \(32, 3, 3, 3\) on the CPU, not float64"):
        compiled.features(images, *convolutions(network().double()))
    with pytest.raises(ValueError, match=r"cannot be had here, fp32 and bf16 can: .* runs on the CPU, not on cuda"):
        forward_in("bf16-compiled", network(), torch.device("cuda"))


# Where it is built, and where it cannot be


def test_results_depend_on_the_kernels_source():
    assert compiled.source_digest() == compiled.SHA256, "write the new sum into compiled.py"
    assert "companion.training.compiled" in with_imports({"companion.training.one"})


@needs_kernel
def test_the_kernel_is_built_once_however_many_ask(tmp_path, monkeypatch):
    builds = []
    compile_ = compiled._compile
    monkeypatch.setattr(compiled, "_compile", lambda library: (builds.append(library), compile_(library)))
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path))
    with ThreadPoolExecutor(3) as pool:
        paths = set(pool.map(lambda _: compiled._built(), range(3)))
    assert len(builds) == len(paths) == 1 and paths.pop().is_file()
    assert [path.suffix for path in (tmp_path / "kernels").iterdir() if path.suffix != ".lock"] == [".so"]


def test_an_edited_source_is_not_run_under_the_old_sum(tmp_path, monkeypatch):
    shutil.copytree(compiled.SOURCE, tmp_path / "kernel")
    monkeypatch.setattr(compiled, "SOURCE", tmp_path / "kernel")
    assert compiled.source_digest() == compiled.SHA256
    with (tmp_path / "kernel" / "bf16_products.hpp").open("a") as file:
        file.write("// another thought\n")
    with pytest.raises(compiled.Unavailable, match="source was edited"):
        compiled._built()


ASK = """
from companion import models, training
from companion.training import compiled
import torch
print(compiled.available())
print(training.arithmetic_here("bf16-compiled"), training.arithmetic_here("bf16-compiled"))
examples = torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)
try:
    training.fit(models.CifarCNN(seed=0), examples, seed=0, epochs=1, lr=0.1, arithmetic="bf16-compiled")
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        (dict(PATH="", CXX=""), "the compiled kernel needs a C++ compiler: none of c++, g++, clang++ is on the PATH"),
        (dict(CXX="false"), "the C++ compiler false cannot compile the kernel: it gave no reason"),
        (dict(CXX="no-such-compiler"), "the C++ compiler no-such-compiler cannot be run"),
    ],
)
def test_without_a_compiler_it_says_so_and_falls_back(fresh, tmp_path, environment, reason):
    script = tmp_path / "ask.py"
    script.write_text(ASK)
    told = fresh(script, COMPANION_CACHE=str(tmp_path), **{"PATH": os.environ["PATH"]} | environment)
    assert told.returncode == 0, told.stderr
    why, chosen, refused = told.stdout.splitlines()
    assert why == reason or "needs a CPU with" in why or "is made for Linux" in why
    instead = arithmetic_here("bf16")
    assert chosen == f"{instead} {instead}"
    assert told.stderr.splitlines()[0] == f"bf16 instead of bf16-compiled: {why}"
    assert len(told.stderr.splitlines()) == (1 if instead == "bf16" else 2)
    assert refused == f"the arithmetic 'bf16-compiled' cannot be had here, fp32 and bf16 can: {why}"


def test_a_cpu_without_the_instructions_falls_back_to_fp32(monkeypatch, caplog):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True})
    reason = compiled._found.__wrapped__()
    assert reason.startswith("the compiled kernel needs") and (
        "avx512_bf16, which this one has not" in reason or "Linux" in reason
    )
    with caplog.at_level(logging.WARNING):
        assert arithmetic_here("bf16") == arithmetic_here("bf16") == "fp32"
    assert [record.message for record in caplog.records] == [
        "fp32 instead of bf16: this CPU has no instructions for bfloat16"
    ]


def test_the_arithmetic_of_a_place():
    assert [arithmetic_here(one, "cuda") for one in ("fp32", "bf16", "bf16-compiled")] == ["fp32", "bf16", "bf16"]
    assert arithmetic_here("fp32") == "fp32"
    assert compiled.available() or arithmetic_here("bf16-compiled") == "bf16-compiled"
    with pytest.raises(ValueError, match="unknown arithmetic 'fp8'; the arithmetics are fp32, bf16, bf16-compiled"):
        arithmetic_here("fp8")

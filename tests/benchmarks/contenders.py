"""Ways to train a network, each in a process of its own: python contenders.py NAME [TWIN]

Prepares, says "ready", and then, for every line on stdin, trains for a while and prints how many images that were and
how many seconds it took. The driver (training.py) lets one contender run at a time. The Keras contender has an
environment of its own and needs nothing of this project; all others are the same three networks on made-up images.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable

import numpy as np

BATCH = 64
SHAPES = {"cnn": (3, 32, 32), "lenet": (1, 32, 32), "mlp": (1, 10, 10)}
SEGMENT = {"cnn": 6_000, "lenet": 24_000, "mlp": 200_000}  # images in about a second and a half
EXAMPLES = {"cnn": 6_000, "lenet": 6_000, "mlp": 10_000}

Segment = Callable[[], int]


def examples(network: str) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    count = EXAMPLES[network]
    return draw.integers(256, size=(count, *SHAPES[network]), dtype=np.uint8), draw.integers(10, size=count)


def build(network: str, seed: int):
    from torch import nn

    from companion import models

    if network == "cnn":
        return models.CifarCNN(seed=seed)
    if network == "lenet":
        return models.LeNet5(seed=seed, coding="[0,1]")
    return nn.Sequential(models.Pixels("[0,1]"), models.MLP((100, 25, 10), seed=seed))


def naive(network: str, workers: int) -> Segment:
    """The loop of a first tutorial: images through PIL, ToTensor, Normalize and a DataLoader; the layers as listed."""
    import torch
    from PIL import Image
    from torch import nn
    from torch.nn import functional as F
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    images, labels = examples(network)
    channels = SHAPES[network][0]
    steps = [transforms.ToTensor(), transforms.Normalize([0.5] * channels, [0.5] * channels)]
    prepare = transforms.Compose(steps)

    class Pictures(Dataset):
        def __len__(self):
            return len(images)

        def __getitem__(self, index):
            picture = images[index].transpose(1, 2, 0)
            return prepare(Image.fromarray(picture if channels == 3 else picture[..., 0])), int(labels[index])

    net = build(network, 0)
    net = net.layer_by_layer() if network == "cnn" else net
    updates = torch.optim.Adam(net.parameters(), 1e-3)
    assert isinstance(net, nn.Module)

    def batches():
        while True:
            yield from DataLoader(Pictures(), BATCH, shuffle=True, num_workers=workers, drop_last=True)

    source = batches()

    def segment() -> int:
        steps = SEGMENT[network] // (4 * BATCH)
        for inputs, targets in itertools.islice(source, steps):
            updates.zero_grad()
            F.cross_entropy(net(inputs), targets).backward()
            updates.step()
        return steps * BATCH

    return segment


def one(network: str, arithmetic: str, device: str = "cpu") -> Segment:
    """`fit`, with as many threads as the process is given."""
    import torch

    from companion import training

    images, labels = map(torch.from_numpy, examples(network))
    net = build(network, 0)
    epochs = max(1, SEGMENT[network] // len(images) // (10 if network == "mlp" else 1))

    def segment() -> int:
        adam = dict(optimizer="adam", lr=1e-3, batch=BATCH)
        training.fit(net, (images, labels), seed=0, epochs=epochs, arithmetic=arithmetic, device=device, **adam)
        return epochs * len(images)

    return segment


def many(network: str, arithmetic: str, device: str = "cpu", models: int = 0) -> Segment:
    """`fit_many`; on the CPU in a process of one thread, of which the driver starts one for each core."""
    import torch

    from companion import training

    images, labels = map(torch.from_numpy, examples(network))
    models = models or (64 if device == "cuda" or network == "mlp" else 2)
    if network != "mlp" and device == "cpu":
        images, labels = images[: len(images) // models], labels[: len(images) // models]

    def segment() -> int:
        adam = dict(optimizer="adam", lr=1e-3, batch=BATCH, epochs=1, arithmetic=arithmetic, device=device)
        training.fit_many(lambda seed: build(network, seed), images, labels, range(models), **adam)
        return models * len(images)

    return segment


def vmap(network: str) -> Segment:
    """Eight models in one call on the CPU: convolutions as vmap makes them, grouped."""
    import torch

    from companion.training.recipe import Recipe
    from companion.training.stacked import StackedTraining

    images, labels = map(torch.from_numpy, examples(network))
    images, labels = images[:640], labels[:640]
    groups = [dict(lr=1e-3, momentum=0.0, weight_decay=0.0)] * 8
    recipe = Recipe(1, "adam", batch=BATCH)

    def segment() -> int:
        nets = [build(network, seed) for seed in range(8)]
        StackedTraining(nets, images, labels, own=(False, False), seeds=range(8), groups=groups, recipe=recipe).run()
        return 8 * len(images)

    return segment


def keras(network: str) -> Segment:
    """`model.fit` of Keras on arrays in memory, as in the tutorial whose network the paper took."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    from keras import layers

    images, labels = examples(network)
    images = images.transpose(0, 2, 3, 1).astype("float32") / 255
    shape = images.shape[1:]
    if network == "cnn":
        net = [layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2), layers.Conv2D(64, 3, activation="relu")]
        net += [layers.MaxPooling2D(2), layers.Conv2D(64, 3, activation="relu"), layers.Flatten()]
        net += [layers.Dense(64, activation="relu"), layers.Dense(10)]
    elif network == "lenet":
        net = [layers.Conv2D(6, 5, activation="relu"), layers.MaxPooling2D(2), layers.Conv2D(16, 5, activation="relu")]
        net += [layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(120, activation="relu")]
        net += [layers.Dense(84, activation="relu"), layers.Dense(10)]
    else:
        net = [layers.Flatten(), layers.Dense(25, activation="relu"), layers.Dense(10)]
    model = keras.Sequential([keras.Input(shape), *net])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss)
    epochs = max(1, SEGMENT[network] // len(images) // (10 if network == "mlp" else 1))

    def segment() -> int:
        model.fit(images, labels, batch_size=BATCH, epochs=epochs, verbose=0)
        return epochs * len(images)

    return segment


def contender(name: str) -> Segment:
    """Return what a name such as "cnn many bf16" stands for."""
    network, way, *rest = name.split()
    ways: dict[str, Callable[..., Segment]] = {
        "naive": lambda workers: naive(network, int(workers)),
        "fit": lambda *given: one(network, *given),
        "many": lambda *given: many(network, *given),
        "vmap": lambda: vmap(network),
        "keras": lambda: keras(network),
    }
    return ways[way](*rest)


def main() -> None:
    """Train a segment for every line on stdin."""
    if os.environ.get("BENCH_THREADS"):
        import torch

        torch.set_num_threads(int(os.environ["BENCH_THREADS"]))
    segment = contender(sys.argv[1])
    segment()  # chooses kernels, compiles, fills caches
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        started = time.perf_counter()
        count = segment()
        sys.stdout.write(f"{count} {time.perf_counter() - started}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

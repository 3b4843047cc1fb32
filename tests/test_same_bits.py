"""A refactoring that keeps results: small trainings give the same bits as they did at a commit.

`make rekey SINCE=<commit>` runs this with the commit in COMPANION_REKEY_SINCE, and keeps results over changes of those
modules only whose functions it sees run here. In the test suite the commit is the last one.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

SCRIPT = """
import hashlib, os, sys, torch
torch.set_num_threads(1)
from companion import confusion, models, training
from companion.attention import focus
from companion.confusion import inspection
from companion.data import mosaics as mosaic_data, synthetic
from companion.data.images import Images
from companion.invariance import follow_ups, identity, poses, shifting

ran = set()  # what is called from here on, not what an import runs
sys.setprofile(lambda frame, event, value: ran.add(frame.f_globals.get("__name__", "")) if event == "call" else None)

def tell(name, *tensors):
    content = b"".join(one.detach().contiguous().numpy().tobytes() for one in tensors)
    print(name, hashlib.sha256(content).hexdigest())

draw = torch.Generator().manual_seed(7)
grey = torch.randint(256, (600, 1, 32, 32), generator=draw, dtype=torch.uint8)
colour = torch.randint(256, (200, 3, 32, 32), generator=draw, dtype=torch.uint8)
labels = torch.randint(10, (600,), generator=draw)
common = dict(epochs=2, batch=64, seed=3)
for pooling in ("max", "average"):
    for activation in ("relu", "tanh"):
        net = models.LeNet5(seed=5, pooling=pooling, activation=activation, coding="1998")
        history = training.fit(net, (grey, labels), lr=1e-3, optimizer="adam", **common)
        tell(f"lenet {pooling} {activation}", *net.parameters(), torch.tensor(history["loss"].to_numpy()))
        tell("answers", training.outputs(net, 255 - grey), training.confusion_matrix(net, (grey, labels)))
        turned = models.flip_first_layer(net, correct_bias=True)
        tell("turned", training.outputs(turned, grey), torch.tensor(training.accuracy(turned, (grey, labels))))
net = models.CifarCNN(seed=5)
history = training.fit(net, (colour, labels[:200]), lr=1e-3, optimizer="adam", eps=1e-7, **common)
tell("cnn", *net.parameters(), torch.tensor(history["loss"].to_numpy()))
tell("classes", torch.tensor(training.per_class(net, (colour, labels[:200])).to_numpy(float)))
many, _ = training.fit_many(
    lambda seed: models.CifarCNN(seed=seed), colour, [labels[:200], labels[200:400]], [3, 4], epochs=2, lr=1e-3,
    optimizer="adam", batch=64,
)
found = training.evaluate_many(many, colour, labels[:200])
tell("many", *many.parameters.values(), *(torch.tensor(found[name]) for name in ("accuracy", "loss", "bits")))
hidden = inspection.hidden_units(net, colour)
looks = [inspection.occlusion(net, colour[:3], 1), inspection.class_cosines(hidden, labels[:200])]
looks += [inspection.probes((hidden, labels[:200]), (hidden, labels[200:400]))]
tell("inspection", hidden, *map(torch.from_numpy, looks))
for found in confusion.trials((3, 5), [0, 1], images=150, scored=100, epochs=1):
    tell("confused", *(torch.tensor(values) for values in found.values()))
points = synthetic.two_planes(500, angle=30, seed=1)
tell("points", *points)
mosaics = mosaic_data.draw_mosaics(points.labels, (0, 1, 2), n=300, seed=1)
average = mosaic_data.focused_average(points.inputs, mosaics, 3 / 9)
tell("mosaics", *mosaics, average)
net = models.MLP((3, 64, 128, 3), seed=5).double()
examples = (average, points.labels[mosaics.foreground])
history = training.fit(net, examples, lr=0.01, momentum=0.9, weight_decay=1e-4, **common)
tell("mlp", *net.parameters(), torch.tensor(history["loss"].to_numpy()))
digits = grey[:9, :, 2:30, 2:30]
small = dict(seed=5, encoder_maps=(2, 4), decoder_maps=(4, 2), dense=16)
net, reader = models.PosedAutoencoder(**small, canvas=68), models.LeNet5(seed=5, coding="[0,1]", border=2)
tell("looks", *shifting.looked_at(net, digits, shifting.along_diagonal((-20, 7)), poses.Shifts(), reader, batch=4))
net, angles = models.PosedAutoencoder(**small), torch.tensor([-90.0, 33.0])
tell("errors", poses.errors(net, digits, angles, poses.Turns(), batch=4))
tell("read", *identity.readings(net, reader, follow_ups.Images(digits, labels[:9]), angles, poses.Turns()))
for name in ("ae_z10", "hn_comp_conv", "hn_comp_basic", "gc_cont_s49"):
    found = follow_ups.study(name, seed=1, width=1 / 32, side=8, steps=2, batch=4, tests=2, every=20)
    tell(name, *(torch.from_numpy(found[key]) for key in ("errors", "drawn")))
sets = focus.three_sets(*2 * [Images(colour, labels[:200])], n=40, tests=20, seed=2)
net = models.PatchLeNet(seed=1, outputs=3)
settings = dict(tests=20, seed=2, epochs=2, batch=16, lr=0.01, momentum=0.9)
for tested in focus.train_and_test(net, 4, sets, alpha=0.3, laws=(0.3, focus.FIXED), **settings):
    tell("focus", *(torch.from_numpy(tested[key]) for key in ("loss", "accuracy", "evaluated")))
sys.setprofile(None)
with open(os.environ.get("COMPANION_REKEY_RAN") or os.devnull, "w") as file:
    print(*sorted(name for name in ran if name.startswith("companion.")), sep=chr(10), file=file)
"""


def bits(package: Path) -> str:
    settings = os.environ | {"PYTHONPATH": str(package)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=settings, cwd=package, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_same_bits_as_at_the_commit(tmp_path):
    commit = os.environ.get("COMPANION_REKEY_SINCE") or "HEAD"
    archive = subprocess.run(["git", "-C", ROOT, "archive", commit, "companion"], capture_output=True)
    if archive.returncode != 0:
        pytest.skip(f"git has no commit {commit} here")
    subprocess.run(["tar", "-x", "-C", tmp_path], input=archive.stdout, check=True)
    before, now = bits(tmp_path), bits(ROOT)
    assert len(now.splitlines()) > 10
    assert now == before

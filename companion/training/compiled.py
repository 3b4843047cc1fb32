"""CifarCNN's convolutions in a compiled kernel: bfloat16 on the CPU, one thread, several times as fast as autocast.

The kernel, kernel/cifar_cnn.cpp, is compiled when it is first asked for and kept in the cache. It needs Linux, a C++
compiler and a CPU with AVX512-BF16; with AMX as well it is much faster. `available` says what is missing.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import nn
from torch.nn import functional as F

from companion.data.download import cache_folder

SOURCE = Path(__file__).parent / "kernel"
# Of the kernel's files. Written out here, so that whatever depends on this module depends on them, too.
SHA256 = "19a9a57459ddbfcc343c2ec43d0604a34a2643eeefcbab359e852b0e6b2b605f"
COMPILERS = ("c++", "g++", "clang++")
VECTORS = ("avx512_f", "avx512_bw", "avx512_dq", "avx512_vl", "avx512_bf16")
TILES = ("amx_tile", "amx_bf16")
# Instructions by name, not "native": a cache may be shared by machines that differ.
FLAGS = (
    *("-std=c++17", "-O3", "-fPIC", "-shared", "-w", "-mfma"),
    *(f"-m{name.replace('512_', '512').replace('_', '-')}" for name in (*VECTORS, *TILES)),
)
IMAGE = (3, 32, 32)
SHAPES = ((32, 3, 3, 3), (64, 32, 3, 3), (64, 64, 3, 3))
FEATURES = 1024


class Unavailable(RuntimeError):
    """The kernel cannot be had here; the message says why."""


def available() -> str:
    """Return why the kernel cannot be used here, in one sentence; nothing if it can. The first call may compile it."""
    found = _found()
    return found if isinstance(found, str) else ""


def uses_tiles() -> bool:
    """Tell whether the kernel multiplies in AMX tiles; if not, in AVX512 vectors.

    Raises
    ------
    Unavailable
        If the kernel cannot be used here.
    """
    return bool(_library().tiles)


def forward_of(net: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that maps images to the logits of a CifarCNN.

    The convolutions run in the kernel, the first dense layer under autocast, the last one, which is small, in fp32.

    Parameters
    ----------
    net : CifarCNN
        On the CPU, in fp32. Its weights are read at every call, and gradients reach them.

    Returns
    -------
    callable
        Maps uint8 images (N, 3, 32, 32) to fp32 logits (N, classes).

    Raises
    ------
    ValueError
        If the model is another one.
    Unavailable
        If the kernel cannot be used here.
    """
    kind = type(net)  # known by its name: an import would make every result that `fit` computes depend on that model
    if (kind.__module__, kind.__name__) != ("companion.models.cnn", "CifarCNN"):
        raise ValueError(f"the compiled kernel computes models.CifarCNN only, not {kind.__name__}; use bf16 for it")
    _library()

    def logits(images: torch.Tensor) -> torch.Tensor:
        maps = features(images, net.conv1, net.conv2, net.conv3)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = F.relu(net.dense1(maps))
        return net.dense2(hidden.float())  # so small that bfloat16 only costs time

    return logits


def features(images: torch.Tensor, conv1: nn.Conv2d, conv2: nn.Conv2d, conv3: nn.Conv2d) -> torch.Tensor:
    """Return what CifarCNN's convolutions make of images: the input of its first dense layer.

    Parameters
    ----------
    images : uint8 tensor (N, 3, 32, 32)
        As stored; a byte is coded as byte / 255 rounded to bfloat16, as autocast does.
    conv1, conv2, conv3 : nn.Conv2d
        3x3, 3 to 32 to 64 to 64 channels, with biases, in fp32. Gradients reach their weights and biases.

    Returns
    -------
    bfloat16 tensor (N, 1024)
        Channel by channel, 4x4 positions each.

    Raises
    ------
    ValueError
        If the images or layers are of other shapes or kinds.
    Unavailable
        If the kernel cannot be used here.
    """
    if images.dtype != torch.uint8 or images.device.type != "cpu" or tuple(images.shape[1:]) != IMAGE:
        raise ValueError(
            f"the compiled kernel takes uint8 images (N, 3, 32, 32) on the CPU, not {_told(images)}; "
            "bf16 takes images in floating point"
        )
    layers = (conv1, conv2, conv3)
    for layer, shape in zip(layers, SHAPES, strict=True):
        weight = layer.weight
        if tuple(weight.shape) != shape or weight.dtype != torch.float32 or weight.device.type != "cpu":
            raise ValueError(f"the compiled kernel takes fp32 weights {shape} on the CPU, not {_told(weight)}")
    return _Features.apply(images, *(one for layer in layers for one in (layer.weight, layer.bias)))


def _told(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)} on {tensor.device.type}"


class _Features(torch.autograd.Function):
    """The kernel, differentiable in weights and biases."""

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        kernel, count = _library(), len(images)
        images = images.contiguous()
        # [out][ky][kx][in] is what the kernel reads; `fit` has the weights lie like that already.
        parameters = tuple(
            one.contiguous(memory_format=torch.channels_last if one.ndim == 4 else torch.contiguous_format)
            for one in parameters
        )
        tape = torch.empty(count * kernel.tape_bytes, dtype=torch.uint8)
        answers = torch.empty(count, FEATURES, dtype=torch.bfloat16)
        kernel.forward(count, images.data_ptr(), _addresses(parameters), tape.data_ptr(), answers.data_ptr())
        ctx.save_for_backward(images, tape, answers, *parameters)
        return answers

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        images, tape, answers, *parameters = ctx.saved_tensors
        gradient = gradient.to(torch.bfloat16).contiguous()
        gradients = [torch.empty_like(one) for one in parameters]
        _library().backward(
            *(len(images), images.data_ptr(), _addresses(parameters), tape.data_ptr(), answers.data_ptr()),
            *(gradient.data_ptr(), _addresses(gradients)),
        )
        return None, *gradients


def _addresses(tensors: Any) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(tensors))(*(one.data_ptr() for one in tensors))


class _Kernel:
    """The functions of the compiled library."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))  # lets go of the interpreter lock while it computes
        library.tape_bytes.restype = ctypes.c_long
        self.tape_bytes = library.tape_bytes()
        able = torch.cpu.get_capabilities()
        self.tiles = int(all(able.get(name) for name in TILES) and library.may_use_amx())
        pointer = ctypes.c_void_p
        library.forward.argtypes = (ctypes.c_int, ctypes.c_long, *[pointer] * 4)
        library.backward.argtypes = (ctypes.c_int, ctypes.c_long, *[pointer] * 6)
        library.forward.restype = library.backward.restype = None
        self.library = library

    def forward(self, *arguments: Any) -> None:
        self.library.forward(self.tiles, *arguments)

    def backward(self, *arguments: Any) -> None:
        self.library.backward(self.tiles, *arguments)


def _library() -> _Kernel:
    found = _found()
    if isinstance(found, str):
        raise Unavailable(found)
    return found


@functools.cache
def _found() -> _Kernel | str:
    """Return the kernel, or why there is none."""
    try:
        if platform.system() != "Linux":
            raise Unavailable(f"the compiled kernel is made for Linux, and this is {platform.system()}")
        able = torch.cpu.get_capabilities()
        if missing := [name for name in VECTORS if not able.get(name)]:
            raise Unavailable(f"the compiled kernel needs a CPU with {', '.join(missing)}, which this one has not")
        return _Kernel(_built())
    except (Unavailable, OSError) as error:
        return str(error)


def source_digest() -> str:
    """Return the SHA-256 sum of the kernel's files, one after another by name."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCE.glob("*.[ch]pp")))).hexdigest()


def _built() -> Path:
    """Return the compiled library, after compiling it if nobody has done so yet."""
    if (found := source_digest()) != SHA256:
        raise Unavailable(f"the kernel's source was edited: its SHA-256 sum in compiled.py must be {found}")
    key = hashlib.sha256(" ".join((SHA256, *FLAGS)).encode()).hexdigest()[:16]
    library = cache_folder() / "kernels" / f"cifar_cnn-{key}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(library.with_suffix(".lock")):
            if not library.exists():  # another process may have been quicker
                _compile(library)
    return library


def _compile(library: Path) -> None:
    """Compile the kernel; the library appears whole or not at all."""
    present = [name for name in COMPILERS if shutil.which(name)]
    compiler = shlex.split(os.environ.get("CXX", "")) or present[:1]
    if not compiler:
        raise Unavailable(f"the compiled kernel needs a C++ compiler: none of {', '.join(COMPILERS)} is on the PATH")
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        made = Path(scratch) / library.name
        try:
            subprocess.run(
                [*compiler, *FLAGS, SOURCE / "cifar_cnn.cpp", "-o", made], check=True, capture_output=True, text=True
            )
        except subprocess.CalledProcessError as error:
            complaints = [line for line in error.stderr.splitlines() if "error" in line] or ["it gave no reason"]
            raise Unavailable(f"the C++ compiler {compiler[0]} cannot compile the kernel: {complaints[0]}") from None
        except OSError:
            raise Unavailable(f"the C++ compiler {compiler[0]} cannot be run") from None
        made.replace(library)

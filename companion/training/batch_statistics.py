"""Batch normalisation by the batch itself in a test: what a network answers that never left training mode."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextlib.contextmanager
def batch_statistics(net: nn.Module) -> Iterator[nn.Module]:
    """Let batch normalisation use the statistics of each batch, also in evaluation mode, and keep its running ones.

    Several of the mosaic studies test without switching to evaluation mode; their answers hang on which images share
    a batch. All else (dropout, the running statistics) is left as it is.
    """
    layers = [layer for layer in net.modules() if isinstance(layer, _BatchNorm)]
    before = [(layer.running_mean, layer.running_var, layer.track_running_stats) for layer in layers]
    for layer in layers:
        # Without running statistics a layer normalises by the batch, in either mode.
        layer.running_mean = layer.running_var = None
        layer.track_running_stats = False
    try:
        yield net
    finally:
        for layer, (mean, variance, tracked) in zip(layers, before, strict=True):
            layer.running_mean, layer.running_var, layer.track_running_stats = mean, variance, tracked

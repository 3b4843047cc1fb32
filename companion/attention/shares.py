"""Is the focus on the foreground, and is the answer right: the four shares of the mosaic studies."""

from __future__ import annotations

import torch

SHARES = ("ftpt", "ffpt", "ftpf", "ffpf")


def focus_shares(
    weights: torch.Tensor, logits: torch.Tensor, position: torch.Tensor, labels: torch.Tensor
) -> dict[str, float]:
    """Return the shares of mosaics by focus (true, false) and prediction (true, false).

    Parameters
    ----------
    weights : tensor
        (N, K) attention weights of the patches; the focus is true where the largest is the foreground's.
    logits : tensor
        (N, C); the prediction is true where the largest is the label's.
    position, labels : tensor
        (N,) slot of the foreground, and class.

    Returns
    -------
    dict
        ftpt, ffpt, ftpf, ffpf (they sum to one; the first two to the accuracy), and half: the share of mosaics whose
        largest weight is at least one half.

    Raises
    ------
    ValueError
        If there are no mosaics, or not as many of each.

    Notes
    -----
    Mosaic, section 3.5 (FTPT: focus true, prediction true).
    """
    sizes = [len(part) for part in (weights, logits, position, labels)]
    if len(set(sizes)) > 1 or sizes[0] == 0:
        raise ValueError(f"as many weights, logits, positions and labels are needed, and at least one, not {sizes}")
    largest, place = weights.max(1)
    focus, right = (place == position).cpu(), (logits.argmax(1) == labels).cpu()
    pairs = ((focus & right), (~focus & right), (focus & ~right), (~focus & ~right))
    shares = {name: found.double().mean().item() for name, found in zip(SHARES, pairs, strict=True)}
    return shares | {"half": (largest >= 0.5).double().mean().item()}

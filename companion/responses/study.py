"""One network looked at: numbers by hidden layer, and pictures of some of its units."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from companion.data.images import Images
from companion.responses.ascent import UNRESTRAINED, maximal_inputs
from companion.responses.backward import RULES, backward
from companion.responses.energy import energy_inside
from companion.responses.layers import Hidden, device_of
from companion.responses.strongest import Responses, commonest, corners, patches, preference, selectivity, strongest
from companion.seeds import generator

NINE = 9  # images of a panel, as in the slides
Rows = dict[str, np.ndarray]


def measured(
    layers: nn.Sequential,
    hidden: Sequence[Hidden],
    found: Sequence[Responses],
    test: Images,
    inside: Callable[[torch.Tensor], torch.Tensor],
    *,
    seed: int,
) -> Rows:
    """Return numbers for each hidden layer: means over its units that respond to nine images or more.

    Parameters
    ----------
    found : sequence of Responses
        Of each layer to the test images.
    inside : callable
        Maps images (P, C, H, W) to masks (P, H, W) of what they show: `ink`, `boxed`.
    seed : int
        Draws the images whose masks are used in another's place.

    Returns
    -------
    dict of array
        By layer: `selectivity`, of the peaks, and `of_means`, of the means over places; `one_class`, the share of units
        whose nine strongest images share a class, and `purity`, the mean share of the commonest class; `silent`, the
        share of the other units. Over the nine strongest images of each unit: `energy` (layers, 2, rules),
        which share of the energy of the image sent back lies inside its own mask, and inside that of another image at
        the same place; `uniform` (layers, 2), which share of what the unit sees these masks take.
    """
    draw, rows = generator(seed, "points"), []
    for layer, responses in zip(hidden, found, strict=True):
        alive = _alive(responses)
        chosen, places = (part[alive] for part in strongest(responses, NINE))
        count = commonest(test.labels[chosen])[1].double()
        units = alive.nonzero()[:, 0].repeat_interleave(chosen.shape[1])
        chosen, places = chosen.flatten(), places.flatten()
        others = torch.randint(len(test.inputs), chosen.shape, generator=draw, device="cpu")
        every = torch.arange(len(chosen), device="cpu")
        masks = [patches(inside(test.inputs[some])[:, None], layer, every, places)[:, 0] for some in (chosen, others)]
        seen = patches(test.inputs, layer, chosen, places)
        back = [_sent_back(layers, layer, seen, units, rule) for rule in RULES]
        rows.append(
            {
                "selectivity": _mean(selectivity(responses.peak[:, alive], test.labels)),
                "of_means": _mean(selectivity(responses.mean[:, alive], test.labels)),
                "one_class": _mean(count == NINE),
                "purity": _mean(count / NINE),
                "silent": _mean(~alive),
                "energy": [[_mean(energy_inside(maps, mask)) for maps in back] for mask in masks],
                "uniform": [_mean(mask) for mask in masks],
            }
        )
    return _stacked(rows)


def exceeded(
    layers: nn.Sequential,
    hidden: Sequence[Hidden],
    found: Sequence[Responses],
    colours: torch.Tensor,
    *,
    seed: int,
    steps: int,
    starts: int,
) -> Rows:
    """Return how far maximal inputs exceed the test images, for units that respond to nine of them or more.

    Returns
    -------
    dict of array, shape (layers,)
        `restrained`: the activation in units of the strongest over the test images, median over units; `unrestrained`,
        the same without decay, blur and jitter; `beaten` and `beaten_unrestrained`, the shares of units above 1.
    """
    rows = []
    for layer, responses in zip(hidden, found, strict=True):
        top, units = responses.peak.amax(0), _alive(responses).nonzero()[:, 0]
        common = dict(seed=seed, steps=steps, starts=starts)
        held, free = (
            maximal_inputs(layers, layer, units, colours, **common, **how)[1].cpu() / top[units]
            for how in ({}, UNRESTRAINED)
        )
        medians = {"restrained": float(held.median()), "unrestrained": float(free.median())}
        rows.append(medians | {"beaten": _mean(held > 1), "beaten_unrestrained": _mean(free > 1)})
    return _stacked(rows)


def representative(
    found: Sequence[Responses], labels: torch.Tensor, n: int, *, favour: int | None = None
) -> np.ndarray:
    """Return n units of each layer to be shown, of those that respond to nine images or more: (layers, n).

    With `favour`, those with most images of this class among their nine strongest (of equals, those that prefer it
    most); else from selective to unselective, the middle units of n equal groups by rank. A layer that has not so many
    shows some twice.

    Raises
    ------
    ValueError
        If a layer has none.
    """
    rows = []
    for responses in found:
        alive = _alive(responses).nonzero()[:, 0]
        if not len(alive):
            raise ValueError(f"no unit responds to {NINE} images; there are {len(labels)} images, or the layer is dead")
        if favour is None:
            score = selectivity(responses.peak[:, alive], labels)
            taken = np.linspace(0, len(alive) - 1, 2 * n + 1)[1::2].astype(int)
        else:
            among = (labels[strongest(responses, NINE)[0][alive]] == favour).sum(1)
            score = among + preference(responses.peak[:, alive], labels, favour).tanh() / 2
            taken = np.arange(n) % len(alive)
        rows.append(alive[score.argsort(descending=True, stable=True)].numpy()[taken])
    return np.stack(rows)


def pictured(
    layers: nn.Sequential,
    hidden: Sequence[Hidden],
    found: Sequence[Responses],
    test: Images,
    units: np.ndarray,
    colours: torch.Tensor,
    *,
    seed: int,
    steps: int,
    starts: int,
) -> Rows:
    """Return what is needed to show some units (layers, n) of each layer.

    Returns
    -------
    dict of array
        `units` (layers, n); `top` and `places` (layers, n, 9), the strongest images and where; `maximal` and `deconv`
        (layers, n, side, side, C), bytes: the maximal input, and what the deconvnet makes of the strongest image, zero
        at 127.5 and scaled to its greatest value. Both fill the upper left `field` pixels.
    """
    side, channels = test.inputs.shape[-1], test.inputs.shape[1]
    shown = {name: np.zeros((*units.shape, side, side, channels), np.uint8) for name in ("maximal", "deconv")}
    rows = []
    for index, (layer, responses) in enumerate(zip(hidden, found, strict=True)):
        own = torch.from_numpy(units[index])
        chosen, places = (part[own] for part in strongest(responses, NINE))
        rows.append({"units": own, "top": chosen, "places": places})
        maximal, _ = maximal_inputs(layers, layer, own, colours, seed=seed, steps=steps, starts=starts)
        seen = patches(test.inputs, layer, chosen[:, 0], places[:, 0])
        field = slice(0, layer.field)
        shown["maximal"][index, :, field, field] = _bytes(255 * maximal)
        shown["deconv"][index, :, field, field] = _bytes(_signed(_sent_back(layers, layer, seen, own, "deconvnet")))
    return shown | _stacked(rows)


def sent_back(
    layers: nn.Sequential, hidden: Sequence[Hidden], found: Sequence[Responses], test: Images, image: int = 0
) -> Rows:
    """Return a test image sent back from the unit of each layer that it excites most, for what else excites that unit.

    Returns
    -------
    dict of array
        `unit` (layers,), the one with the greatest response in units of its strongest over the test images; `corner`
        (layers, 2), upper and left end of what it sees; `back` (layers, rules, side, side, C), bytes, zero at 127.5 and
        scaled to the greatest value.
    """
    side, channels = test.inputs.shape[-1], test.inputs.shape[1]
    back = np.full((len(hidden), len(RULES), side, side, channels), 128, np.uint8)
    rows = []
    for index, (layer, responses) in enumerate(zip(hidden, found, strict=True)):
        unit = (responses.peak[image] / responses.peak.amax(0).clamp_min(1e-12)).argmax().reshape(1)
        place = responses.place[image, unit]
        seen = patches(test.inputs, layer, torch.tensor([image], device="cpu"), place)
        top, left = (int(end) for end in corners(side, layer, place))
        window = slice(top, top + layer.field), slice(left, left + layer.field)
        for number, rule in enumerate(RULES):
            back[index, number][window] = _bytes(_signed(_sent_back(layers, layer, seen, unit, rule)))[0]
        rows.append({"unit": int(unit), "corner": (top, left)})
    return _stacked(rows) | {"back": back}


def _alive(responses: Responses) -> torch.Tensor:
    """Return which units (U,) respond to as many images as are shown of them."""
    return (responses.peak > 0).sum(0) >= NINE


def _sent_back(
    layers: nn.Sequential, layer: Hidden, seen: torch.Tensor, units: torch.Tensor, rule: str, batch: int = 500
) -> torch.Tensor:
    """Send back stored bytes (P, C, field, field), some at a time, and return the result on the CPU."""
    parts = zip(seen.split(batch), units.split(batch), strict=True)
    some = [backward(layers, layer, layers[0](part.to(device_of(layers))), own, rule).cpu() for part, own in parts]
    return torch.cat(some)


def _signed(maps: torch.Tensor) -> torch.Tensor:
    return 127.5 * (1 + maps / maps.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12))


def _bytes(images: torch.Tensor) -> np.ndarray:
    return images.round().clamp(0, 255).byte().movedim(1, -1).cpu().numpy()


def _mean(values: torch.Tensor) -> float:
    return float(values.double().nanmean())


def _stacked(rows: Sequence[dict]) -> Rows:
    """Return one array for each name, its first axis the layers."""
    return {name: np.array([np.asarray(one[name]) for one in rows]) for name in rows[0]}

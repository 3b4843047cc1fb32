"""Profiles (how large a run is) and devices (where it runs)."""

from __future__ import annotations

import ast
import os
from typing import Any

import torch

from companion.fingerprint import Scale
from companion.scaleout import scheduler

PROFILES = ("smoke", "laptop", "paper")
DEVICES = ("auto", "cpu", "cuda")


def resolve_device(device: str = "auto") -> str:
    """Return "cpu" or "cuda" for one of `DEVICES`; "auto" asks COMPANION_DEVICE, then what there is here.

    Raises
    ------
    ValueError
        If the device is not known, or CUDA is asked for and not there.
    """
    if device == "auto":
        device = os.environ.get("COMPANION_DEVICE") or "auto"
    if device not in DEVICES:
        raise ValueError(f"unknown device {device!r}; the devices are {', '.join(DEVICES)}")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available() and not scheduler():  # on a cluster the workers have it
        raise ValueError("device 'cuda' was asked for, but PyTorch finds no CUDA device here; use 'cpu' or 'auto'")
    return device


def resolve_profile(profile: str = "auto", device: str = "cpu") -> str:
    """Return one of `PROFILES`; "auto" asks COMPANION_PROFILE, then takes paper on a GPU and laptop without one.

    Raises
    ------
    ValueError
        If the profile is not known.
    """
    if profile == "auto":
        profile = os.environ.get("COMPANION_PROFILE") or "auto"
    if profile == "auto":
        profile = "paper" if device == "cuda" else "laptop"
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}; the profiles are {', '.join(PROFILES)} (or auto)")
    return profile


def choose_scale(profile: str, overrides: str, settings: dict[str, dict[str, Any]]) -> tuple[Scale, bool]:
    """Return the settings of a profile with overrides such as "seeds=1 epochs=100", and whether any was overridden.

    Raises
    ------
    ValueError
        If the profiles do not have the same settings, or an override is not one of them or of another type.
    """
    names = set(settings[PROFILES[0]])
    for other in PROFILES:
        if set(settings[other]) != names:
            uneven = ", ".join(sorted(names ^ set(settings[other])))
            raise ValueError(f"every profile needs the same settings; {uneven} stands in some profiles only")
    chosen = dict(settings[profile])
    given = parse_overrides(overrides)
    for name, value in given.items():
        if name not in names:
            raise ValueError(
                f"SCALE sets {name!r}, which is no setting here; the settings are {', '.join(sorted(names))}"
            )
        kinds: dict[type, Any] = {}  # a setting that is None in one profile may be a number in another
        for example in (chosen[name], *(settings[other][name] for other in PROFILES)):
            kinds.setdefault(type(example), example)
        if type(value) not in kinds:
            told = [f"a {kind.__name__} like {one!r}" if one is not None else "None" for kind, one in kinds.items()]
            raise ValueError(f"SCALE sets {name}={value!r}, a {type(value).__name__}; it must be {' or '.join(told)}")
    changed = any(chosen[name] != value for name, value in given.items())
    return Scale(**chosen | given), changed


def parse_overrides(text: str) -> dict[str, Any]:
    """Turn "seeds=1 epochs=100" into a dict; values are Python literals, anything else is a string.

    Raises
    ------
    ValueError
        If a part has no "=".
    """
    overrides: dict[str, Any] = {}
    for part in text.split():
        name, equals, value = part.partition("=")
        if not (name and equals and value):
            raise ValueError(f"SCALE has the part {part!r}; it takes parts like seeds=1, separated by spaces")
        try:
            overrides[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            overrides[name] = value
    return overrides

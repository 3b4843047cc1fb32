"""Confuse two classes, and see what it does to a third: trainings, tests and divergences of *Generalizations*."""

from companion.confusion import detection, inspection, lessons, neurons, progress
from companion.confusion.effects import (
    ORDERED,
    VEHICLES,
    additive,
    as_map,
    category_contrast,
    contrasts,
    learned,
    partition_p,
    permuted,
    sample_t,
    stacked,
    t_maps,
)
from companion.confusion.experiment import CLEAN, PAIRS, taught, trials
from companion.confusion.information import READINGS, information

__all__ = [
    "CLEAN",
    "ORDERED",
    "PAIRS",
    "READINGS",
    "VEHICLES",
    "additive",
    "as_map",
    "category_contrast",
    "contrasts",
    "detection",
    "information",
    "inspection",
    "learned",
    "lessons",
    "neurons",
    "partition_p",
    "permuted",
    "progress",
    "sample_t",
    "stacked",
    "t_maps",
    "taught",
    "trials",
]

"""Classifiers with a noise label, net-reasoning vectors, scores that tell digits from what is none: *Reasonable*."""

from companion.reasoning import answers, detection, pairs
from companion.reasoning.experiment import (
    KINDS,
    NOISE,
    POOL,
    TARGETS,
    Digits,
    Kind,
    classifier,
    digits,
    joined,
    noise,
    reason_of,
    reasons,
    with_noise,
)
from companion.reasoning.pairs import LAMBDAS
from companion.reasoning.probes import Probe, probes
from companion.reasoning.trials import ALPHAS, BETWEEN, SETS, disagreement, examined, joint, left_out, paired

__all__ = [
    "ALPHAS",
    "BETWEEN",
    "KINDS",
    "LAMBDAS",
    "NOISE",
    "POOL",
    "SETS",
    "TARGETS",
    "Digits",
    "Kind",
    "Probe",
    "answers",
    "classifier",
    "detection",
    "digits",
    "disagreement",
    "examined",
    "joined",
    "joint",
    "left_out",
    "noise",
    "paired",
    "pairs",
    "probes",
    "reason_of",
    "reasons",
    "with_noise",
]

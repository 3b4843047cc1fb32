"""Training loops and what trained models answer."""

from companion.training.arithmetic import arithmetic_here
from companion.training.checkpoint import Checkpoint
from companion.training.drawn import fit_drawn
from companion.training.evaluation import (
    accuracy,
    confusion_matrix,
    mean_loss,
    outputs,
    per_class,
    predictions,
    probabilities,
)
from companion.training.many import fit_many
from companion.training.one import Diverged, fit
from companion.training.replicas import Replicas, class_means, evaluate_many
from companion.training.rmsprop import RMSProp

__all__ = [
    "Checkpoint",
    "Diverged",
    "RMSProp",
    "Replicas",
    "accuracy",
    "arithmetic_here",
    "class_means",
    "confusion_matrix",
    "evaluate_many",
    "fit",
    "fit_drawn",
    "fit_many",
    "mean_loss",
    "outputs",
    "per_class",
    "predictions",
    "probabilities",
]

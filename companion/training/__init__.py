"""Training loops and what trained models answer."""

from companion.training.checkpoint import Checkpoint
from companion.training.evaluation import (
    accuracy,
    confusion_matrix,
    mean_loss,
    outputs,
    per_class,
    predictions,
    probabilities,
)
from companion.training.one import Diverged, fit

__all__ = [
    "Checkpoint",
    "Diverged",
    "accuracy",
    "confusion_matrix",
    "fit",
    "mean_loss",
    "outputs",
    "per_class",
    "predictions",
    "probabilities",
]

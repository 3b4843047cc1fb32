"""Intervals, comparisons, resampling, detection, false discoveries, divergences and power laws, for plain arrays.

Shares are shares in [0, 1] here, never percent. Every interval covers 95 % unless another `level` is asked for."""

from companion.stats.comparisons import Comparison, PairedSpread, false_discovery, paired, paired_spread, welch
from companion.stats.decay import LAWS, Decay, JointDecay, decay, joint_decay
from companion.stats.detection import accepting, auroc, calibration_error
from companion.stats.fits import PowerLaw, kl_divergence, power_law, slope
from companion.stats.intervals import Interval, Scale, bootstrap, mean_interval, prediction_interval, prediction_p
from companion.stats.prediction import explained_left_out, predict_left_out
from companion.stats.scaling import ScalingLaw, scaling_law

__all__ = [
    "LAWS",
    "Comparison",
    "Decay",
    "Interval",
    "JointDecay",
    "PairedSpread",
    "PowerLaw",
    "Scale",
    "ScalingLaw",
    "accepting",
    "auroc",
    "bootstrap",
    "calibration_error",
    "decay",
    "explained_left_out",
    "false_discovery",
    "joint_decay",
    "kl_divergence",
    "mean_interval",
    "paired",
    "paired_spread",
    "power_law",
    "predict_left_out",
    "prediction_interval",
    "prediction_p",
    "scaling_law",
    "slope",
    "welch",
]

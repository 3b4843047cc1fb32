"""Intervals, comparisons, resampling, detection, false discoveries, divergences and power laws, for plain arrays.

Shares are shares in [0, 1] here, never percent. Every interval covers 95 % unless another `level` is asked for.
"""

from companion.stats.comparisons import Comparison, PairedSpread, false_discovery, paired, paired_spread, welch
from companion.stats.detection import accepting, auroc, calibration_error
from companion.stats.fits import PowerLaw, kl_divergence, power_law, slope
from companion.stats.intervals import Interval, Scale, bootstrap, mean_interval, prediction_interval, prediction_p
from companion.stats.scaling import ScalingLaw, scaling_law

__all__ = [
    "Comparison",
    "Interval",
    "PairedSpread",
    "PowerLaw",
    "Scale",
    "ScalingLaw",
    "accepting",
    "auroc",
    "bootstrap",
    "calibration_error",
    "false_discovery",
    "kl_divergence",
    "mean_interval",
    "paired",
    "paired_spread",
    "power_law",
    "prediction_interval",
    "prediction_p",
    "scaling_law",
    "slope",
    "welch",
]

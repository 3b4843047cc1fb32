"""The plots that recur. Each takes a tidy table and, where it is one panel, an optional ax; each returns the figure."""

from companion.plots.architecture import architecture
from companion.plots.fits import configurations, decays
from companion.plots.lines import curves, intervals, scatter, strip
from companion.plots.maps import matrices
from companion.plots.scenes import images, points_3d
from companion.plots.theme import panels

__all__ = [
    "architecture",
    "configurations",
    "curves",
    "decays",
    "images",
    "intervals",
    "matrices",
    "panels",
    "points_3d",
    "scatter",
    "strip",
]

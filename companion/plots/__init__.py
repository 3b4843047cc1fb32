"""The plots that recur. Each takes a tidy table and, where it is one panel, an optional ax; each returns the figure."""

from companion.plots.accounts import accounts
from companion.plots.angles import answers, by_angle
from companion.plots.architecture import architecture
from companion.plots.bars import stacked
from companion.plots.classes import classes
from companion.plots.conditions import by_condition
from companion.plots.decisions import Places, decisions
from companion.plots.fits import configurations, decays
from companion.plots.landscapes import bands, histograms, planes
from companion.plots.levels import levels
from companion.plots.lines import curves, intervals, scatter, strip
from companion.plots.maps import matrices
from companion.plots.mosaics import Attended, attended
from companion.plots.planar import Plane, plane
from companion.plots.poses import by_pose, tiles
from companion.plots.scenes import images, points_3d
from companion.plots.shifts import shift_maps
from companion.plots.spheres import polar, sphere
from companion.plots.stages import stages
from companion.plots.theme import panels
from companion.plots.trails import trails

__all__ = [
    "Attended",
    "Places",
    "Plane",
    "accounts",
    "answers",
    "architecture",
    "attended",
    "bands",
    "by_angle",
    "by_condition",
    "by_pose",
    "classes",
    "configurations",
    "curves",
    "decays",
    "decisions",
    "histograms",
    "images",
    "intervals",
    "levels",
    "matrices",
    "panels",
    "plane",
    "planes",
    "points_3d",
    "polar",
    "scatter",
    "shift_maps",
    "sphere",
    "stacked",
    "stages",
    "strip",
    "tiles",
    "trails",
]

"""RECOS: rectified correlations on a sphere. Clusters, anchor vectors of LeNet-5, and two-stage systems."""

from companion.models.recos import directions
from companion.recos.anchors import (
    KINDS,
    anchors,
    cluster_layers,
    components,
    digits,
    inputs_of,
    moved,
    replace_filters,
    set_anchors,
    watched,
)
from companion.recos.cascade import CASES, PAIRS, cases, confused, pairs_by_angle
from companion.recos.practices import best_less_worst, effects, plane, turned
from companion.recos.sphere import (
    Clusters,
    angles,
    arc_lengths,
    kmeans,
    on_circle,
    patches,
    planted,
    purity,
)

__all__ = [
    "CASES",
    "KINDS",
    "PAIRS",
    "Clusters",
    "anchors",
    "angles",
    "arc_lengths",
    "best_less_worst",
    "cases",
    "cluster_layers",
    "components",
    "confused",
    "digits",
    "directions",
    "effects",
    "inputs_of",
    "kmeans",
    "moved",
    "on_circle",
    "pairs_by_angle",
    "patches",
    "plane",
    "planted",
    "purity",
    "replace_filters",
    "set_anchors",
    "turned",
    "watched",
]

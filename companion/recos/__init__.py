"""RECOS: rectified correlations on a sphere. Clusters, anchor vectors of LeNet-5, and two-stage systems."""

from companion.models.recos import directions
from companion.recos.anchors import (
    KINDS,
    anchors,
    cluster_layers,
    components,
    digits,
    inputs_of,
    replace_filters,
    set_anchors,
    watched,
)
from companion.recos.cascade import CASES, PAIRS, cases, confused, pairs_by_angle
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
    "cases",
    "cluster_layers",
    "components",
    "confused",
    "digits",
    "directions",
    "inputs_of",
    "kmeans",
    "on_circle",
    "pairs_by_angle",
    "patches",
    "planted",
    "purity",
    "replace_filters",
    "set_anchors",
    "watched",
]

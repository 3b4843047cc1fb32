"""Model families, one file each."""

from companion.models.channels import Standardised
from companion.models.cnn import CifarCNN
from companion.models.cnn_wide import WideCifarCNN
from companion.models.graphs import GraphCNN
from companion.models.lenet import LeNet5, flip_first_layer
from companion.models.mlp import MLP
from companion.models.pixels import CODINGS, Pixels
from companion.models.reasoning import DigitCNN, JointReason
from companion.models.segmentation import Segmenter
from companion.models.summary import layer_table
from companion.models.towers import Tower

__all__ = [
    "CODINGS",
    "MLP",
    "CifarCNN",
    "DigitCNN",
    "GraphCNN",
    "JointReason",
    "LeNet5",
    "Pixels",
    "Segmenter",
    "Standardised",
    "Tower",
    "WideCifarCNN",
    "flip_first_layer",
    "layer_table",
]

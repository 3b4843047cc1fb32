"""Model families, one file each."""

from companion.models.autoencoders import PosedAutoencoder
from companion.models.channels import Standardised
from companion.models.cnn import CifarCNN
from companion.models.cnn_wide import WideCifarCNN
from companion.models.critic import Critic
from companion.models.digits_large import LargeDigitCNN
from companion.models.glorot import glorot_start
from companion.models.graphs import GraphCNN
from companion.models.lenet import LeNet5, flip_first_layer
from companion.models.lenet_small import SmallLeNet
from companion.models.mlp import MLP
from companion.models.pixels import CODINGS, Pixels
from companion.models.reasoning import DigitCNN, JointReason
from companion.models.recos import recos_lenet5
from companion.models.segmentation import Segmenter
from companion.models.starts import uniform_start
from companion.models.summary import layer_table
from companion.models.towers import Tower

__all__ = [
    "CODINGS",
    "MLP",
    "CifarCNN",
    "Critic",
    "DigitCNN",
    "GraphCNN",
    "JointReason",
    "LargeDigitCNN",
    "LeNet5",
    "Pixels",
    "PosedAutoencoder",
    "Segmenter",
    "SmallLeNet",
    "Standardised",
    "Tower",
    "WideCifarCNN",
    "flip_first_layer",
    "glorot_start",
    "layer_table",
    "recos_lenet5",
    "uniform_start",
]

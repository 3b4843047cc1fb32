"""Model families, one file each."""

from companion.models.attention import MosaicAttention, PatchLeNet
from companion.models.attention_layers import LayerAttention, classifier_size, matched_hidden
from companion.models.attention_planar import PlanarAttention
from companion.models.autoencoders import PosedAutoencoder
from companion.models.capsules import CapsNet
from companion.models.channels import Standardised
from companion.models.cnn import CifarCNN
from companion.models.cnn_wide import WideCifarCNN
from companion.models.coordinate_decoder import CoordinateAutoencoder
from companion.models.critic import Critic
from companion.models.dense import Dense
from companion.models.digits_large import LargeDigitCNN
from companion.models.generative_capsules import GenerativeCapsules
from companion.models.glorot import glorot_start
from companion.models.graphs import GraphCNN
from companion.models.inception import MiniInception
from companion.models.lenet import LeNet5, flip_first_layer
from companion.models.lenet_small import SmallLeNet
from companion.models.matrix_capsules import MatrixCapsNet
from companion.models.mlp import MLP
from companion.models.pixels import CODINGS, Pixels
from companion.models.reasoning import DigitCNN, JointReason
from companion.models.recos import recos_lenet5
from companion.models.rotation_cnn import ROTATION_ROWS, RotationCNN, RotationRow
from companion.models.second_order import ControlledCode, PixelMatrix, Readdressed
from companion.models.segmentation import Segmenter
from companion.models.starts import uniform_start
from companion.models.summary import layer_table
from companion.models.towers import Tower

__all__ = [
    "CODINGS",
    "MLP",
    "ROTATION_ROWS",
    "CapsNet",
    "CifarCNN",
    "ControlledCode",
    "CoordinateAutoencoder",
    "Critic",
    "Dense",
    "DigitCNN",
    "GenerativeCapsules",
    "GraphCNN",
    "JointReason",
    "LargeDigitCNN",
    "LayerAttention",
    "LeNet5",
    "MatrixCapsNet",
    "MiniInception",
    "MosaicAttention",
    "PatchLeNet",
    "PixelMatrix",
    "Pixels",
    "PlanarAttention",
    "PosedAutoencoder",
    "Readdressed",
    "RotationCNN",
    "RotationRow",
    "Segmenter",
    "SmallLeNet",
    "Standardised",
    "Tower",
    "WideCifarCNN",
    "classifier_size",
    "flip_first_layer",
    "glorot_start",
    "layer_table",
    "matched_hidden",
    "recos_lenet5",
    "uniform_start",
]

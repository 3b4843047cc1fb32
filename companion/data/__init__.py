"""Data sets: MNIST and CIFAR-10 as stored bytes, augmentation, wrong labels, mosaics as indices, made-up points."""

from companion.data.augmentation import flip, flip_and_shift, shift
from companion.data.backgrounds import CORRELATIONS, backgrounds, composed, dimmed, photographs, picture_pool
from companion.data.canvases import Canvases, canvases
from companion.data.colours import coloured_novelties
from companion.data.corruption import swap_halves
from companion.data.geometry import rotate
from companion.data.images import CIFAR10_CLASSES, Images, cifar10, mnist
from companion.data.label_noise import AUTHORS_SEED, Noisy, confound, mask_labels, mix_noise
from companion.data.mosaics import Mosaics, draw_mosaics, focused_average
from companion.data.novelties import NOVELTIES, UNSEEN, blended, clothes, novelties
from companion.data.patches import MosaicSet, mosaic_set
from companion.data.planar import PLANAR_TYPES, clouds, fixed_focus, hypercube_points, random_clouds
from companion.data.sampling import stratified
from companion.data.selection import mislabel, sample_statistics, select
from companion.data.shrinking import resampled, shrunk
from companion.data.superpixels import superpixels
from companion.data.synthetic import GEOMETRIES, Points, two_planes
from companion.data.turning import ALL_ANGLES, INVERTED, OUTSIDE, TRAINED, draw_angles, eight_digits

__all__ = [
    "ALL_ANGLES",
    "AUTHORS_SEED",
    "CIFAR10_CLASSES",
    "CORRELATIONS",
    "GEOMETRIES",
    "INVERTED",
    "NOVELTIES",
    "OUTSIDE",
    "PLANAR_TYPES",
    "TRAINED",
    "UNSEEN",
    "Canvases",
    "Images",
    "MosaicSet",
    "Mosaics",
    "Noisy",
    "Points",
    "backgrounds",
    "blended",
    "canvases",
    "cifar10",
    "clothes",
    "clouds",
    "coloured_novelties",
    "composed",
    "confound",
    "dimmed",
    "draw_angles",
    "draw_mosaics",
    "eight_digits",
    "fixed_focus",
    "flip",
    "flip_and_shift",
    "focused_average",
    "hypercube_points",
    "mask_labels",
    "mislabel",
    "mix_noise",
    "mnist",
    "mosaic_set",
    "novelties",
    "photographs",
    "picture_pool",
    "random_clouds",
    "resampled",
    "rotate",
    "sample_statistics",
    "select",
    "shift",
    "shrunk",
    "stratified",
    "superpixels",
    "swap_halves",
    "two_planes",
]

"""Data sets."""

from companion.data.augmentation import flip, flip_and_shift, shift
from companion.data.images import CIFAR10_CLASSES, Images, cifar10, mnist

__all__ = ["CIFAR10_CLASSES", "Images", "cifar10", "flip", "flip_and_shift", "mnist", "shift"]

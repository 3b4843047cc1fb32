"""What a network does with each mosaic: where it looks, what it answers, and in which of the four cases that is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import nn

from companion.attention.examples import OnMosaics
from companion.attention.shares import SHARES
from companion.data.patches import MosaicSet

COUNTED = ("n", *SHARES, "half")


class Attended(NamedTuple):
    """N mosaics as one network sees them.

    Attributes
    ----------
    weights : array
        (N, 9), where it looks.
    answers : array
        (N,), the classes that it answers.
    position, labels : array
        (N,), the slots of the foreground, and the classes.
    """

    weights: np.ndarray
    answers: np.ndarray
    position: np.ndarray
    labels: np.ndarray

    @classmethod
    def by(cls, net: nn.Module, mosaics: MosaicSet) -> Attended:
        """Return what a network does with mosaics; it has `attend`, as `MosaicAttention` has."""
        device = next(net.parameters()).device
        weights, logits = OnMosaics(net, mosaics).to(device).attend(mosaics.members)
        parts = weights, logits.argmax(1), mosaics.position, mosaics.labels
        return cls(*(part.cpu().numpy() for part in parts))

    @property
    def focus(self) -> np.ndarray:
        """(N,) bool, the largest weight is the foreground's."""
        return self.weights.argmax(1) == self.position

    @property
    def right(self) -> np.ndarray:
        """(N,) bool, the answer is the label."""
        return self.answers == self.labels

    @property
    def case(self) -> np.ndarray:
        """(N,) place in SHARES."""
        return 2 * ~self.right + ~self.focus

    def cases(self) -> np.ndarray:
        """Return the columns that COUNTED names, (N, 6) bool: all, the four cases, a weight of at least one half."""
        four = self.case[:, None] == np.arange(len(SHARES))
        return np.column_stack([np.ones(len(four), bool), four, self.weights.max(1) >= 0.5])

    def by_focus(self, classes: int = 3) -> np.ndarray:
        """Count answers (2, classes, classes): focus true and false, class, answer."""
        counts = np.zeros((2, classes, classes), np.int32)
        np.add.at(counts, ((~self.focus).astype(int), self.labels, self.answers), 1)
        return counts

    def foreground_weight(self, classes: int = 3) -> np.ndarray:
        """Return the mean weight on the foreground by case and class, (4, classes); NaN where there is no mosaic."""
        own = np.take_along_axis(self.weights, self.position[:, None], 1)[:, 0]
        total, n = np.zeros((2, len(SHARES), classes))
        np.add.at(total, (self.case, self.labels), own)
        np.add.at(n, (self.case, self.labels), 1)
        with np.errstate(invalid="ignore"):
            return total / n

    def first_of_cases(self, many: int) -> np.ndarray:
        """Return the numbers of the first mosaics of each case, (4, many); -1 where there are not so many."""
        rows = np.full((len(SHARES), many), -1)
        for case, row in enumerate(rows):
            found = np.flatnonzero(self.case == case)[:many]
            row[: len(found)] = found
        return rows

"""What networks with one hidden layer can represent: targets, fits, linear networks, and the geometry of the plane.

*Understanding*, slides "Main Result in Approximation Theory", "Single-Layer Neural Network" and "Too Abstract to
Comprehend?"; sections 1 to 3 of the notebooks.
"""

from companion.approximation import bumps, collapse, planes, shallow, targets

__all__ = ["bumps", "collapse", "planes", "shallow", "targets"]

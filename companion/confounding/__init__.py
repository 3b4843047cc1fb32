"""Confounded noise: what networks learn of a small true region among points with random labels (source `mosaic`)."""

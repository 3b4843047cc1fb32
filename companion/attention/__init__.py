"""Attention on mosaics: what networks are trained on, where they look, and what they answer (source `mosaic`)."""

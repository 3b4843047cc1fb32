"""Training under label noise (source `mosaic`)."""

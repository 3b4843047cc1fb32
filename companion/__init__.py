"""Five papers on how neural networks learn, recomputed: models, data, training loops and the judged record."""

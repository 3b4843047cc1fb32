"""The experiments of the source `invariants`: what is seen in part of its poses, recognised and drawn in the others."""

"""Activations of what stays frozen: computed once for each view of each picture, and kept on the disk."""

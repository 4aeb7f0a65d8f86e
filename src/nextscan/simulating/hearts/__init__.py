"""Phantom hearts that beat by a known law, seen in short-axis slices with noise."""

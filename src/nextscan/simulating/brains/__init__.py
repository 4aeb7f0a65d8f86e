"""Phantom heads that shrink by a known law, scanned with noise."""

"""Imputers of images that see several images of a person at once: frames of a beat, visits over years."""

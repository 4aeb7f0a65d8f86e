"""A segmenter for plumbing: what is bright, what is dark, and nothing known of anatomy."""

import numpy as np


def segment(image, affine):
    """Return mm³ of the bright and of the middling part of an image."""
    voxel = abs(np.linalg.det(affine[:3, :3]))
    top = np.quantile(image, 0.99)
    return {
        "bright": float((image > 0.6 * top).sum() * voxel),
        "middling": float(((image > 0.2 * top) & (image <= 0.6 * top)).sum() * voxel),
    }

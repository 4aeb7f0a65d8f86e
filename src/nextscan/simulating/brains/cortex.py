"""The folded face of a simulated brain: hemispheres, fissures, and sulci of a person's own pattern."""

from __future__ import annotations

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.simulating.brains.fields import Field, both, ellipsoid, union, without

OWN_WAVES = 12
"""Waves that make a person's own folds; each takes four normal numbers."""
_SHARED_WAVES, _SHARED_WEIGHT = 18, 1.0
_OWN_WEIGHT = 0.75
_FOLDS_OF_MANKIND = 20241  # the seed of the waves that everybody shares
_SPHERE = 64.0  # mm, radius of the sphere on which folds are drawn
_WAVE_LENGTH = 37.0  # mm on that sphere; a fold is half as wide
_CENTRE = np.array([[0.0], [-2.0], [4.0]], np.float32)
_SULCUS = 0.6  # mm, half the width of a sulcus
_DEPTH, _DEPTH_SPREAD = 12.0, 2.5  # mm
_INNERMOST = 40.0  # mm from the centre: sheets of all directions would meet there
_CORE = 26.0  # mm below the hull, where no sulcus reaches


def cortex(x: Field, mirrored: Field, hull: Field, cerebellum: Field, own: FloatArray) -> Field:
    """Return the outer face of the cortex as a signed distance in mm.

    Parameters
    ----------
    x, mirrored : ndarray of float32, shape (3, n_points)
        Positions in the standard head; the same with the left on the right.
    hull, cerebellum : ndarray of float32, shape (n_points,)
        Smooth faces of cerebrum and cerebellum.
    own : ndarray of float, shape (OWN_WAVES, 4)
        Standard normal.
    """
    callosum = both(ellipsoid(x, (0, -4, 2), (40, 44, 24)), -x[2] - 13, 4)
    fissure = without(mirrored[0] - 0.9, callosum, 3)
    slope = np.abs(x[2] + 5 + 0.35 * (x[1] - 10)) - 0.9
    sylvian = both(both(slope, 37 - mirrored[0], 2), np.abs(x[1] - 2) - 32, 4)
    cistern = ellipsoid(x, (0, -4, -31), (18, 24, 13))
    beneath = union(cistern, union(cerebellum, ellipsoid(x, (0, -40, -30), (20, 16, 18)), 6) - 2, 6)
    hemispheres = without(without(hull, fissure, 2), sylvian, 2)

    outer = np.flatnonzero(hemispheres > -_CORE)
    wave, steepness, depth, length = _folds(x[:, outer], own)
    sulci = both(np.divide(np.abs(wave), steepness) - np.float32(_SULCUS), -hemispheres[outer] - depth, 3)
    sulci = both(sulci, _INNERMOST - length, 4)
    folded = hemispheres.copy()
    folded[outer] = without(hemispheres[outer], sulci, 2)
    return without(folded, beneath, 3)


def _folds(x: Field, own: FloatArray) -> tuple[Field, Field, Field, Field]:
    """Return a random wave, zero along sulci, its steepness per mm, and the depth of sulci in mm.

    The wave depends on direction from the centre alone, so that sulci are sheets across the surface. Plane
    waves are damped where they meet the sphere head on, as they would be slow there.
    """
    offset = x - _CENTRE
    length = np.maximum(np.sqrt((offset**2).sum(axis=0)), np.float32(1))
    unit = offset / length
    shared = np.random.default_rng(_FOLDS_OF_MANKIND).normal(size=(_SHARED_WAVES, 4))
    rows = np.concatenate([shared, own])
    weights = np.repeat([_SHARED_WEIGHT, _OWN_WEIGHT], [_SHARED_WAVES, len(own)]).astype(np.float32)
    number = 2 * np.pi * _SPHERE / _WAVE_LENGTH
    wave, depth = np.zeros((2, x.shape[1]), np.float32)
    slope = np.zeros_like(x)
    for i, (row, weight) in enumerate(zip(rows, weights, strict=True)):
        direction = (row[:3] / np.linalg.norm(row[:3])).astype(np.float32)
        along = direction @ unit
        phase = np.float32(number) * along + np.float32(2 * np.pi * row[3])
        height = weight * (1 - along * along)
        wave += height * np.cos(phase)
        ascent = height * np.sin(phase)
        for axis in range(3):
            slope[axis] += direction[axis] * ascent
        if i < 3:
            depth += np.cos(np.float32(0.3) * phase)
    slope *= np.float32(number)
    inward = (slope * unit).sum(axis=0)
    tangential = np.maximum((slope**2).sum(axis=0) - inward * inward, 0)
    steepness = np.sqrt(tangential + np.float32((0.2 * number) ** 2)) / length
    return wave, steepness, np.float32(_DEPTH) + np.float32(_DEPTH_SPREAD) * depth, length

"""The anatomy of a simulated head: what is where, in mm, and how people differ in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.simulating.brains.cortex import OWN_WAVES, cortex
from nextscan.simulating.brains.fields import Field, along, ellipsoid, union

_SKULL, _SCALP, _CISTERN = 6.0, 5.5, 2.5  # mm
_NEAR = 5.0  # mm outside the cavity; what ages is nearer
_ROUNDED = 3.0  # mm over which links of a tube blend

# mm: x of the right side, y, z, radius
_VENTRICLE = np.array(
    [
        (9.5, 32.0, 5.0, 4.6),  # tip of the frontal horn
        (12.0, 18.0, 12.5, 6.4),
        (11.5, -6.0, 19.0, 6.0),  # body
        (20.5, -29.0, 10.0, 7.8),  # atrium
        (22.0, -52.0, 5.0, 3.2),  # occipital horn
        (31.0, -25.0, -8.0, 3.4),
        (34.0, -5.0, -19.0, 2.4),  # temporal horn
    ]
)
_VENTRICLE_LINKS = ((0, 1), (1, 2), (2, 3), (3, 4), (3, 5), (5, 6))
_HIPPOCAMPUS = np.array(
    [(23.0, -6.0, -21.0, 6.3), (25.5, -16.0, -17.0, 5.4), (25.0, -26.0, -11.0, 4.6), (20.0, -34.0, -3.0, 3.4)]
)
_HIPPOCAMPUS_LINKS = ((0, 1), (1, 2), (2, 3))
_DEEP = (  # centre and radii of thalamus, caudate and lentiform nucleus
    ((9.0, -12.0, 5.0), (6.8, 12.5, 8.0)),
    ((17.5, 17.0, 7.0), (5.0, 10.0, 8.0)),
    ((25.0, 4.0, 0.0), (5.5, 15.0, 9.0)),
)
_THIRD = ((0.0, -6.0, 3.0), (2.0, 13.0, 9.0))
_FOURTH = ((0.0, -36.0, -32.0), (5.0, 4.0, 8.0))
_GIRTH = 2.0  # mm, the radius the third ventricle widens from

N_SHAPE = 12 + 4 * OWN_WAVES + 8 * (len(_VENTRICLE) + len(_HIPPOCAMPUS))
"""Standard normal numbers that make a person's shape."""


@dataclass(frozen=True)
class Tube:
    """A tube along a bent line: for each of its links the distance to the axis and the radius there, in mm."""

    links: tuple[tuple[Field, Field], ...]

    def at(self, log_size: float) -> Field:
        """Return the signed distance when cross-sections are e^log_size times as large."""
        stretch = np.float32(np.exp(log_size / 2))
        whole, *parts = (distance - stretch * radius for distance, radius in self.links)
        for part in parts:
            whole = union(whole, part, _ROUNDED)
        return whole

    def near(self, reach: float) -> Tube:
        """Return the tube at the points within `reach` mm of its axis at log size 0, and no others."""
        close = self.within(reach)
        return Tube(tuple((distance[close], radius[close]) for distance, radius in self.links))

    def within(self, reach: float) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """Return the points less than `reach` mm from its surface at log size 0."""
        return np.flatnonzero(self.at(0.0) < reach)


@dataclass(frozen=True)
class Anatomy:
    """A person's surfaces as signed distances in mm; sizes move the last of them.

    Attributes
    ----------
    shell : mapping of str to ndarray of float32, shape (n_points,)
        What lies outside the brain: head, fat, muscle, skull, marrow, cavity, eyes, lenses, airways.
    near : ndarray of int, shape (n_near,)
        The points in and close to the cavity: what follows is known there only.
    solid : mapping of str to ndarray of float32, shape (n_near,)
        What of the brain does not age: cerebellum, arbor (its white matter), stem, deep nuclei, fourth ventricle.
    cortex : ndarray of float32, shape (n_near,)
        The outer face of the cortex at log size 0.
    ventricles, left, right : Tube
        Lateral and third ventricles; hippocampi.
    """

    shell: Mapping[str, Field]
    near: np.ndarray[tuple[int], np.dtype[np.intp]]
    solid: Mapping[str, Field]
    cortex: Field
    ventricles: Tube
    left: Tube
    right: Tube


def build(normals: FloatArray, head_size: float, points: Field) -> Anatomy:
    """Compute a person's surfaces.

    Parameters
    ----------
    normals : ndarray of float, shape (N_SHAPE,)
    head_size : float
        Linear; 1 is typical.
    points : ndarray of float32, shape (3, n_points)
        Positions in mm, the middle of the head near 0.
    """
    normals = np.clip(normals, -2.5, 2.5)
    pose, jaw, rest = normals[:9], normals[9:12], normals[12:]
    waves, rest = rest[: 4 * OWN_WAVES].reshape(-1, 4), rest[4 * OWN_WAVES :]
    x = _placed(pose.reshape(3, 3), head_size, points)
    mirrored = np.stack([np.abs(x[0]), x[1], x[2]])

    upper = ellipsoid(x, (0, -2, 12), (59, 76 + 0.7 * jaw[0], 48))
    temporal = ellipsoid(mirrored, (35 + 0.4 * jaw[1], 4, -17 + 0.4 * jaw[2]), (20, 37, 20))
    hull = union(upper, temporal, 10)
    lobes = ellipsoid(mirrored, (22, -50, -37), (26, 23, 19))
    cerebellum = union(lobes, ellipsoid(x, (0, -47, -35), (12, 20, 18)), 6)
    axis, share = along(x, (0, -16, -12), (0, -32, -92))
    stem = union(axis - (10.5 - 3 * share), ellipsoid(x, (0, -13, -30), (16, 11, 13)), 5)
    cavity = union(union(hull, cerebellum, 12), stem - 1.5, 8) - _CISTERN

    near = np.flatnonzero(cavity < _NEAR)
    inner, own = x[:, near], mirrored[:, near]
    folia, arbor = _folia(inner, cerebellum[near])
    nuclei = [ellipsoid(own, centre, radii) for centre, radii in _DEEP]
    third = ellipsoid(inner, *_THIRD)
    tubes = []
    for table, links in ((_VENTRICLE, _VENTRICLE_LINKS), (_HIPPOCAMPUS, _HIPPOCAMPUS_LINKS)):
        for side in (-1, 1):
            tubes.append(_tube(inner, table, links, side, rest[: 4 * len(table)].reshape(-1, 4)))
            rest = rest[4 * len(table) :]
    widens = (third + np.float32(_GIRTH), np.full_like(third, _GIRTH))
    return Anatomy(
        shell=_shell(x, mirrored, cavity),
        near=near,
        solid={
            "cerebellum": folia,
            "arbor": arbor,
            "stem": stem[near],
            "deep": np.minimum(np.minimum(nuclei[0], nuclei[1]), nuclei[2]),
            "fourth": ellipsoid(inner, *_FOURTH),
        },
        cortex=cortex(inner, own, hull[near], cerebellum[near], waves),
        ventricles=Tube((*tubes[0].links, *tubes[1].links, widens)),
        left=tubes[2],
        right=tubes[3],
    )


def _placed(pose: FloatArray, head_size: float, points: Field) -> Field:
    """Turn positions in the scanner into positions in the standard head."""
    turn, shift, stretch = pose
    a, b, c = np.deg2rad(1.5) * turn
    rotation = (
        np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        @ np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
        @ np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    )
    size = head_size * np.exp(0.015 * stretch)
    middle = np.array([0.0, 1.5, 3.0]) + shift
    placed: Field = ((rotation / size).T @ (points - middle[:, None])).astype(np.float32)
    return placed


def _shell(x: Field, mirrored: Field, cavity: Field) -> dict[str, Field]:
    """Return skull, soft tissue and what is in a face."""
    skull = cavity - _SKULL
    face = union(ellipsoid(x, (0, 42, -48), (50, 42, 52)), ellipsoid(x, (0, 86, -48), (9, 11, 14)), 12)
    neck = along(x, (0, -14, -50), (0, -32, -130))[0] - 46
    head = union(union(skull - _SCALP, face, 20), neck, 25)
    sinuses = np.minimum(ellipsoid(mirrored, (26, 56, -48), (11, 13, 13)), ellipsoid(x, (0, 60, -42), (8, 24, 14)))
    return {
        "head": head,
        "fat": head + 1.5,
        "muscle": head + 4.5,
        "skull": skull,
        "marrow": np.abs(cavity - 0.5 * _SKULL) - 1.0,
        "cavity": cavity,
        "eyes": ellipsoid(mirrored, (30, 71, -22), (12, 12, 12)),
        "lenses": ellipsoid(mirrored, (30, 80, -22), (4.5, 2.5, 4.5)),
        "airways": union(sinuses, ellipsoid(x, (0, 84, 0), (12, 3, 7)), 3),
    }


def _folia(x: Field, hull: Field) -> tuple[Field, Field]:
    """Return the face of the cerebellum with its folia, and its branching white matter."""
    angle = np.arctan2(x[2] + 34, -(x[1] + 30))
    leaves = np.cos(16 * angle)
    return hull + 0.8 * (1 - leaves), hull + 8.0 - 3.5 * leaves


def _tube(x: Field, table: FloatArray, links: tuple[tuple[int, int], ...], side: int, normals: FloatArray) -> Tube:
    """Return one side's tube along a person's own line."""
    nodes = table[:, :3] + normals[:, :3]
    nodes[:, 0] *= side
    radii = table[:, 3] * np.exp(0.06 * normals[:, 3])
    parts = []
    for start, stop in links:
        distance, share = along(x, nodes[start], nodes[stop])
        parts.append((distance, (radii[start] + (radii[stop] - radii[start]) * share).astype(np.float32)))
    return Tube(tuple(parts))

"""What stands still in a simulated chest: where the heart lies, which part of it is ill, how bright tissues are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.simulating.hearts.beat import trait

N_FORM = 48
"""Standard normal numbers that make what stands still."""
_CENTRE = (16.0, 2.0)  # mm, of the left chamber: the right one takes the other side
_SHIFT, _RISE = 2.0, 0.7  # mm, spread of the place of a heart in a slice, and along the slices
_TURN, _TILT, _ROUND = 0.15, 0.035, 0.04  # radians, mm per mm, log of the ratio of axes
_CAP = 1.1  # thickness of the wall at the apex over the cube root of its volume


@dataclass(frozen=True, eq=False)
class Form:
    """What stands still in a subject.

    Attributes
    ----------
    centre : tuple of two float
        Of the left chamber at half its height, mm.
    apex : float
        Where the wall ends below, mm.
    cap : float
        Thickness of the wall there, mm.
    septum : float
        Direction of the right chamber, radians.
    tilt : tuple of two float
        How far the centre moves per mm of height.
    stretch : float
        Ratio of the axes of a slice of the heart to the mean.
    ill : float
        Direction of the sector that contracts less, radians.
    loss, asymmetry : float
        See `TRAITS`.
    brightness : mapping of str to float
    around : ndarray of float, shape (n,)
        Normal numbers of the chest around the heart.
    """

    centre: tuple[float, float]
    apex: float
    cap: float
    septum: float
    tilt: tuple[float, float]
    stretch: float
    ill: float
    loss: float
    asymmetry: float
    brightness: dict[str, float]
    around: FloatArray

    @classmethod
    def of(cls, normals: FloatArray, traits: FloatArray) -> Form:
        """Return the form of a subject.

        Parameters
        ----------
        normals : ndarray of float, shape (N_FORM,)
        traits : ndarray of float, shape (n_traits,)
        """
        from scipy.special import ndtr

        bounded = np.clip(normals, -2.5, 2.5)
        length, wall = float(trait(traits, "log_length")), float(trait(traits, "log_wall"))
        cap = _CAP * float(np.cbrt(wall))
        return cls(
            centre=(_CENTRE[0] + _SHIFT * float(bounded[0]), _CENTRE[1] + _SHIFT * float(bounded[1])),
            apex=_RISE * float(bounded[2]) - (length + cap) / 2,
            cap=cap,
            septum=np.pi + _TURN * float(bounded[3]),
            tilt=(_TILT * float(bounded[4]), _TILT * float(bounded[5])),
            stretch=float(np.exp(_ROUND * bounded[6])),
            ill=2 * np.pi * float(ndtr(normals[7])),
            loss=float(trait(traits, "loss")),
            asymmetry=float(trait(traits, "asymmetry")),
            brightness={
                "blood": 200.0 * float(np.exp(0.03 * bounded[8])),
                "muscle": 75.0 * float(np.exp(0.06 * bounded[9])),
                "fat": 165.0 * float(np.exp(0.05 * bounded[10])),
                "lung": 18.0 * float(np.exp(0.15 * bounded[11])),
                "body": 95.0 * float(np.exp(0.08 * bounded[12])),
            },
            around=bounded[13:],
        )

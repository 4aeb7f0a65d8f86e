"""Where ITK puts an image, which is where its transforms act."""

from __future__ import annotations

from typing import Any

import numpy as np

from nextscan.arrays import FloatArray

_SCANNER = 1  # the code of scanner coordinates
_EQUAL = 1e-4  # up to which ITK takes directions as orthonormal, offsets and voxel sizes as equal


def itk_affine(raw: Any) -> FloatArray | None:
    """Return the affine that ITK gives a NIfTI image, written as other software writes it.

    ITK chooses between qform and sform by their codes, otherwise than nibabel does. This is what SimpleITK 2.2.1 and
    2.5.7 (ITK 5.3 and 5.4) did with headers of all 36 pairs of codes:

    - With the sform's code 1 (scanner), or without a qform: the sform, if its directions are orthonormal within 1e-4;
      their lengths are those of ``pixdim``, not of the sform's columns.
    - With the sform's code 2 to 5 (aligned, Talairach, MNI, template) and a qform: the qform. nibabel takes the sform.
    - Without an orthonormal sform: the qform; where there is none either, ITK refuses the image.
    - With both codes 0: voxel (0, 0, 0) at the origin, axes to the left, back and up. nibabel puts the middle at the
      origin, axes to the left, front and up.

    Earlier ITK (4.x) takes the qform whenever there is one.

    Parameters
    ----------
    raw : header of nibabel
        Of a NIfTI image.

    Returns
    -------
    ndarray of float64, shape (4, 4), or None
        From voxel indices to mm, RAS+. None where ITK refuses the image, and where both forms have one offset and
        opposite axes: of those ITK takes either, by the signs of a singular value decomposition.
    """
    from nibabel.spatialimages import HeaderDataError

    qform_code, sform_code = (max(0, int(raw[key])) for key in ("qform_code", "sform_code"))
    steps = np.abs(np.asarray(raw["pixdim"][1:4], np.float64))
    if not (qform_code or sform_code):
        return np.diag([-steps[0], -steps[1], steps[2], 1.0])
    try:
        qform = np.asarray(raw.get_qform(), np.float64) if qform_code else None
    except (HeaderDataError, ValueError):  # no quaternion
        return None
    if not sform_code:
        return qform
    sform = np.asarray(raw.get_sform(), np.float64)
    lengths = np.linalg.norm(sform[:3, :3], axis=0)
    directions = sform[:3, :3] / lengths
    if not np.abs(directions @ directions.T - np.eye(3)).max() <= _EQUAL:
        return qform
    if qform is not None and sform_code != _SCANNER:
        return None if _opposite(sform, qform) else qform
    sform[:3, :3] = directions * steps
    return sform


def _opposite(sform: FloatArray, qform: FloatArray) -> bool:
    """Tell whether two affines differ in nothing but the signs of axes."""
    first, second = sform[:3, :3], qform[:3, :3]
    flipped = not np.allclose(first, second, atol=1e-2)
    return (
        flipped
        and np.allclose(np.abs(first), np.abs(second), atol=1e-3)
        and bool(np.abs(sform[:3, 3] - qform[:3, 3]).max() <= _EQUAL)
    )

"""Affine transforms as ITK writes them: from a subject's common space to the space of one of its images."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from nextscan.cohort.cohort import FloatArray
from nextscan.errors import ImageError

_LONGEST = 2**16  # bytes; an affine transform has a few hundred
_AFFINE = re.compile(r"(MatrixOffsetTransformBase|AffineTransform)_(double|float)_3_3")
_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])  # ITK points left and to the back, NIfTI right and to the front


def read_transform(path: str | Path, *, where: str = "") -> FloatArray:
    """Read an affine transform from an ITK text file.

    ITK's convention: to resample an image into the common space, a transform takes the points of the common
    space to points of the image.

    Parameters
    ----------
    path : path
        ``Transform: MatrixOffsetTransformBase_double_3_3`` or an ``AffineTransform``, one per file.
    where : str
        The subject and visit, for messages.

    Returns
    -------
    ndarray of float64, shape (4, 4)
        From mm in the common space to mm in the image's space; right, anterior, superior.

    Raises
    ------
    ImageError
        If the file is missing, is no such transform, or cannot be undone.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "to_common.txt"
    >>> _ = file.write_text(
    ...     "#Insight Transform File V1.0\\nTransform: AffineTransform_double_3_3\\n"
    ...     "Parameters: 1 0 0 0 1 0 0 0 1 5 0 2\\nFixedParameters: 0 0 0\\n"
    ... )
    >>> read_transform(file)[:3, 3].tolist()
    [-5.0, 0.0, 2.0]
    """
    path = Path(path)
    named = f"{path}{f' ({where})' if where else ''}"
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise ImageError(f"{named}: the transform cannot be read: {error.strerror or error}") from None
    expected = "expected an affine transform as text of ITK (#Insight Transform File V1.0)"
    if len(content) > _LONGEST or b"\0" in content or b"#Insight Transform File" not in content[:200]:
        raise ImageError(f"{named}: is no transform; {expected}")
    keys = [line.partition(":") for line in content.decode("latin-1").splitlines() if ":" in line]
    kinds = [value.strip() for key, _, value in keys if key.strip() == "Transform"]
    if len(kinds) != 1 or not _AFFINE.fullmatch(kinds[0]):
        raise ImageError(f"{named}: holds {', '.join(kinds) or 'no transform'}; {expected}, one per file")
    values = {key.strip(): value.split() for key, _, value in keys}
    try:
        numbers = np.array(values.get("Parameters", []), float)
        centre = np.array(values.get("FixedParameters", []), float)
    except ValueError:
        numbers = centre = np.array([])
    if len(numbers) != 12 or len(centre) != 3 or not np.isfinite([*numbers, *centre]).all():
        raise ImageError(f"{named}: expected 12 Parameters and 3 FixedParameters, all of them numbers; save it again")
    matrix = np.eye(4)
    matrix[:3, :3] = numbers[:9].reshape(3, 3)
    matrix[:3, 3] = numbers[9:] + centre - matrix[:3, :3] @ centre
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-6:
        raise ImageError(f"{named}: the transform cannot be undone (singular matrix); register the image again")
    result: FloatArray = _TURN @ matrix @ _TURN + 0.0  # -0.0 becomes 0.0
    return result

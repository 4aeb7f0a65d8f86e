"""Affine transforms in ITK's text format, as ANTs, Elastix and Slicer write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.errors import ImageError
from nextscan.images.header import Header, distance
from nextscan.images.pointers import pointer

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # ITK's axes point left and posterior, NIfTI's right and anterior
_MAGIC = "#Insight Transform File"
_LIMIT = 2**16  # bytes; an affine transform takes a few hundred
_SINGULAR = 1e-6
_SAME_PLACE = 0.01  # mm


def common_to_image(path: str | Path, header: Header, *, where: str = "") -> FloatArray:
    """Return what takes points of the common space to an image, where its header's `affine` puts it.

    A transform in ITK's format acts where ITK puts the image, see `nextscan.images.itk_space.itk_affine`. The result
    leads on from there to where `affine` puts the same voxel: with both forms alike it is the transform itself.

    Parameters
    ----------
    path : path
        Of the transform; empty for an image that others of the subject were transformed to.
    header : Header
        Of the image.
    where : str
        Subject and visit, for error messages.

    Raises
    ------
    ImageError
        As `read_transform`; and if ITK refuses the image, or takes one of two forms by chance.
    """
    matrix = read_transform(path, where=where) if str(path) else np.eye(4)
    if header.itk_affine is None:
        raise ImageError(
            f"{header.path}{f' ({where})' if where else ''}: its visits have transforms, which act where ITK puts an "
            "image, and ITK puts this one nowhere or by chance (a sheared sform without a qform, or forms of opposite "
            "axes); write sform and qform alike and register again"
        )
    if placed_alike(header):
        return matrix
    return np.asarray(header.affine @ np.linalg.solve(header.itk_affine, matrix), np.float64)


def placed_alike(header: Header) -> bool:
    """Tell whether ITK puts an image where other software does, to a hundredth of a millimetre."""
    return header.itk_affine is not None and distance(header.itk_affine, header.affine, header.shape) < _SAME_PLACE


def read_transform(path: str | Path, *, where: str = "") -> FloatArray:
    """Read an affine transform that puts an image into another space.

    ITK resamples an image by asking, for each point of the *fixed* (common) space, which point of the
    *moving* image lands there: that is the direction of the file, and of the result.

    Parameters
    ----------
    path : path
        A text file ``#Insight Transform File V1.0`` with one transform: MatrixOffsetTransformBase, Affine,
        Euler3D, VersorRigid3D, Translation or Identity, of three dimensions.
    where : str
        Subject and visit, for error messages.

    Returns
    -------
    ndarray of float, shape (4, 4)
        Takes points of the common space to points of the image, both in mm and RAS+ as NIfTI counts them.

    Raises
    ------
    ImageError
        If the file is missing, of another kind, truncated or not invertible.

    Notes
    -----
    With parameters A (row by row) and t, and the centre c among the fixed parameters, the transform is
    x → A (x - c) + t + c in LPS+ coordinates (itk::MatrixOffsetTransformBase).

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "shift.txt"
    >>> _ = file.write_text(
    ...     "#Insight Transform File V1.0\\nTransform: TranslationTransform_double_3_3\\n"
    ...     "Parameters: 1 2 3\\nFixedParameters:\\n"
    ... )
    >>> read_transform(file)[:3, 3].tolist()
    [-1.0, -2.0, 3.0]
    """
    shown = f"{path}{f' ({where})' if where else ''}: "
    kind, parameters, fixed = _parse(_text(Path(path), shown), shown)
    name = kind.partition("_")[0]
    if name not in _KINDS or not kind.endswith("_3_3"):
        raise ImageError(
            f"{shown}holds a transform of kind {kind}; affine ones of three dimensions can be applied "
            f"({', '.join(_KINDS)}): leave the others out, or resample the image before"
        )
    make, counts = _KINDS[name]
    if len(parameters) not in counts or len(fixed) not in (0, 3, 4):
        raise ImageError(
            f"{shown}{kind} needs {' or '.join(map(str, counts))} parameters and a centre of 3, it has "
            f"{len(parameters)} and {len(fixed)}; write the transform again"
        )
    if not np.isfinite([*parameters, *fixed]).all():
        raise ImageError(f"{shown}holds numbers that are not finite; write the transform again")
    linear, shift = make(parameters, fixed)
    if abs(np.linalg.det(linear)) < _SINGULAR:
        raise ImageError(f"{shown}flattens space, so that it cannot be undone; write the transform again")
    centre = fixed[:3] if len(fixed) else np.zeros(3)
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = shift + centre - linear @ centre
    return np.asarray(_LPS @ matrix @ _LPS)


def _text(path: Path, shown: str) -> str:
    remedy = "give a text file as `ConvertTransformFile 3 in.mat out.txt` of ANTs writes it"
    try:
        with path.open("rb") as file:
            head = file.read(_LIMIT + 1)
    except OSError as error:
        problem = pointer(path) or f"the transform cannot be read: {error.strerror or error}"
        raise ImageError(f"{shown}{problem}") from None
    if told := pointer(path, head):
        raise ImageError(f"{shown}{told}")
    text = head.decode("utf-8", errors="replace").lstrip()
    if not text.startswith(_MAGIC) or len(head) > _LIMIT:
        raise ImageError(f"{shown}is no affine transform in ITK's text format ({_MAGIC} V1.0); {remedy}")
    return text


def _parse(text: str, shown: str) -> tuple[str, FloatArray, FloatArray]:
    """Return the kind, the parameters and the fixed parameters of the one transform in a file."""
    entries = re.findall(r"^(Transform|Parameters|FixedParameters):(.*)$", text, re.MULTILINE)
    keys = [key for key, _ in entries]
    if keys.count("Transform") > 1:
        raise ImageError(f"{shown}holds {keys.count('Transform')} transforms, expected one; compose them into one file")
    found = {key: value.strip() for key, value in entries}
    if missing := [key for key in ("Transform", "Parameters") if key not in found]:
        raise ImageError(f"{shown}has no line {missing[0]}: it was cut short; write the transform again")
    numbers = []
    for key in ("Parameters", "FixedParameters"):
        try:
            numbers.append(np.array([float(word) for word in found.get(key, "").split()]))
        except ValueError:
            raise ImageError(f"{shown}{key} are not all numbers; write the transform again") from None
    return found["Transform"], numbers[0], numbers[1]


Pieces = tuple[FloatArray, FloatArray]


def _affine(parameters: FloatArray, fixed: FloatArray) -> Pieces:
    return parameters[:9].reshape(3, 3), parameters[9:]


def _euler(parameters: FloatArray, fixed: FloatArray) -> Pieces:
    """Turn about x, y and z; the order is z x y, or z y x where a fourth fixed parameter says so."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(parameters[:3]), np.sin(parameters[:3])
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    zyx = len(fixed) == 4 and fixed[3] != 0
    return z @ y @ x if zyx else z @ x @ y, parameters[3:]


def _versor(parameters: FloatArray, fixed: FloatArray) -> Pieces:
    """Turn by a unit quaternion given by its vector part."""
    x, y, z = parameters[:3]
    w = np.sqrt(max(0.0, 1.0 - float(parameters[:3] @ parameters[:3])))
    linear = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return linear, parameters[3:]


def _translation(parameters: FloatArray, fixed: FloatArray) -> Pieces:
    return np.eye(3), parameters


def _identity(parameters: FloatArray, fixed: FloatArray) -> Pieces:
    return np.eye(3), np.zeros(3)


# name -> (linear part and shift of parameters and fixed parameters, how many parameters there may be)
_KINDS: dict[str, tuple[Callable[[FloatArray, FloatArray], Pieces], tuple[int, ...]]] = {
    "MatrixOffsetTransformBase": (_affine, (12,)),
    "AffineTransform": (_affine, (12,)),
    "Euler3DTransform": (_euler, (6,)),
    "VersorRigid3DTransform": (_versor, (6,)),
    "TranslationTransform": (_translation, (3,)),
    "IdentityTransform": (_identity, (0, 3)),
}

"""Headers of NIfTI images and of FreeSurfer's volumes, read without their data and checked."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.errors import ImageError
from nextscan.images.itk_space import itk_affine
from nextscan.images.pointers import missing, pointer
from nextscan.stamps import split_frame

MOST_VOXELS = 2**29
"""More than this (2 GiB as float32) is taken for a broken header: 0.25 mm steps through a whole head fit."""

_GZIP = b"\x1f\x8b"
_SIZES = {348: "Nifti1Header", 540: "Nifti2Header"}
_INFLATION = 1040  # deflate makes nothing smaller than 1/1032
_FREESURFER = frozenset({".mgz", ".mgh"})
_MGH_BYTES = 284
_MILLIMETRES = frozenset({"mm", "unknown"})
_TIMES = {8: "sec", 16: "msec", 24: "usec"}


@dataclass(frozen=True, eq=False)
class Header:
    """What the header of an image says.

    Attributes
    ----------
    path : Path
        With the frame, as in ``heart.nii.gz#3``, where one was asked for.
    shape : tuple of three int
        Of one frame.
    spacing : tuple of three float
        Distance of neighbouring voxels in mm, along each axis of the array.
    affine : ndarray of float64, shape (4, 4)
        From voxel indices to mm in scanner or template space (right, anterior, superior).
    orientation : str
        Where the axes of the array point, as in ``"RAS"``.
    dtype : str
        Of the numbers in the file, as in ``"int16"``.
    codes : tuple of two int
        qform and sform code: how the affine was given; both 0 means that the header does not place the image.
    apart : float
        How far, in mm, qform and sform put a corner of the image from each other; the sform counts.
    itk_affine : ndarray of float64, shape (4, 4), or None
        In place of `affine` where a transform is applied, see `nextscan.images.itk_space.itk_affine`.
    n_frames : int
        Of the file.
    frame_step, frame_unit : float, str
        Time from one frame to the next as the header states it, which is often no such thing, and its unit
        (``"sec"``, ``"msec"``, ``"usec"``, ``"unknown"``).
    """

    path: Path
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    affine: FloatArray
    orientation: str
    dtype: str
    codes: tuple[int, int] = (0, 1)
    apart: float = 0.0
    itk_affine: FloatArray | None = None
    n_frames: int = 1
    frame_step: float = 0.0
    frame_unit: str = "unknown"

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)


def nibabel() -> Any:
    """Import nibabel.

    Raises
    ------
    ImageError
        If it is not installed.
    """
    try:
        import nibabel
    except ImportError:
        raise ImageError("images are read with nibabel, which is not installed: install nextscan[volumes]") from None
    return nibabel


def read_header(path: str | Path, *, where: str = "") -> Header:
    """Read the header of an image (``.nii``, ``.nii.gz``, ``.mgz``, ``.mgh``); no more than 540 bytes are unpacked.

    Parameters
    ----------
    path : path
        Of an image, or of a frame of a film as in ``heart.nii.gz#3``.
    where : str
        The subject and visit, for messages, as in ``"sub-01 ses-02"``.

    Raises
    ------
    ImageError
        If the file is missing, empty, a pointer of Git LFS or git-annex, cut short or no image; if it holds no
        three-dimensional image of real numbers, or claims more voxels than `MOST_VOXELS` or than a file of its size
        can hold; or if the header does not say where the voxels lie.
    """
    file, frame = split_frame(path)
    return understood(file, *raw_header(file, where), where, frame)


def read_film_header(path: str | Path, *, where: str = "") -> Header:
    """Read the header of a file of any number of frames; see `read_header`.

    Raises
    ------
    ImageError
    """
    return understood(Path(path), *raw_header(Path(path), where), where, 0)


def error_at(path: Path, where: str, problem: str) -> ImageError:
    """Return an error about a file, with the subject and visit it belongs to."""
    return ImageError(f"{path}{f' ({where})' if where else ''}: {problem}")


def open_packed(path: Path) -> IO[bytes]:
    """Open a file that is compressed or not, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return cast(IO[bytes], gzip.open(path, "rb")) if packed else path.open("rb")


def raw_header(path: Path, where: str) -> tuple[Any, int]:
    """Return nibabel's header, unchecked, and the most bytes the file can hold."""
    nifti = nibabel()
    try:
        size = os.stat(path).st_size
        with open_packed(path) as file:
            block = file.read(540)
            packed = isinstance(file, gzip.GzipFile)
    except FileNotFoundError:
        raise error_at(path, where, missing(path)) from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise error_at(path, where, "the file is cut short or damaged; copy it again") from None
    except OSError as error:
        raise error_at(path, where, f"cannot be read: {error.strerror or error}") from None
    if not block:
        raise error_at(path, where, "the file is empty; copy it again")
    if told := pointer(path, block):
        raise error_at(path, where, told)
    most = size * (_INFLATION if packed else 1)
    if path.suffix.lower() in _FREESURFER:
        return _mgh_header(path, block, where), most
    first = int.from_bytes(block[:4], "little"), int.from_bytes(block[:4], "big")
    name = next((_SIZES[number] for number in first if number in _SIZES), None)
    n_bytes = 540 if name == "Nifti2Header" else 348
    magic = block[344:348] if n_bytes == 348 else block[4:8]
    if name is None or (magic[:1] != b"n" and len(block) >= n_bytes):
        raise error_at(path, where, "is not a NIfTI image; convert it to .nii.gz (dcm2niix does so from DICOM)")
    if len(block) < n_bytes:
        raise error_at(path, where, "the file is cut short: it ends within the header; copy it again")
    if magic[1:2] != b"+":
        raise error_at(path, where, "is one half of a .hdr and .img pair; convert it to a single .nii.gz")
    header = getattr(nifti, name)(block[:n_bytes], check=False)
    if header["pixdim"][0] == 0:  # the standard reads 0 as 1
        header["pixdim"][0] = 1
    return header, most


def _mgh_header(path: Path, block: bytes, where: str) -> Any:
    """Return nibabel's header of a volume of FreeSurfer, unchecked."""
    if len(block) < _MGH_BYTES or int.from_bytes(block[:4], "big") != 1:
        raise error_at(path, where, "is no volume of FreeSurfer (.mgz, .mgh), or cut short; copy or convert it again")
    header = nibabel().freesurfer.mghformat.MGHHeader(block[:_MGH_BYTES], check=False)
    if not any(block[28:30]):  # FreeSurfer takes such a volume for coronal; nibabel turns it upside down
        header["goodRASFlag"], header["Mdc"] = 0, [[-1, 0, 0], [0, 0, -1], [0, 1, 0]]
    return header


def understood(path: Path, raw: Any, most_bytes: int, where: str, frame: int | None = None) -> Header:
    """Check a header and put it in our words; `frame` is the one that is asked for, None for the whole file."""
    from nibabel.spatialimages import HeaderDataError

    try:
        shape = tuple(int(n) for n in raw.get_data_shape())
        dtype = raw.get_data_dtype()
        affine = np.asarray(raw.get_best_affine(), float)
    except (HeaderDataError, ValueError, KeyError, IndexError) as error:
        raise error_at(path, where, f"the header is damaged ({error}); convert the image again") from None
    if not shape or any(n < 1 for n in shape):
        raise error_at(path, where, f"the header gives shape {shape}; convert the image again")
    shape_3d = _three(path, shape, where, frame)
    n_bytes = math.prod(shape) * dtype.itemsize
    if math.prod(shape) > MOST_VOXELS:
        raise error_at(
            path, where, f"the header claims {_sized(n_bytes)} (shape {_times(shape)}), more than any image here may "
            f"have ({MOST_VOXELS:,} voxels); it is damaged, or the image must be resampled to a coarser grid first"
        )  # fmt: skip
    if n_bytes > most_bytes:
        raise error_at(
            path, where, f"the header claims {_sized(n_bytes)} of data, a file of this size cannot hold them; it is "
            "cut short or damaged; copy it again"
        )  # fmt: skip
    if dtype.fields is not None or dtype.kind not in "iuf":
        raise error_at(path, where, "holds colours or complex numbers; convert it to an image of one real number each")
    if is_nifti := isinstance(raw, nibabel().Nifti1Header):  # NIfTI-2 is a kind of it
        unit = raw.get_xyzt_units()[0] if int(raw["xyzt_units"]) & 7 in (0, 1, 2, 3) else "unknown"
        if unit not in _MILLIMETRES:
            raise error_at(path, where, f"lengths are in {unit}; convert the header to mm")
        codes = (int(raw["qform_code"]), int(raw["sform_code"]))
    else:
        codes = (0, int(raw["goodRASFlag"] != 0))
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    if not np.isfinite(affine).all() or not (spacing > 0).all():
        raise error_at(path, where, "the header gives a voxel size of zero or no number; convert the image again")
    if abs(np.linalg.det(affine[:3, :3] / spacing)) < 1e-3:
        raise error_at(path, where, "the header puts all voxels into one plane (singular affine); convert it again")
    return Header(
        path=path if frame is None else path.with_name(f"{path.name}#{frame}"),
        shape=shape_3d,
        spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        affine=affine,
        orientation="".join(nibabel().aff2axcodes(affine)),
        dtype=str(dtype.newbyteorder("=")),
        codes=codes,
        apart=_apart(raw, affine, shape_3d) if all(codes) else 0.0,
        itk_affine=itk_affine(raw) if is_nifti else affine,
        n_frames=math.prod(shape[3:]),
        frame_step=float(raw["pixdim"][4]) if is_nifti and len(shape) > 3 else 0.0,
        frame_unit=_TIMES.get(int(raw["xyzt_units"]) & 0x38, "unknown") if is_nifti else "unknown",
    )


def _apart(raw: Any, affine: FloatArray, shape: tuple[int, int, int]) -> float:
    """Return the largest distance of corners as qform and sform place them; infinite for a qform without meaning."""
    from nibabel.spatialimages import HeaderDataError

    try:
        return distance(np.asarray(raw.get_qform(), np.float64), affine, shape)
    except (HeaderDataError, ValueError):
        return float("inf")


def distance(first: FloatArray, second: FloatArray, shape: tuple[int, int, int]) -> float:
    """Return the largest distance, in mm, of the corners of an image as two affines place them."""
    corners = np.array([(*(np.array(np.unravel_index(i, (2, 2, 2))) * (np.array(shape) - 1)), 1) for i in range(8)])
    return float(np.linalg.norm((corners @ (first - second).T)[:, :3], axis=1).max())


def _three(path: Path, shape: tuple[int, ...], where: str, frame: int | None) -> tuple[int, int, int]:
    n_frames = math.prod(shape[3:])
    if frame is None and n_frames > 1:
        raise error_at(
            path, where, f"has {len(shape)} dimensions ({_times(shape)}); expected one 3-D image: name one of its "
            f"{n_frames} frames, as in {path.name}#0, or save their mean"
        )  # fmt: skip
    if frame is not None and frame >= n_frames:
        only = "only frame 0" if n_frames == 1 else f"frames 0 to {n_frames - 1}"
        raise error_at(path, where, f"has no frame {frame}: it holds {only} ({_times(shape)}); count from 0")
    if len(shape) < 3 or min(shape[:3]) < 2:
        raise error_at(path, where, f"is a 2-D image ({_times(shape)}); expected a 3-D image")
    return shape[0], shape[1], shape[2]


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _sized(n_bytes: int) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes:,} bytes"

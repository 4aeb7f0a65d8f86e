"""NIfTI images: headers without their data, data within known memory, and files written whole or not at all."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from nextscan.atomic import atomic_path
from nextscan.cohort.cohort import FloatArray
from nextscan.errors import ImageError, OutputError

MOST_VOXELS = 2**29
"""More than this (2 GiB as float32) is taken for a broken header: 0.25 mm steps through a whole head fit."""

_GZIP = b"\x1f\x8b"
_SIZES = {348: "Nifti1Header", 540: "Nifti2Header"}
_INFLATION = 1040  # deflate makes nothing smaller than 1/1032
_SLAB = 2**22  # voxels read or written at a time
_MILLIMETRES = {"mm": 1.0, "unknown": 1.0}


@dataclass(frozen=True, eq=False)
class Header:
    """What the header of an image says.

    Attributes
    ----------
    path : Path
    shape : tuple of three int
        A fourth dimension of one frame is left out.
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
    """

    path: Path
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    affine: FloatArray
    orientation: str
    dtype: str
    codes: tuple[int, int] = (0, 1)

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Image:
    """An image: numbers and where they lie.

    Attributes
    ----------
    data : ndarray of float32, three dimensions
        In the order of the file, in its own intensity scale; finite.
    affine : ndarray of float64, shape (4, 4)
    header : Header
    """

    data: NDArray[np.float32]
    affine: FloatArray
    header: Header


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
    """Read the header of a NIfTI image (``.nii``, ``.nii.gz``); no more than 540 bytes are unpacked.

    Parameters
    ----------
    path : path
    where : str
        The subject and visit, for messages, as in ``"sub-01 ses-02"``.

    Raises
    ------
    ImageError
        If the file is missing, empty, cut short or no NIfTI; if it holds no three-dimensional image of
        real numbers, or claims more voxels than `MOST_VOXELS` or than a file of its size can hold; or if
        the header does not say where the voxels lie.
    """
    path = Path(path)
    return _understood(path, *_raw_header(path, where), where)


def read_image(path: str | Path, *, where: str = "", allow_constant: bool = False) -> Image:
    """Read an image as float32.

    Memory stays below that of the returned array and 4 million voxels in the file's own type.

    Parameters
    ----------
    path : path
    where : str
        The subject and visit, for messages.
    allow_constant : bool
        Take an image of one value everywhere, as a mask may be.

    Raises
    ------
    ImageError
        As `read_header`; and if the data are cut short or damaged, hold NaN or infinite values, or are constant.
    """
    path = Path(path)
    raw, size = _raw_header(path, where)
    header = _understood(path, raw, size, where)
    data = _data(path, raw, header, where)
    if not allow_constant and data.size and data.min() == data.max():
        raise _error(path, where, f"every voxel is {data.flat[0]:g}; export the image again or remove it")
    return Image(data, header.affine, header)


def write_image(path: str | Path, data: NDArray[Any], affine: FloatArray, *, like: str | Path | None = None) -> Path:
    """Write a compressed NIfTI image; equal images give equal bytes.

    Parameters
    ----------
    path : path
        Ends in ``.nii.gz``. The file appears whole or not at all.
    data : ndarray, three dimensions
        Floats are written as float32; integers and truth values in the smallest type that holds them.
    affine : ndarray, shape (4, 4)
        From voxel indices to mm.
    like : path, optional
        An image whose header to keep: how it is placed (the codes of sform and qform), units, description.
        With an equal affine its sform and qform are kept to the bit.

    Raises
    ------
    OutputError
        If the file cannot be written, or the data are not finite or not three-dimensional.
    ImageError
        If `like` cannot be read.
    """
    path, affine = Path(path), np.asarray(affine, float)
    if not path.name.endswith(".nii.gz"):
        raise OutputError(f"{path}: an image is written as .nii.gz; give it such a name")
    if data.ndim != 3 or 0 in data.shape:
        raise OutputError(f"{path}: an image to write has three dimensions, this one has shape {data.shape}")
    if data.dtype.kind not in "biuf" or not np.isfinite(data).all():
        raise OutputError(f"{path}: an image to write holds finite numbers; these are {data.dtype} or not finite")
    kind = _written_type(data)
    header = _placed(affine, like)
    header.set_data_shape(data.shape)
    header.set_data_dtype(kind)
    header["vox_offset"] = header.single_vox_offset
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["cal_min"] = header["cal_max"] = 0
    slab = max(1, _SLAB // (data.shape[0] * data.shape[1]))
    with (
        atomic_path(path) as beside,
        beside.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed,
    ):
        packed.write(header.binaryblock + b"\0\0\0\0")
        for start in range(0, data.shape[2], slab):
            packed.write(data[:, :, start : start + slab].astype(kind).tobytes(order="F"))
    return path


def _error(path: Path, where: str, problem: str) -> ImageError:
    return ImageError(f"{path}{f' ({where})' if where else ''}: {problem}")


def _open(path: Path) -> IO[bytes]:
    """Open a file that is compressed or not, whatever its name says."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return cast(IO[bytes], gzip.open(path, "rb")) if packed else path.open("rb")


def _raw_header(path: Path, where: str) -> tuple[Any, int]:
    """Return nibabel's header, unchecked, and the most bytes the file can hold."""
    nifti = nibabel()
    try:
        size = os.stat(path).st_size
        with _open(path) as file:
            block = file.read(540)
            packed = isinstance(file, gzip.GzipFile)
    except FileNotFoundError:
        gone = "is a link to a file that is not there; fetch it" if path.is_symlink() else "there is no such file"
        raise _error(path, where, f"{gone}, or correct the path") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise _error(path, where, "the file is cut short or damaged; copy it again") from None
    except OSError as error:
        raise _error(path, where, f"cannot be read: {error.strerror or error}") from None
    if not block:
        raise _error(path, where, "the file is empty; copy it again")
    first = int.from_bytes(block[:4], "little"), int.from_bytes(block[:4], "big")
    name = next((_SIZES[number] for number in first if number in _SIZES), None)
    n_bytes = 540 if name == "Nifti2Header" else 348
    magic = block[344:348] if n_bytes == 348 else block[4:8]
    if name is None or (magic[:1] != b"n" and len(block) >= n_bytes):
        raise _error(path, where, "is not a NIfTI image; convert it to .nii.gz (dcm2niix does so from DICOM)")
    if len(block) < n_bytes:
        raise _error(path, where, "the file is cut short: it ends within the header; copy it again")
    if magic[1:2] != b"+":
        raise _error(path, where, "is one half of a .hdr and .img pair; convert it to a single .nii.gz")
    header = getattr(nifti, name)(block[:n_bytes], check=False)
    if header["pixdim"][0] == 0:  # the standard reads 0 as 1
        header["pixdim"][0] = 1
    return header, size * (_INFLATION if packed else 1)


def _understood(path: Path, raw: Any, most_bytes: int, where: str) -> Header:
    """Check a header and put it in our words."""
    from nibabel.spatialimages import HeaderDataError

    try:
        shape = tuple(int(n) for n in raw.get_data_shape())
        dtype = raw.get_data_dtype()
        affine = np.asarray(raw.get_best_affine(), float)
    except (HeaderDataError, ValueError, KeyError, IndexError) as error:
        raise _error(path, where, f"the header is damaged ({error}); convert the image again") from None
    if not shape or any(n < 1 for n in shape):
        raise _error(path, where, f"the header gives shape {shape}; convert the image again")
    shape_3d = _three(path, shape, where)
    n_bytes = math.prod(shape) * dtype.itemsize
    if math.prod(shape) > MOST_VOXELS:
        raise _error(
            path, where, f"the header claims {_sized(n_bytes)} (shape {_times(shape)}), more than any image here may "
            f"have ({MOST_VOXELS:,} voxels); it is damaged, or the image must be resampled to a coarser grid first"
        )  # fmt: skip
    if n_bytes > most_bytes:
        raise _error(
            path, where, f"the header claims {_sized(n_bytes)} of data, a file of this size cannot hold them; it is "
            "cut short or damaged; copy it again"
        )  # fmt: skip
    if dtype.fields is not None or dtype.kind not in "iuf":
        raise _error(path, where, "holds colours or complex numbers; convert it to an image of one real number each")
    unit = raw.get_xyzt_units()[0] if int(raw["xyzt_units"]) & 7 in (0, 1, 2, 3) else "unknown"
    if unit not in _MILLIMETRES:
        raise _error(path, where, f"lengths are in {unit}; convert the header to mm")
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    if not np.isfinite(affine).all() or not (spacing > 0).all():
        raise _error(path, where, "the header gives a voxel size of zero or no number; convert the image again")
    if abs(np.linalg.det(affine[:3, :3] / spacing)) < 1e-3:
        raise _error(path, where, "the header puts all voxels into one plane (singular affine); convert it again")
    return Header(
        path=path,
        shape=shape_3d,
        spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        affine=affine,
        orientation="".join(nibabel().aff2axcodes(affine)),
        dtype=str(dtype.newbyteorder("=")),
        codes=(int(raw["qform_code"]), int(raw["sform_code"])),
    )


def _three(path: Path, shape: tuple[int, ...], where: str) -> tuple[int, int, int]:
    if math.prod(shape[3:]) > 1:
        raise _error(
            path, where, f"has {len(shape)} dimensions ({_times(shape)}); expected one 3-D image: save one frame, or "
            "the mean of the frames"
        )  # fmt: skip
    if len(shape) < 3 or min(shape[:3]) < 2:
        raise _error(path, where, f"is a 2-D image ({_times(shape)}); expected a 3-D image")
    return shape[0], shape[1], shape[2]


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _sized(n_bytes: int) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes:,} bytes"


def _data(path: Path, raw: Any, header: Header, where: str) -> NDArray[np.float32]:
    """Read the data slab by slab into an array of float32."""
    from nibabel.spatialimages import HeaderDataError

    try:
        slope, inter = raw.get_slope_inter()
    except HeaderDataError as error:
        raise _error(path, where, f"the header is damaged ({error}); convert the image again") from None
    kind = raw.get_data_dtype()
    slice_voxels = header.shape[0] * header.shape[1]
    data = np.empty(header.shape, np.float32, order="F")
    flat = data.reshape(-1, order="F")
    step = max(1, _SLAB // slice_voxels) * slice_voxels
    try:
        with _open(path) as file:
            file.seek(int(raw.get_data_offset()))
            for start in range(0, header.n_voxels, step):
                count = min(step, header.n_voxels - start)
                block = file.read(count * kind.itemsize)
                if len(block) < count * kind.itemsize:
                    raise EOFError
                values = np.frombuffer(block, kind)
                if slope is not None:
                    values = values * float(slope) + float(inter)
                with np.errstate(over="ignore"):
                    flat[start : start + count] = values
            file.read(1)  # behind the last block the checksum is compared
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise _error(path, where, "the data are cut short or damaged; copy the file again") from None
    except OSError as error:
        raise _error(path, where, f"cannot be read: {error.strerror or error}") from None
    wrong = data.size - int(np.isfinite(data).sum())
    if wrong:
        raise _error(
            path, where, f"{wrong:,} of {data.size:,} voxels are NaN or infinite; replace them (background is 0) or "
            "export the image again"
        )  # fmt: skip
    return data


def _written_type(data: NDArray[Any]) -> np.dtype[Any]:
    if data.dtype.kind == "f":
        return np.dtype("<f4")
    low, high = (int(data.min()), int(data.max()))
    for name in ("u1", "<i2", "<i4"):
        kind = np.dtype(name)
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return kind
    return np.dtype("<f4")


def _placed(affine: FloatArray, like: str | Path | None) -> Any:
    """Return a NIfTI-1 header that places the voxels."""
    nifti = nibabel()
    if like is None:
        header = nifti.Nifti1Header()
        codes = (1, 1)
        header.set_xyzt_units("mm")
    else:
        raw, size = _raw_header(Path(like), "")
        kept = _understood(Path(like), raw, size, "")
        header, codes = nifti.Nifti1Header.from_header(raw.as_byteswapped("<"), check=False), kept.codes
        if np.array_equal(kept.affine, affine):
            return header
        codes = codes if any(codes) else (1, 1)
    header.set_sform(affine, codes[1] or codes[0])
    axes = affine[:3, :3] / np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    sheared = np.abs(axes.T @ axes - np.eye(3)).max() > 1e-4  # a qform cannot say that
    header.set_qform(affine, 0 if sheared else codes[0], strip_shears=True)
    return header

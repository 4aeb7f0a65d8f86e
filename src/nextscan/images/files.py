"""Images: data read within known memory, and files written whole or not at all."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.atomic import atomic_path
from nextscan.errors import OutputError
from nextscan.images.header import (
    MOST_VOXELS,
    Header,
    error_at,
    nibabel,
    open_packed,
    raw_header,
    read_header,
    understood,
)
from nextscan.stamps import split_frame

__all__ = ["MOST_VOXELS", "Header", "Image", "read_header", "read_image", "write_image"]

_SLAB = 2**18  # voxels read or written at a time


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


def read_image(path: str | Path, *, where: str = "", allow_constant: bool = False) -> Image:
    """Read an image, or one frame of a film, as float32.

    Memory stays below that of the returned array and a few MB. Of a packed film all frames are unpacked in one pass,
    and the last film stays in memory: frame after frame each would be unpacked from its start again.

    Parameters
    ----------
    path : path
        Of an image, or of a frame as in ``heart.nii.gz#3``.
    where : str
        The subject and visit, for messages.
    allow_constant : bool
        Take an image of one value everywhere, as a mask may be.

    Raises
    ------
    ImageError
        As `read_header`; and if the data are cut short or damaged, hold NaN or infinite values, or are constant.
    """
    path, frame = split_frame(path)
    raw, size = raw_header(path, where)
    header = understood(path, raw, size, where, frame)
    data = _data(path, raw, header, where, frame or 0)
    if not allow_constant and data.size and data.min() == data.max():
        raise error_at(path, where, f"every voxel is {data.flat[0]:g}; export the image again or remove it")
    return Image(data, header.affine, header)


def write_image(
    path: str | Path,
    data: NDArray[Any],
    affine: FloatArray,
    *,
    like: str | Path | None = None,
    frame_seconds: float | None = None,
) -> Path:
    """Write a compressed NIfTI image, or a film of four dimensions; equal images give equal bytes.

    Parameters
    ----------
    path : path
        Ends in ``.nii.gz``. The file appears whole or not at all.
    data : ndarray, three dimensions, or four with the frames last
        Floats are written as float32; integers and truth values in the smallest type that holds them.
    affine : ndarray, shape (4, 4)
        From voxel indices to mm.
    like : path, optional
        An image whose header to keep: how it is placed (the codes of sform and qform), units, description.
        With an equal affine its sform and qform are kept to the bit.
    frame_seconds : float, optional
        Time from one frame to the next.

    Raises
    ------
    OutputError
        If the file cannot be written, or the data are not finite or have other dimensions.
    ImageError
        If `like` cannot be read.
    """
    path, affine = Path(path), np.asarray(affine, float)
    if not path.name.endswith(".nii.gz"):
        raise OutputError(f"{path}: an image is written as .nii.gz; give it such a name")
    if data.ndim not in (3, 4) or 0 in data.shape:
        raise OutputError(f"{path}: an image to write has three dimensions, a film four; this has shape {data.shape}")
    if data.dtype.kind not in "biuf" or not np.isfinite(data).all():
        raise OutputError(f"{path}: an image to write holds finite numbers; these are {data.dtype} or not finite")
    kind = _written_type(data)
    header = _placed(affine, like)
    header.set_data_shape(data.shape)
    header.set_data_dtype(kind)
    header["vox_offset"] = header.single_vox_offset
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["cal_min"] = header["cal_max"] = 0
    if data.ndim == 4:
        header.set_xyzt_units("mm", "sec" if frame_seconds is not None else None)
        header["pixdim"][4] = frame_seconds or 0
    flat = data.reshape(*data.shape[:2], -1, order="F")
    slab = max(1, _SLAB // (data.shape[0] * data.shape[1]))
    with (
        atomic_path(path) as beside,
        beside.open("wb") as file,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed,
    ):
        packed.write(header.binaryblock + b"\0\0\0\0")
        for start in range(0, flat.shape[2], slab):
            packed.write(flat[:, :, start : start + slab].astype(kind).tobytes(order="F"))
    return path


def _data(path: Path, raw: Any, header: Header, where: str, frame: int) -> NDArray[np.float32]:
    """Read the data of a frame slab by slab into an array of float32."""
    from nibabel.spatialimages import HeaderDataError

    try:
        slope, inter = raw.get_slope_inter()
    except HeaderDataError as error:
        raise error_at(path, where, f"the header is damaged ({error}); convert the image again") from None
    kind = raw.get_data_dtype()
    slice_voxels = header.shape[0] * header.shape[1]
    data = np.empty(header.shape, np.float32, order="F")
    flat = data.reshape(-1, order="F")
    step = max(1, _SLAB // slice_voxels) * slice_voxels
    wrong = 0
    try:
        with open_packed(path) if header.n_frames == 1 else _film(path) as file:
            file.seek(int(raw.get_data_offset()) + frame * header.n_voxels * kind.itemsize)
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
                wrong += count - int(np.isfinite(flat[start : start + count]).sum())
            if header.n_frames == 1:
                file.read(1)  # behind the last block the checksum is compared
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise error_at(path, where, "the data are cut short or damaged; copy the file again") from None
    except OSError as error:
        raise error_at(path, where, f"cannot be read: {error.strerror or error}") from None
    if wrong:
        raise error_at(
            path, where, f"{wrong:,} of {data.size:,} voxels are NaN or infinite; replace them (background is 0) or "
            "export the image again"
        )  # fmt: skip
    return data


def _film(path: Path) -> IO[bytes]:
    """Open a film for reading anywhere in it."""
    changed = path.stat()
    unpacked = _unpacked(path, changed.st_mtime_ns, changed.st_size)
    return path.open("rb") if unpacked is None else BytesIO(unpacked)


@lru_cache(maxsize=1)
def _unpacked(path: Path, changed: int, size: int) -> bytes | None:
    """Return all of a packed file, None of one that is not packed; a changed file is another one."""
    with open_packed(path) as file:
        return file.read() if isinstance(file, gzip.GzipFile) else None


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
        file, frame = split_frame(like)
        raw, size = raw_header(file, "")
        kept = understood(file, raw, size, "", frame)
        is_nifti = isinstance(raw, nifti.Nifti1Header)  # NIfTI-2 is a kind of it
        header = nifti.Nifti1Header.from_header(raw.as_byteswapped("<") if is_nifti else None, check=False)
        header["sizeof_hdr"] = header.sizeof_hdr  # a copy of NIfTI-2 keeps its 540
        if is_nifti and np.array_equal(kept.affine, affine):
            return header
        codes = kept.codes if is_nifti and any(kept.codes) else (1, 1)
        if not is_nifti:
            header.set_xyzt_units("mm")
    header.set_sform(affine, codes[1] or codes[0])
    axes = affine[:3, :3] / np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    sheared = np.abs(axes.T @ axes - np.eye(3)).max() > 1e-4  # a qform cannot say that
    header.set_qform(affine, 0 if sheared else codes[0], strip_shears=True)
    return header

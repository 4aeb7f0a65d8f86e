"""Frames of a beat as one 4-D NIfTI image, whose fourth spacing is the time between frames."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import FloatArray
from nextscan.images.header import nibabel


def write_cine(path: Path, data: NDArray[Any], affine: FloatArray, frame_time: float) -> None:
    """Write frames; equal frames give equal bytes.

    Parameters
    ----------
    path : Path
    data : ndarray, shape (x, y, z, n_frames)
        Of a type that NIfTI has.
    affine : ndarray, shape (4, 4)
    frame_time : float
        Seconds.
    """
    header = nibabel().Nifti1Header()
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header.set_xyzt_units("mm", "sec")
    header.set_sform(affine, 1)
    header.set_qform(affine, 1)
    header["pixdim"][4] = np.float32(frame_time)
    header["vox_offset"] = header.single_vox_offset
    header["scl_slope"], header["scl_inter"] = 1, 0
    with path.open("wb") as file, gzip.GzipFile("", "wb", compresslevel=3, fileobj=file, mtime=0) as packed:
        packed.write(header.binaryblock + b"\0\0\0\0" + data.tobytes(order="F"))

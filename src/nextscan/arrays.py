"""Names of types that all rooms share, and arrays as they come from a file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]
Volume = NDArray[np.float32]
Progress = Callable[[Mapping[str, Any]], None]
"""Told how far some work has come: what is done, of how many, in which phase."""


def read_npz(path: str | Path) -> dict[str, NDArray[Any]]:
    """Return all arrays of an ``.npz`` file, which is opened here, as numpy leaves open what it cannot read."""
    with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        return dict(file)

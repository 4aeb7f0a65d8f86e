"""A minimal stand-in for the preparer, to be removed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nextscan.cohort import Cohort


@dataclass(frozen=True, eq=False)
class Prepared:
    data: NDArray[np.float32]
    affine: NDArray[np.float64]
    low: float
    high: float


@dataclass(frozen=True)
class VolumePreparer:
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    quantiles: tuple[float, float] = (0.001, 0.999)
    cache: str | None = None
    masked: bool = False

    @classmethod
    def of(cls, cohort: Cohort, *, shape: Any = None, spacing: Any = None, cache: str | None = None) -> Self:
        import nibabel

        row = int(np.flatnonzero(cohort.has_volume)[0])
        image = nibabel.load(cohort.files_of("volume")[row])
        return cls(shape or tuple(-(-n // 8) * 8 for n in image.shape), spacing or (1.0, 1.0, 1.0), cache=cache)

    def state(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in state.items()})

    def prepare(self, cohort: Cohort, row: int) -> Prepared:
        import nibabel

        image = nibabel.load(cohort.files_of("volume")[row])
        native = np.asarray(image.dataobj, np.float32)
        low, high = np.quantile(native, self.quantiles)
        data = np.full(self.shape, -1.0, np.float32)
        x, y, z = native.shape
        data[:x, :y, :z] = 2 * (native - low) / (high - low) - 1
        return Prepared(data, image.affine, float(low), float(high))

    def restore(self, values: NDArray[np.float32], cohort: Cohort, row: int, prepared: Prepared) -> NDArray[np.float32]:
        import nibabel

        native = np.asarray(nibabel.load(cohort.files_of("volume")[row]).dataobj, np.float32)
        x, y, z = native.shape
        change = (values - prepared.data)[:, :x, :y, :z] * ((prepared.high - prepared.low) / 2)
        return native + change.astype(np.float32)


def native_affine(cohort: Cohort, row: int) -> NDArray[np.float64]:
    import nibabel

    return np.asarray(nibabel.load(cohort.files_of("volume")[row]).affine)

"""Keep the films of a few subjects for the report, and the curves of volumes that methods predict.

In the run folder ``films/index.json`` has, under ``subjects``, one entry per chosen subject, the largest real change
first: subject, fold, ``folder``, ``frames`` (names), ``times``, ``given`` and ``nearest`` (place of the frame shown
that is nearest in time) of each frame, ``window`` (native intensities at 0 and 1) and ``methods`` with films; beside
them ``period`` and ``unit`` of times. In each subject's folder lie arrays on the film's grid, cut to the box around the
heart and averaged over blocks of voxels where a film of a method would take more than `MOST` bytes; uint8, of which 0
and 255 are the ends of the window:

``real.npz``
    ``real`` as measured and, where it is known, ``noise_free``, each of shape (n_frames, x, y, z), ``affine`` (4, 4) of
    the cut grid.
``METHOD.npz``
    ``mean`` and ``draw`` (the first) of the hidden frames, shape (n_hidden, x, y, z); ``sd`` over draws, of which 255
    is ``sd_high`` in native intensities.

``curves.parquet`` has the volume of the cavity in mL, of the same subjects at each frame, and in rows whose frame is
``ef`` the ejection fraction in percent of every test subject: ``value`` is what the method says, or in frames that were
shown what is measured there; ``q0.1`` and the like are quantiles of the draws, in hidden frames.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import FloatArray, Volume
from nextscan.atomic import atomic_path, write_text
from nextscan.cohort.volume_imputation import PredictedVolume
from nextscan.study.plan import QUANTILES, Job, Plan
from nextscan.study.sequences.films import EF, Course, Films
from nextscan.study.sequences.scoring import Curves
from nextscan.study.sequences.truth import RealFilm

Codes = NDArray[np.uint8]

MOST = 3_000_000
"""Bytes that a method's film of one subject may take, before it is compressed."""
COLUMNS = ("subject", "frame", "time", "given", "truth", "value", *(f"q{level:g}" for level in QUANTILES))
"""Of curves, behind the method."""

_CODES = 255
_WINDOW = (0.001, 0.999)  # quantiles of the film in the box


def film_path(folder: Path, job: Job, place: int) -> Path:
    """Return where a job keeps the film of a chosen subject, given by its place among them."""
    return folder / f"{job.stem}.film-{place}.npz"


def curves_path(folder: Path, job: Job) -> Path:
    """Return where a job keeps curves."""
    return folder / f"{job.stem}.curves.parquet"


@dataclass(frozen=True, eq=False)
class Cut:
    """How the frames of a film are made smaller: the same for all methods.

    Attributes
    ----------
    box : tuple of slice
    blocks : tuple of int, length 3
        Voxels a side of what is averaged.
    low, high : float
        Ends of the window.
    affine : ndarray, shape (4, 4)
        Of the result.
    """

    box: tuple[slice, slice, slice]
    blocks: tuple[int, int, int]
    low: float
    high: float
    affine: FloatArray

    @classmethod
    def of(cls, real: RealFilm) -> Cut:
        """Return the finest cut that `MOST` allows."""
        box = real.box
        inside = real.images[:, *box]
        spacing = np.linalg.norm(real.affine[:3, :3], axis=0)
        blocks = np.ones(3, int)
        while 3 * int((~real.given).sum()) * np.prod(-(-np.array(inside.shape[1:]) // blocks)) > MOST:
            blocks[spacing * blocks <= 1.01 * (spacing * blocks).min()] += 1
        affine = real.affine.copy()
        start = np.array([part.start for part in box]) + (blocks - 1) / 2
        affine[:3, 3] += affine[:3, :3] @ start
        affine[:3, :3] *= blocks
        low, high = (float(end) for end in np.quantile(inside, _WINDOW))
        x, y, z = (int(n) for n in blocks)
        return cls(box, (x, y, z), low, high if high > low else low + 1.0, affine)

    def small(self, image: Volume) -> FloatArray:
        """Cut an image and average blocks of it; the last ones are filled up with the edge."""
        part = np.asarray(image[self.box], np.float64)
        pad = [(0, -size % n) for size, n in zip(part.shape, self.blocks, strict=True)]
        part = np.pad(part, pad, mode="edge")
        a, b, c = self.blocks
        x, y, z = (size // n for size, n in zip(part.shape, self.blocks, strict=True))
        averaged: FloatArray = part.reshape(x, a, y, b, z, c).mean(axis=(1, 3, 5))
        return averaged

    def image(self, image: Volume) -> Codes:
        """Return an image in the window."""
        return _coded((self.small(image) - self.low) / (self.high - self.low))


def _coded(share: FloatArray) -> Codes:
    return np.clip(np.rint(_CODES * share), 0, _CODES).astype(np.uint8)


@dataclass(eq=False)
class KeptFilm:
    """What is kept of a film while its frames are predicted one by one."""

    cut: Cut
    mean: list[Codes] = field(default_factory=list)
    draw: list[Codes] = field(default_factory=list)
    sd: list[FloatArray] = field(default_factory=list)

    def add(self, predicted: PredictedVolume) -> None:
        """Keep the next hidden frame."""
        self.mean.append(self.cut.image(predicted.mean))
        self.draw.append(self.cut.image(predicted.draws[0]))
        self.sd.append(self.cut.small(predicted.sd()))

    def write(self, path: Path) -> None:
        """Write the film; the file appears whole or not at all."""
        sd = np.stack(self.sd)
        high = float(sd.max())
        flat: dict[str, Any] = {"mean": np.stack(self.mean), "draw": np.stack(self.draw)}
        flat |= {"sd": _coded(sd / (high or 1.0)), "sd_high": np.asarray(high)}
        with atomic_path(path) as beside:
            np.savez_compressed(beside, **flat)


def curve_rows(
    films: Films, one: Course, subject: str, curves: Curves, measured: FloatArray, *, whole: bool
) -> Iterator[dict[str, Any]]:
    """Yield the rows of curves of one subject: its ejection fraction and, if it is shown `whole`, its volumes.

    Parameters
    ----------
    measured : ndarray, shape (n_frames, n_regions)
        What is measured in the real frames, of which those shown count.
    """

    def row(frame: str, time: float, given: bool, values: tuple[float, float], ends: FloatArray) -> dict[str, Any]:
        return dict(zip(COLUMNS, (subject, frame, time, given, *values, *ends.tolist()), strict=True))

    truth = films.truth[one.rows, films.cavity]
    true_ef = float(films.ejection(one, truth))
    yield row(EF, float("nan"), False, (true_ef, curves.ef_mean), _quantiles(curves.ef))
    hidden = 0
    for k, at in enumerate(one.rows.tolist() if whole else ()):
        value, ends = float(measured[k, films.cavity]), np.full(len(QUANTILES), np.nan)
        if not one.given[k]:
            value, ends = (
                float(curves.mean[hidden, films.cavity]),
                _quantiles(curves.draws[:, hidden, films.cavity]),
            )
            hidden += 1
        frame, time = str(films.cohort.visits[at]), float(films.cohort.years[at])
        yield row(frame, time, bool(one.given[k]), (float(truth[k]), value), ends)


def _quantiles(draws: FloatArray) -> FloatArray:
    ends: FloatArray = np.quantile(draws, QUANTILES, method="weibull")
    return ends


def write_kept(
    out: Path, plan: Plan, methods: Iterable[str], *, films: Films, chosen: NDArray[np.str_], folder: Path
) -> None:
    """Gather what the jobs kept in the run folder; jobs of before it was kept are left out."""
    methods = list(methods)
    tables = [
        pd.read_parquet(path).assign(method=method)
        for method in methods
        for job in plan.shown_jobs(method)
        if (path := curves_path(folder, job)).is_file()
    ]
    if tables:
        with atomic_path(out / "curves.parquet") as beside:
            pd.concat(tables, ignore_index=True)[["method", *COLUMNS]].to_parquet(beside, index=False)
    place = out / "films"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    cohort = films.cohort
    entries = []
    for number, subject in enumerate(chosen[::-1].tolist()):  # the largest change first
        one = films.courses[subject]
        here = place / f"{number:03d}"
        here.mkdir()
        real = films.real(one)
        cut = Cut.of(real)
        flat: dict[str, Any] = {"real": np.stack([cut.image(image) for image in real.images]), "affine": cut.affine}
        if real.clean is not None:
            flat["noise_free"] = np.stack([cut.image(image) for image in real.clean])
        with atomic_path(here / "real.npz") as beside:
            np.savez_compressed(beside, **flat)
        have, fold = [], -1
        for method in methods:
            for job in plan.shown_jobs(method):
                kept = film_path(folder, job, number)
                if kept.is_file():
                    shutil.copyfile(kept, here / f"{method}.npz")
                    have.append(method)
                    fold = job.fold
        entries.append(
            {
                "subject": subject,
                "fold": fold,
                "folder": f"films/{number:03d}",
                "frames": cohort.visits[one.rows].tolist(),
                "times": [float(time) if np.isfinite(time) else None for time in cohort.years[one.rows]],
                "given": one.given.tolist(),
                "nearest": one.nearest.tolist(),
                "window": [cut.low, cut.high],
                "methods": have,
            }
        )
    told = {"period": cohort.period, "unit": cohort.time_unit, "subjects": entries}
    write_text(place / "index.json", json.dumps(told, indent=1) + "\n")

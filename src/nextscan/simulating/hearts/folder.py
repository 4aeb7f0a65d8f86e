"""The folder of a simulated cohort of hearts: where its files lie, its tables, and where it may be written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from nextscan.arrays import IntArray
from nextscan.simulating.hearts.beat import Beat, trait
from nextscan.simulating.hearts.law import HeartLaw
from nextscan.simulating.hearts.physiology import GROUPS
from nextscan.simulating.hearts.render import LABELS
from nextscan.simulating.place import check_simulated

Layout = Literal["table", "acdc"]
LAYOUTS: tuple[Layout, ...] = ("table", "acdc")
PREFIXES: dict[Layout, str] = {"table": "sub-", "acdc": "patient"}
"""Of the names of people."""
LAW = Path("derivatives", "truth", "hearts.law.npz")
"""Where in the folder the law lies."""
TABLE = "hearts.csv"
_FILES = frozenset({TABLE, "README", "images", "derivatives"})

_README = """\
Simulated hearts
================

{n_subjects} simulated people, each seen over one beat in {n_frames} frames of short-axis slices (nextscan simulate
hearts, seed {seed}). Hearts are normal (NOR), dilated (DCM), thick (HCM), partly dead after an infarct (MINF), or
have an ill right chamber (RV). Nobody here is real.

{where}
Frame 1 is end-diastole, the time between frames is the fourth spacing of the images. Slices follow each other from the
apex to the base. Brightness is in arbitrary units, blood being near 200.

derivatives/truth holds what nobody knows of real people: images without noise, label maps of all frames (1 right
chamber, 2 muscle, 3 left chamber), volumes in mL of each frame (frames.csv) and of each heart (hearts.csv), and the law
the cohort was drawn from (hearts.law.npz), from which nextscan computes the best possible prediction.
"""
_WHERE = {
    "table": "hearts.csv has a row per frame; FILE.nii.gz#3 is the fourth frame of a 4-D image.\n",
    "acdc": "Files are laid out as those of ACDC; labels of end-diastole and end-systole lie beside the images.\n",
}


@dataclass(frozen=True, eq=False)
class Places:
    """Where the images of a subject lie.

    Attributes
    ----------
    volume, segmentation, noise_free : Path
        4-D images.
    """

    volume: Path
    segmentation: Path
    noise_free: Path

    @classmethod
    def of(cls, folder: Path, subject: str, layout: Layout) -> Places:
        """Return the places in a folder."""
        truth = (folder / LAW).parent
        if layout == "acdc":
            own = folder / subject
            return cls(
                own / f"{subject}_4d.nii.gz", truth / f"{subject}_4d_gt.nii.gz", truth / f"{subject}_clean.nii.gz"
            )
        return cls(
            folder / "images" / f"{subject}_cine.nii.gz",
            truth / f"{subject}_labels.nii.gz",
            truth / f"{subject}_clean.nii.gz",
        )

    def roles(self) -> Iterator[tuple[str, Path]]:
        """Give roles of the files of a visit, and their images."""
        yield from vars(self).items()


def check_place(out: Path) -> None:
    """Refuse to replace anything but a cohort of simulated hearts, see `check_simulated`."""
    check_simulated(out, "hearts", LAW, lambda name: name in _FILES or name.startswith(PREFIXES["acdc"]))


def visit_names(n_frames: int) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
    """Return the names of frames: ``frame-01`` and so on."""
    digits = max(2, len(str(n_frames)))
    return np.array([f"frame-{k + 1:0{digits}d}" for k in range(n_frames)])


def frame_time(law: HeartLaw, i: int) -> float:
    """Return the seconds between frames of a subject."""
    return float(60 / law.heart_rate[i] / law.n_frames)


def people_of(law: HeartLaw) -> pd.DataFrame:
    """Return what is known of people without looking at their hearts, one row each."""
    return pd.DataFrame(
        {
            "group": np.array(GROUPS)[law.group],
            "sex": np.where(law.male, "M", "F"),
            "height": law.height,
            "weight": law.weight,
            "heart_rate": law.heart_rate,
        }
    )


def write_tables(folder: Path, law: HeartLaw, layout: Layout) -> None:
    """Write the description, the tables of frames, and the truth of volumes."""
    names, n = visit_names(law.n_frames), len(law.subjects)
    readme = _README.format(n_subjects=n, n_frames=law.n_frames, seed=law.seed, where=_WHERE[layout])
    (folder / "README").write_text(readme)
    (folder / LAW).parent.mkdir(parents=True)
    beat = Beat.of(law.traits, law.times)
    rows = {"subject": np.repeat(law.subjects, law.n_frames), "visit": np.tile(names, n)}
    rows |= {"cycle": np.tile(np.round(law.times, 6), n), "phase": phases(law)}
    volumes = {
        "lv_ml": beat.lv.ravel(),
        "myocardium_ml": np.repeat(trait(law.traits, "log_wall"), law.n_frames),
        "rv_ml": beat.rv.ravel(),
        "lv_length_mm": beat.length.ravel(),
    }
    _write(folder / LAW.parent / "frames.csv", pd.DataFrame({**rows, **volumes}))
    _write(folder / LAW.parent / "hearts.csv", hearts_of(law))
    labels = pd.DataFrame({"index": list(LABELS.values()), "name": list(LABELS)})
    _write(folder / LAW.parent / "labels.csv", labels)
    if layout == "table":
        places = [Places.of(Path(), str(subject), layout) for subject in law.subjects]
        paths = {
            role: [f"{getattr(place, role).as_posix()}#{k}" for place in places for k in range(law.n_frames)]
            for role, _ in places[0].roles()
        }
        people = people_of(law).loc[np.repeat(np.arange(n), law.n_frames)].reset_index(drop=True)
        _write(folder / TABLE, pd.concat([pd.DataFrame({**rows, **paths}), people], axis=1))


def hearts_of(law: HeartLaw) -> pd.DataFrame:
    """Return the true volumes of hearts at end-diastole and end-systole, one row each."""
    start = Beat.of(law.traits, 0.0)
    rv_edv, rv_esv = start.rv[:, 0], trait(law.traits, "log_rv_esv")
    return pd.DataFrame(
        {
            "subject": law.subjects,
            "group": np.array(GROUPS)[law.group],
            "edv_ml": start.edv,
            "esv_ml": start.edv * (1 - start.ef),
            "ef": 100 * start.ef,
            "myocardium_ml": trait(law.traits, "log_wall"),
            "rv_edv_ml": rv_edv,
            "rv_esv_ml": rv_esv,
            "rv_ef": 100 * (1 - rv_esv / rv_edv),
            "body_surface_m2": law.body_surface,
            "es_frame": es_frames(law) + 1,
        }
    )


def es_frames(law: HeartLaw) -> IntArray:
    """Return the frame, from 0, in which each left chamber is smallest."""
    return np.asarray(Beat.of(law.traits, law.times).lv.argmin(axis=1), dtype=np.intp)


def phases(law: HeartLaw) -> pd.Series:
    """Return which frames of all subjects are end-diastole (ED) and end-systole (ES); missing for the others."""
    named = np.full((len(law.subjects), law.n_frames), None, dtype=object)
    named[:, 0] = "ED"
    named[np.arange(len(named)), es_frames(law)] = "ES"
    return pd.Series(named.ravel(), dtype="str")


def write_info(path: Path, law: HeartLaw, i: int, es: int) -> None:
    """Write what ACDC says of a patient: frames count from 1."""
    path.write_text(
        f"ED: 1\nES: {es + 1}\nGroup: {GROUPS[law.group[i]]}\nHeight: {law.height[i]:.1f}\nNbFrame: {law.n_frames}\n"
        f"Weight: {law.weight[i]:.1f}\n"
    )


def _write(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, index=False, float_format="%.6g")

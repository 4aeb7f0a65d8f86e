"""Films of beats: their frames, phases, and the volumes that label maps of frames hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.arrays import FloatArray, IntArray
from nextscan.cohort.cohort import Cohort
from nextscan.cohort.findings import Finding
from nextscan.describing.part import Part
from nextscan.errors import ImageError
from nextscan.images.files import read_image
from nextscan.images.header import read_header
from nextscan.wording import counted, few

_PHASES = ("ED", "ES")
_CAVITY, _MUSCLE, _RIGHT = "LV", "MYO", "RV"
_MUSCLE_RATIO = (0.8, 1.25)  # of its volume at ES and at ED: muscle is not compressed, but slices move
_GAP = 1.8  # times the usual step
_ENOUGH_FRAMES = 5
_MOST_CURVES = 60
_MOST_REGIONS = 8


def films(cohort: Cohort) -> Part:
    """Sum up films, and what label maps of their frames hold.

    The table ``films`` has a row per subject: frames, shape and spacing, the time of ES after ED, label maps, volumes
    in mL at ED and at ES of each region (named where the cohort knows what label maps mean, else by value), the
    ejection fraction of the left cavity and the muscle's volume at ES over that at ED. The plot ``volume_curves`` holds
    volumes over time.
    """
    phases = _phases(cohort)
    volumes, findings = _volumes(cohort)
    rows = [_film(cohort, i, phases, volumes) for i in range(cohort.n_subjects)]
    table = pd.DataFrame(rows)
    findings += [*_about_phases(cohort, table), *_about_maps(cohort, table), *_uneven(cohort)]
    facts: dict[str, Any] = {
        "count": cohort.n_subjects,
        "frames": _extent(table["frames"]),
        "slices": _extent(table["slices"]),
        "slice_mm": _extent(table["slice_mm"]),
        "pixel_mm": _extent(table["pixel_mm"]),
        "es": _extent(table["es_after_ed"]),
        "lacking": {
            "ED": int((table["ed"] == "").sum()),
            "ES": int((table["es"] == "").sum()),
            "maps": int((table["maps"] == 0).sum()),
        },
        "maps": int(table["maps"].sum()),
        "volumes": {
            name: {phase: _extent(table[f"{name}_{phase}_ml"]) for phase in _PHASES}
            | {"all": _extent(pd.Series(values))}
            for name, values in volumes.items()
        },
        "ejection": _extent(table["ejection"]) if "ejection" in table else {},
        "muscle_ratio": _extent(table["muscle_ratio"]) if "muscle_ratio" in table else {},
    }
    return Part({"films": facts}, tuple(findings), {"films": table}, {"volume_curves": _curves(cohort, volumes)})


def _phases(cohort: Cohort) -> NDArray[np.str_]:
    """Return ED, ES or nothing for every visit: by the label `phase`, else by the visit's name."""
    names = pd.Series(cohort.visits).str.removeprefix("ses-").str.upper()
    if "phase" in cohort.visit_labels:
        names = cohort.visit_labels["phase"].astype("str").str.upper()
    return np.array(names.where(names.isin(_PHASES), "").tolist(), dtype=str)


def _film(cohort: Cohort, i: int, phases: NDArray[np.str_], volumes: Mapping[str, FloatArray]) -> dict[str, object]:
    own = np.flatnonzero((cohort.subject_of == i) & ~cohort.is_request)
    row: dict[str, object] = {"subject": str(cohort.subjects[i]), "frames": len(own)}
    row |= _grid(cohort, own)
    at = {phase: next(iter(own[phases[own] == phase]), None) for phase in _PHASES}
    row |= {phase.lower(): "" if k is None else str(cohort.visits[k]) for phase, k in at.items()}
    ed, es = at["ED"], at["ES"]
    apart = np.nan
    if ed is not None and es is not None:
        apart = float(cohort.years[es] - cohort.years[ed])
        apart = apart % cohort.period if cohort.period is not None else apart
    row["es_after_ed"] = apart
    row["maps"] = int(np.count_nonzero(cohort.files_of("segmentation")[own] != ""))
    for name, values in volumes.items():
        for phase, k in at.items():
            row[f"{name}_{phase}_ml"] = np.nan if k is None else float(values[k])
    if _CAVITY in volumes or len(volumes) == 1:
        cavity = volumes.get(_CAVITY, next(iter(volumes.values())))
        row["ejection"] = np.nan if ed is None or es is None else 1 - _ratio(cavity[es], cavity[ed])
    if _MUSCLE in volumes:
        muscle = volumes[_MUSCLE]
        row["muscle_ratio"] = np.nan if ed is None or es is None else _ratio(muscle[es], muscle[ed])
    return row


def _ratio(over: float, under: float) -> float:
    return float(over / under) if under > 0 else float("nan")


def _grid(cohort: Cohort, own: IntArray) -> dict[str, object]:
    """Return shape and spacing of a film; the slices are the axis along which voxels are longest."""
    nothing = {"shape": "", "slices": np.nan, "slice_mm": np.nan, "pixel_mm": np.nan}
    paths = [path for path in cohort.files_of("volume")[own] if path]
    try:
        header = read_header(paths[0]) if paths else None
    except ImageError:
        return nothing  # the checks of images tell
    if header is None:
        return nothing
    across = int(np.argmax(header.spacing))
    return {
        "shape": "×".join(map(str, header.shape)),
        "slices": float(header.shape[across]),
        "slice_mm": header.spacing[across],
        "pixel_mm": min(header.spacing),
    }


def _volumes(cohort: Cohort) -> tuple[dict[str, FloatArray], list[Finding]]:
    """Return the mL of each region in the label map of every visit, NaN where there is none."""
    paths = cohort.files_of("segmentation")
    counted_in: dict[int, FloatArray] = {}
    mixed: list[str] = []
    regions = {str(name): int(value) for name, value in dict(cohort.reading.get("regions", {})).items()}
    for row in np.flatnonzero(paths != ""):
        try:
            image = read_image(paths[row], allow_constant=True)
        except ImageError:
            continue  # the checks of images tell
        values, counts = np.unique(np.round(image.data).astype(int), return_counts=True)
        voxel = float(np.prod(image.header.spacing)) / 1000
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            if value != 0:
                counted_in.setdefault(value, np.zeros(cohort.n_visits))[row] = count * voxel
        if {_CAVITY, _MUSCLE, _RIGHT} <= regions.keys():
            shares = [_within(image.data, regions[name], regions[_MUSCLE]) for name in (_CAVITY, _RIGHT)]
            if shares[1] > shares[0]:
                mixed.append(str(cohort.subjects[cohort.subject_of[row]]))
    findings = []
    if mixed:
        who = tuple(dict.fromkeys(mixed))
        text = f"the right cavity is set in muscle more than the left in label maps of {few(who)}"
        findings.append(Finding("warning", "regions-exchanged", text, (), who, "correct regions in [sequences]"))
    names = {value: name for name, value in regions.items()}
    if len(counted_in) > _MOST_REGIONS:
        text = (
            f"label maps have {len(counted_in)} values; only those of {few(regions) if regions else 'none'} are counted"
        )
        findings.append(Finding("note", "many-labels", text, cure="say regions in [sequences]"))
        counted_in = {value: counts for value, counts in counted_in.items() if value in names}
    usual = {name: place for place, name in enumerate((_CAVITY, _MUSCLE, _RIGHT))}
    order = sorted(counted_in, key=lambda value: (usual.get(names.get(value, ""), len(usual)), value))
    lacking = paths == ""
    return {
        names.get(value, f"label {value}"): np.where(lacking, np.nan, counted_in[value]) for value in order
    }, findings


def _within(data: NDArray[np.float32], value: int, wall: int) -> float:
    """Return the share of a region's border, in the planes of slices, that is wall."""
    inside, border, touching = data == value, 0, 0
    for axis in (0, 1):
        for here, there in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
            a, b = (tuple(part if k == axis else slice(None) for k in range(3)) for part in (here, there))
            outside = inside[a] & ~inside[b]
            border += int(outside.sum())
            touching += int((outside & (data[b] == wall)).sum())
    return touching / border if border else 0.0


def _extent(values: pd.Series) -> dict[str, float]:
    known = values.dropna().to_numpy(float)
    if not len(known):
        return {}
    return {"low": float(known.min()), "median": float(np.median(known)), "high": float(known.max())}


def _about_phases(cohort: Cohort, table: pd.DataFrame) -> Iterator[Finding]:
    lacking = table.loc[(table["ed"] == "") | (table["es"] == ""), "subject"].tolist()
    if len(lacking) == len(table):
        yield Finding("note", "no-phases", "no frame is called ED or ES: frames are shown by number, not by phase")
    elif lacking and not any(finding.code == "phases-unknown" for finding in cohort.findings):
        text = f"ED or ES is unknown in {counted(len(lacking), 'film')}: {few(lacking)}"
        yield Finding("note", "phases-unknown", text, (), tuple(lacking))


def _about_maps(cohort: Cohort, table: pd.DataFrame) -> Iterator[Finding]:
    without = table.loc[table["maps"] == 0, "subject"].tolist()
    if 0 < len(without) < len(table):
        text = f"{counted(len(without), 'film')} without a label map: {few(without)}"
        yield Finding("note", "films-without-maps", text, (), tuple(without))
    if "ejection" in table:
        still = table.loc[table["ejection"] <= 0, "subject"].tolist()
        if still:
            text = f"the cavity is no smaller at ES than at ED in {counted(len(still), 'film')}: {few(still)}"
            cure = "are ED and ES exchanged, or values of the label map?"
            yield Finding("warning", "no-ejection", text, (), tuple(still), cure)
    if "muscle_ratio" in table:
        off = table[~table["muscle_ratio"].between(*_MUSCLE_RATIO) & table["muscle_ratio"].notna()]
        if len(off):
            named = few(
                [f"{name} {ratio:.2f}" for name, ratio in zip(off["subject"], off["muscle_ratio"], strict=True)]
            )
            text = f"the muscle has another volume at ES than at ED in {counted(len(off), 'film')} (ratio: {named})"
            cure = "muscle keeps its volume: slices may be missing from one of the label maps"
            yield Finding("note", "muscle-volume-differs", text, (), tuple(off["subject"]), cure)


def _uneven(cohort: Cohort) -> Iterator[Finding]:
    """Find films whose frames leave a gap: a frame is missing, or the film stops before the beat ends."""
    found = []
    for i in range(cohort.n_subjects):
        time = np.sort(cohort.years[(cohort.subject_of == i) & ~np.isnan(cohort.years)])
        if len(time) < _ENOUGH_FRAMES:
            continue
        steps = np.diff(time, append=time[0] + cohort.period) if cohort.period is not None else np.diff(time)
        usual = float(np.median(steps))
        if usual > 0 and steps.max() > _GAP * usual:
            at = int(np.argmax(steps))
            found.append((str(cohort.subjects[i]), f"{cohort.subjects[i]} from {time[at]:.2f} by {steps[at]:.2f}"))
    if found:
        text = f"{counted(len(found), 'film')} with a gap between frames: {few([told for _, told in found])}"
        cure = "a frame is missing, or the film stops before the beat ends"
        yield Finding("note", "uneven-frames", text, (), tuple(name for name, _ in found), cure)


def _curves(cohort: Cohort, volumes: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Return volumes over time of films spread over the cohort, with at least two label maps each."""
    if not volumes:
        return {}
    known = ~np.isnan(next(iter(volumes.values()))) & ~np.isnan(cohort.years)
    counts = np.bincount(cohort.subject_of[known], minlength=cohort.n_subjects)
    chosen = np.flatnonzero(counts >= 2)
    if not len(chosen):
        return {}
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), _MOST_CURVES)).astype(np.intp)]
    rows = np.flatnonzero(known & np.isin(cohort.subject_of, chosen))
    return {
        "subject": cohort.subject_of[rows],
        "time": cohort.years[rows],
        "volumes": {name: values[rows] for name, values in volumes.items()},
    }

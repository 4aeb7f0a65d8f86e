"""Films: a subject's frames become visits, placed in the beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray
from nextscan.cohort.cohort import ROLES
from nextscan.cohort.findings import Finding
from nextscan.errors import CohortError, ImageError, SchemaError, some
from nextscan.images.header import Header, read_film_header
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.schema import SequencesSchema
from nextscan.wording import counted

PHASE = "phase"
"""The label of visits that says which of them are end-diastole (ED) and end-systole (ES)."""
CYCLE = "cycle"
"""The unit of times that are fractions of a beat."""
_CUT = 0.6  # of the file: no heart contracts for longer, the file stops before the beat ends
_EARLIEST_ES = 0.15  # of the beat after ED
_LAST_FRAMES = 0.8  # of the file: an ED there belongs to the next beat
_MOST_FRAMES = 100  # of a film of one beat
_BEATS = (0.3, 2.5)  # seconds


@dataclass(frozen=True, eq=False)
class Film:
    """One beat of one subject, as far as it is known.

    Attributes
    ----------
    subject : str
    told_by : str
        What tells ED and ES, for messages: a file, or a row of a table.
    volume : sequence of str
        References to the frames.
    frames : sequence of int
        Number of each of them in the film, from 0.
    n_frames : int
        Of the whole film.
    ed, es : int or None
        Numbers of frames, from 0; None where unknown.
    header : Header or None
        Of the film.
    files : mapping of role to sequence of str
        What belongs to frames, empty where there is none.
    labels : mapping
    rr : float
        Milliseconds from beat to beat; NaN where unknown.
    """

    subject: str
    told_by: str
    volume: Sequence[str]
    frames: Sequence[int]
    n_frames: int
    ed: int | None = None
    es: int | None = None
    header: Header | None = None
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    labels: Mapping[str, object] = field(default_factory=dict)
    rr: float = float("nan")

    @property
    def after_ed(self) -> float:
        """Part of the film from ED to ES; NaN where unknown."""
        if self.ed is None or self.es is None:
            return float("nan")
        return ((self.es - self.ed) % self.n_frames) / self.n_frames

    @property
    def is_wrapped(self) -> bool:
        """Tell whether ES comes before ED in the file."""
        return self.ed is not None and self.es is not None and self.es < self.ed


def film_header(path: object, *, where: str) -> Header:
    """Read the header of a film.

    Raises
    ------
    ImageError
        If it cannot be read or holds one frame.
    """
    header = read_film_header(str(path), where=where)
    if header.n_frames < 2:
        raise ImageError(f"{path} ({where}): holds one frame; a film has at least two: copy the file again")
    return header


def check_phases(ed: int | None, es: int | None, n_frames: int, *, where: str, first: int) -> None:
    """Refuse frames of ED and ES that cannot be; both and `first` as they are counted there.

    Raises
    ------
    CohortError
    """
    last = n_frames - 1 + first
    for name, frame in (("ED", ed), ("ES", es)):
        if frame is not None and not first <= frame <= last:
            raise CohortError(
                f"{where}: {name} is frame {frame}, the film has frames {first} to {last}, counted from {first}; "
                "correct the number"
            )
    if ed is None or es is None:
        return
    if ed == es:
        raise CohortError(f"{where}: ED and ES are both frame {ed}; correct one of them")
    late = ed - first >= _LAST_FRAMES * (n_frames - 1)
    if es < ed and not (late and _EARLIEST_ES <= (es - ed) % n_frames / n_frames <= _CUT):
        raise CohortError(
            f"{where}: ES (frame {es}) comes before ED (frame {ed}) in a film of {n_frames} frames; are they exchanged?"
        )


def same_frames(film: Header, path: str, *, where: str, several: bool = False) -> Header:
    """Return the header of what belongs to a film, or to a frame of it.

    Raises
    ------
    ImageError
        If it has frames of another shape, or another number of them.
    """
    other = read_film_header(path, where=where)
    wanted = film.n_frames if several else 1
    if other.n_frames != wanted:
        raise ImageError(
            f"{path} ({where}): holds {counted(other.n_frames, 'frame')}, expected {wanted}; copy it again"
        )
    if other.shape != film.shape:
        have, want = ("×".join(map(str, header.shape)) for header in (other, film))
        raise ImageError(f"{path} ({where}): frames of {have} voxels, the film has {want}; give those of this film")
    return other


def rows_of(
    films: Sequence[Film],
    settings: SequencesSchema,
    *,
    source: str,
    place: Callable[[int], str] | None = None,
    rows: Sequence[int] | None = None,
    regions: Mapping[str, int] | None = None,
    notes: Sequence[str] = (),
    findings: Sequence[Finding] = (),
) -> VisitRows:
    """Return a visit for each frame, called ``frame-01`` and so on in the order of the file.

    The time of a frame is its part of the film, from the first frame; from ED where the film holds the whole beat (the
    frames before ED then come last) or where the schema tells how long beat and frames are. `place` and `rows` name
    the row of a table that each film comes from.

    Raises
    ------
    CohortError
        If a subject has two films.
    SchemaError
        If the schema times frames in milliseconds without saying how long a frame is.
    """
    _distinct(films)
    names = [film.told_by for film in films]
    lengths = [len(film.frames) for film in films]
    of = np.repeat(np.arange(len(films)), lengths)
    times, unit = _times(films, settings)
    frames = np.concatenate([np.asarray(film.frames, int) for film in films])
    phase = [
        "ED" if frame == films[i].ed else "ES" if frame == films[i].es else None
        for i, frame in zip(of.tolist(), frames.tolist(), strict=True)
    ]
    labels = pd.DataFrame([dict(film.labels) for film in films], index=range(len(films)))
    labels = labels.loc[:, labels.notna().any(axis=0)].iloc[of].reset_index(drop=True)
    if any(phase):
        labels[PHASE] = pd.Series(phase, dtype="str")
    roles = [role for role in ROLES[1:] if any(any(film.files.get(role, ())) for film in films)]
    files = {"volume": [path for film in films for path in film.volume]}
    for role in roles:
        files[role] = [path for film in films for path in film.files.get(role) or [""] * len(film.frames)]
    width = max(2, len(str(max(film.n_frames for film in films))))
    said = [*notes, *_notes(films, settings, unit), *_of_headers(films)]
    told = [replace(finding, text=f"{source}: {finding.text}") for finding in _doubts(films, settings)]
    regions = dict(settings.regions or regions or {})
    if roles and "segmentation" in roles:
        meant = ", ".join(f"{value} = {name}" for name, value in sorted(regions.items(), key=lambda item: item[1]))
        said.append(f"label maps: {meant or 'nothing tells what their values mean: say regions in [sequences]'}")
    return VisitRows(
        source=source,
        subjects=np.array([films[i].subject for i in of.tolist()], dtype=object),
        visits=np.array([f"frame-{frame + 1:0{width}d}" for frame in frames], dtype=object),
        time=times,
        time_kind="years",
        time_unit=unit,
        period=1.0 if unit == CYCLE else None,
        features=np.empty((len(of), 0)),
        feature_names=(),
        labels=labels,
        rows=of if rows is None else np.asarray(rows, int)[of],
        place=(lambda row: names[row]) if place is None else place,
        files={role: np.array(paths, dtype=object) for role, paths in files.items()},
        regions=regions,
        notes=tuple(said),
        findings=(*findings, *told),
    )


def _distinct(films: Sequence[Film]) -> None:
    first: dict[str, Film] = {}
    for film in films:
        if (other := first.setdefault(film.subject, film)) is not film:
            raise CohortError(
                f"{film.told_by}: subject {film.subject} has two films (the other: {other.told_by}); a sequence is one "
                "film of a subject: name subjects apart, or keep one"
            )


def _times(films: Sequence[Film], settings: SequencesSchema) -> tuple[FloatArray, str]:
    """Return the time of every frame, and its unit."""
    if settings.time == "frames":
        return np.concatenate([np.asarray(film.frames, float) for film in films]), "frames"
    if settings.time == "ms" and settings.frame_seconds is None:
        raise SchemaError('sequences: time = "ms" needs frame_seconds, the time from one frame to the next; add it')
    if settings.time == "ms":
        assert settings.frame_seconds is not None
        return np.concatenate([1000 * settings.frame_seconds * np.asarray(film.frames) for film in films]), "ms"
    if settings.whole is False and not all(_is_measured(film, settings) for film in films):
        raise SchemaError(
            "sequences: films that are not whole (whole = false) have a place in the beat only with frame_seconds and "
            'rr; give them, or time = "frames"'
        )
    found = []
    for film in films:
        step = 1 / film.n_frames
        if settings.frame_seconds is not None and film.rr > 0:
            step = 1000 * settings.frame_seconds / film.rr
        start = 0 if film.ed is None or is_cut(film, settings) else film.ed
        found.append(((np.asarray(film.frames) - start) * step) % 1.0)
    return np.asarray(np.round(np.concatenate(found), 12) % 1.0, np.float64), CYCLE


def _is_measured(film: Film, settings: SequencesSchema) -> bool:
    return settings.frame_seconds is not None and film.rr > 0


def is_cut(film: Film, settings: SequencesSchema) -> bool:
    """Tell whether a film seems to stop before the beat ends, so that nothing tells where in the beat frames are."""
    if settings.whole is not None or _is_measured(film, settings):
        return False
    return film.after_ed > _CUT


def _notes(films: Sequence[Film], settings: SequencesSchema, unit: str) -> list[str]:
    counts = [film.n_frames for film in films]
    span = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{counts[0]}"
    measured = all(_is_measured(film, settings) for film in films)
    how = {
        CYCLE: f"milliseconds of frame_seconds over those of {settings.rr}"
        if measured
        else "the number of the frame over the number of frames, 0 the first",
        "ms": "milliseconds since the first frame",
        "frames": "the number of the frame",
    }[unit]
    notes = [f"{counted(len(films), 'film')} of {span} frames, visits are frames: frame-01 is the first of the file"]
    notes.append(f"times are {how}" + (", in parts of the beat, which is a circle" if unit == CYCLE else ""))
    turned = [film for film in films if film.ed and not is_cut(film, settings)] if unit == CYCLE else []
    if turned:
        named = some([f"{film.subject} frame {film.ed + 1}" for film in turned if film.ed is not None], 3)
        notes.append(f"ED is not the first frame of {counted(len(turned), 'film')} ({named}): their time starts at ED, "
                     "the frames before it come last")  # fmt: skip
    return notes


def _doubts(films: Sequence[Film], settings: SequencesSchema) -> list[Finding]:
    """Say which films may be cut, and which know no ED or ES."""
    findings = []
    cut = [film for film in films if is_cut(film, settings)]
    if cut and settings.time == CYCLE:
        named = some([f"{film.subject} {film.after_ed:.2f}" for film in cut], 4)
        text = f"{counted(len(cut), 'film')} may stop before the beat ends: ES lies beyond {_CUT} of them ({named})"
        cure = (
            "times of their frames are too late: leave them out, give frame_seconds and rr in [sequences], or say "
            "whole = true"
        )
        findings.append(Finding("warning", "cut-films", text, subjects=tuple(film.subject for film in cut), cure=cure))
    wrapped = [film for film in films if film.is_wrapped]
    if wrapped:
        named = some([film.subject for film in wrapped], 4)
        text = (
            f"ES comes before ED in {counted(len(wrapped), 'film')} ({named}): ED is near the end of the file, and "
            "taken for that of the next beat"
        )
        who = tuple(film.subject for film in wrapped)
        findings.append(Finding("note", "wrapped-films", text, subjects=who, cure="look whether it is so"))
    long = [film for film in films if film.n_frames > _MOST_FRAMES]
    if long:
        text = (
            f"{counted(len(long), 'film')} of more than {_MOST_FRAMES} frames: {some([film.subject for film in long])}"
        )
        cure = "films of a beat have 12 to 60; are these other series, such as fMRI?"
        findings.append(
            Finding("warning", "long-films", text, subjects=tuple(film.subject for film in long), cure=cure)
        )
    known = [film for film in films if film.ed is not None and film.es is not None]
    lacking = [film.subject for film in films if film.ed is None or film.es is None]
    if known and lacking:
        text = f"ED or ES is unknown in {counted(len(lacking), 'film')}: {some(lacking)}"
        cure = "their time starts at the first frame of the file"
        findings.append(Finding("warning", "phases-unknown", text, subjects=tuple(lacking), cure=cure))
    return findings


def _of_headers(films: Sequence[Film]) -> list[str]:
    """Say what headers state about the time of frames, which is never used: it is a repetition time, or nothing."""
    groups: dict[str, list[float]] = {}
    for film in films:
        if film.header is not None:
            kind, beat = _beat(film.header)
            groups.setdefault(kind, []).append(beat)
    if not groups:
        return []
    told = []
    for kind, beats in groups.items():
        low, high = (f"{beat:.2f}" for beat in (min(beats), max(beats)))
        span = f" ({low} s)" if low == high else f" ({low} to {high} s)"
        told.append({
            "none": f"{len(beats)} state no time between frames",
            "odd": f"{len(beats)} a beat that no heart has{span}",
            "good": f"{len(beats)} a plausible beat{span}",
            "ms": f"{len(beats)} a plausible beat only if their time is in milliseconds{span}",
            "sec": f"{len(beats)} a plausible beat only if their time is in seconds{span}",
        }[kind])  # fmt: skip
    return [f"times in headers are not used; of {len(films)} films {', '.join(told)}"]


def _beat(header: Header) -> tuple[str, float]:
    """Return how plausible the beat is that a header states, and how long it is in seconds."""
    whole = header.n_frames * header.frame_step
    if not np.isfinite(whole) or whole <= 0:
        return "none", 0.0
    unit = {"msec": 1e-3, "usec": 1e-6}.get(header.frame_unit, 1.0)
    for kind, scale in (("good", unit), ("ms", 1e-3), ("sec", 1.0)):
        if _BEATS[0] <= whole * scale <= _BEATS[1]:
            return kind, whole * scale
    return "odd", whole * unit

"""Tables that name films or their frames, and visits called after phases of the beat."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from nextscan.arrays import FloatArray
from nextscan.errors import CohortError, ImageError, SchemaError, some
from nextscan.images.header import Header, read_film_header
from nextscan.images.names import CONTRASTS, parse
from nextscan.reading.columns.visits import VisitRows
from nextscan.reading.columns.vocabulary import canonical
from nextscan.reading.layouts.cine.films import CYCLE, PHASE, Film, check_phases, rows_of, same_frames
from nextscan.reading.layouts.cine.regions import regions_beside
from nextscan.reading.layouts.plan import is_of_film
from nextscan.reading.schema import TableSchema
from nextscan.stamps import split_frame

_LOOKED_AT = 20
_RR = ("rr", "rrms", "rrinterval", "nominalinterval", "heartrate", "hr", "bpm")
_FRAME = re.compile(r"(?:frame|phase|f|img|t)?[-_ ]*\d+|ed|es", re.IGNORECASE)
_RATES = frozenset({"heartrate", "hr", "bpm"})
_SECONDS = 10.0  # intervals below it are in seconds
_OF_FILMS = {"ED": ("ed", "edframe", "frameed"), "ES": ("es", "esframe", "framees")}


def as_sequences(rows: VisitRows, schema: TableSchema) -> VisitRows:
    """Return the rows of a table or BIDS folder with films as visits, frames in their place in the beat.

    - A row that names a film (four dimensions, no ``#K``) becomes a visit for each frame.
    - Frames (``#K``) without a time get their part of the film.
    - Times in milliseconds become parts of the beat where a column tells its length.
    - Visits called ED and ES are those phases: ED is at 0.

    Raises
    ------
    CohortError
        If a subject has two films, or times are no part of a beat.
    """
    rows = _expanded(rows, schema)
    rows = _of_frames(rows)
    rows = _in_beats(rows, schema)
    return _checked(_phased(_with_regions(_without_used(rows, schema), schema)))


def _references(rows: VisitRows) -> list[tuple[Path, int | None]]:
    return [split_frame(path) if path else (Path(), None) for path in rows.files.get("volume", ())]


def _expanded(rows: VisitRows, schema: TableSchema) -> VisitRows:
    """Make visits of the frames of films; of tables whose first images are films."""
    if not rows.has_volume.any() or not _names_films(rows):
        return rows
    if rows.feature_names:
        raise CohortError(
            f"{rows.source}: features of a whole film ({some(rows.feature_names, 3)}) are none of its frames; leave "
            "them out, or give a row for each frame"
        )
    at = np.flatnonzero(rows.has_volume)
    headers = {int(i): read_film_header(rows.files["volume"][i], where=str(rows.subjects[i])) for i in at}
    single = [rows.where(i) for i, header in headers.items() if header.n_frames < 2]
    if single:
        raise CohortError(
            f"{single[0]}: names an image of one frame, other rows films; name frames of films as in p1_4d.nii.gz#0, "
            "or leave the row out"
        )
    columns = {key: _column(rows, names) for key, names in _OF_FILMS.items()}
    first = _counted_from(rows, columns, headers, schema)
    rr = _beats(rows, schema)
    used = [name for name in columns.values() if name is not None]
    labels = rows.labels.drop(columns=used)
    films = [_film(rows, i, header, columns, first, labels, float(rr[i])) for i, header in headers.items()]
    made = rows_of(films, schema.sequences, source=rows.source, place=rows.place, rows=[int(rows.rows[i]) for i in at])
    types = {name: labels[name].dtype for name in made.labels if name in labels}
    said = [f"ED and ES count from {first}"] if used else []
    notes = [f"{Path(rows.source).name}: {note}" for note in (*made.notes, *said)]
    return replace(
        made, labels=made.labels.astype(types), notes=(*rows.notes, *notes), findings=(*rows.findings, *made.findings),
        label_columns=rows.label_columns,
    )  # fmt: skip


def _names_films(rows: VisitRows) -> bool:
    """Tell whether all of the first images hold several frames, none of which is named; brains (T1w) are no films."""
    if any(frame is not None for _, frame in _references(rows)):
        return False
    references = [path for path, _ in _references(rows) if path.name][:_LOOKED_AT]
    named = [parse(path) for path in references]
    if any(file is not None and "sub" in file.entities and file.suffix in CONTRASTS for file in named):
        return False
    try:
        return bool(references) and all(read_film_header(path).n_frames > 1 for path in references)
    except ImageError:
        return False


def _column(rows: VisitRows, names: Sequence[str]) -> str | None:
    return next((name for name in rows.labels if canonical(str(name)) in names), None)


def _counted_from(
    rows: VisitRows, columns: dict[str, str | None], headers: dict[int, Header], schema: TableSchema
) -> int:
    """Return what the first frame is called in columns ED and ES."""
    if schema.sequences.frames_from is not None:
        return schema.sequences.frames_from
    numbers = [(i, _frame(rows, i, name)) for name in columns.values() if name is not None for i in headers]
    if any(frame == 0 for _, frame in numbers):
        return 0
    if any(frame == headers[i].n_frames for i, frame in numbers):
        return 1
    ed = columns["ED"]
    return 0 if ed is None or not any(_frame(rows, i, ed) == 1 for i in headers) else 1


def _frame(rows: VisitRows, row: int, column: str) -> int | None:
    value = rows.labels[column].iloc[row]
    if pd.isna(value):
        return None
    try:
        number = float(value)
    except ValueError:
        number = 0.5
    if number != int(number):
        raise CohortError(f"{rows.where(row)}, column {column}: expected the number of a frame, found {value!r}")
    return int(number)


def _film(
    rows: VisitRows,
    row: int,
    header: Header,
    columns: dict[str, str | None],
    first: int,
    labels: pd.DataFrame,
    rr: float,
) -> Film:
    subject, where = str(rows.subjects[row]), rows.where(row)
    ed, es = (None if (name := columns[key]) is None else _frame(rows, row, name) for key in ("ED", "ES"))
    check_phases(ed, es, header.n_frames, where=where, first=first)
    frames = range(header.n_frames)
    files = {}
    for role, paths in rows.files.items():
        if role == "volume" or not paths[row]:
            continue
        if role == "transform" or (role == "mask" and read_film_header(paths[row], where=subject).n_frames == 1):
            files[role] = [str(paths[row])] * header.n_frames
            continue
        same_frames(header, str(paths[row]), where=subject, several=True)
        files[role] = [f"{paths[row]}#{k}" for k in frames]
    return Film(
        subject=subject,
        told_by=where,
        volume=[f"{rows.files['volume'][row]}#{k}" for k in frames],
        frames=frames,
        n_frames=header.n_frames,
        ed=None if ed is None else ed - first,
        es=None if es is None else es - first,
        header=header,
        files=files,
        labels={str(name): None if pd.isna(value) else value for name, value in labels.iloc[row].items()},
        rr=rr,
    )


def _of_frames(rows: VisitRows) -> VisitRows:
    """Give frames without a time their part of the film."""
    references = _references(rows)
    if rows.time_kind or not references or any(path.name and frame is None for path, frame in references):
        return rows
    if rows.visits is not None and not all(_FRAME.fullmatch(str(name)) for name in rows.visits):
        return rows
    if not any(frame is not None for _, frame in references):
        return rows
    lengths: dict[Path, int] = {}
    time = np.full(len(rows), np.nan)
    for i, (path, frame) in enumerate(references):
        if frame is not None:
            if path not in lengths:
                lengths[path] = read_film_header(path, where=str(rows.subjects[i])).n_frames
            time[i] = frame / lengths[path]
    if max(lengths.values()) < 2:
        return rows
    note = (
        "no column tells when frames were: times are the number of the frame over the number of frames, in parts of "
        "the beat, which is a circle"
    )
    note = f"{Path(rows.source).name}: {note}"
    return replace(rows, time=time, time_kind="years", time_unit=CYCLE).telling([note])


def _beats(rows: VisitRows, schema: TableSchema) -> FloatArray:
    """Return milliseconds from beat to beat of each row, NaN where unknown."""
    name = schema.sequences.rr
    if name is not None and name not in rows.labels:
        raise SchemaError(f"sequences.rr: {rows.source} has no column {name} of numbers; it has {some(rows.labels)}")
    name = name or _column(rows, _RR)
    if name is None or not pd.api.types.is_numeric_dtype(rows.labels[name]):
        return np.full(len(rows), np.nan)
    values = rows.labels[name].to_numpy(float, na_value=np.nan)
    if canonical(name) in _RATES:
        return 60000 / np.where(values > 0, values, np.nan)
    known = values[~np.isnan(values)]
    beats: FloatArray = values * (1000.0 if len(known) and np.median(known) < _SECONDS else 1.0)
    return beats


def _in_beats(rows: VisitRows, schema: TableSchema) -> VisitRows:
    """Make parts of the beat of milliseconds, where its length is known."""
    if rows.time_unit != "ms" or schema.sequences.time != CYCLE:
        return rows
    rr = _beats(rows, schema)
    if np.isnan(rr[~np.isnan(rows.time)]).any():
        return rows
    late = np.flatnonzero(rows.time >= rr)
    if len(late):
        i = int(late[0])
        raise CohortError(
            f"{rows.where(i)}, column {rows.time_column}: {rows.time[i]:g} ms of subject {rows.subjects[i]} is not "
            f"within a beat of {rr[i]:g} ms; correct one of them"
        )
    note = f"{Path(rows.source).name}: times in milliseconds are divided by the length of the beat"
    return replace(rows, time=rows.time / rr, time_unit=CYCLE).telling([note])


def _without_used(rows: VisitRows, schema: TableSchema) -> VisitRows:
    """Leave out what was read only to place frames, where the schema names the labels there are."""
    if schema.labels is None:
        return rows
    used = [name for name in rows.labels if is_of_film(str(name), schema) and name not in {PHASE, *schema.labels}]
    return replace(rows, labels=rows.labels.drop(columns=used))


def _with_regions(rows: VisitRows, schema: TableSchema) -> VisitRows:
    """Take over what values of label maps mean: from the schema, else from a table beside the maps."""
    if schema.sequences.regions:
        return replace(rows, regions=dict(schema.sequences.regions))
    paths = [path for path in rows.files.get("segmentation", ()) if path]
    if rows.regions or not paths or rows.time_unit not in (CYCLE, "ms", "frames"):
        return rows
    found, table = regions_beside(split_frame(paths[0])[0].parent)
    if table is None:
        return rows
    told = ", ".join(f"{value} = {name}" for name, value in found.items())
    return replace(rows, regions=found).telling([f"{Path(rows.source).name}: label maps, by {table.name}: {told}"])


def _phased(rows: VisitRows) -> VisitRows:
    """Take visits called ED and ES for these phases."""
    if rows.visits is None:
        return rows
    names = pd.Series(rows.visits, dtype="str").str.removeprefix("ses-").str.upper()
    phase = names.where(names.isin(["ED", "ES"])).astype("str")
    if not set(names) <= {"ED", "ES"}:
        return rows
    if PHASE not in rows.labels:
        rows = replace(rows, labels=rows.labels.assign(**{PHASE: phase.to_numpy()}))
    if rows.time_kind:
        return rows
    time = np.where(names == "ED", 0.0, np.nan)
    what = "visits are end-diastole and end-systole of one beat: ED is at 0, nothing tells when ES is"
    rows = replace(rows, time=time, time_kind="years", time_unit=CYCLE).telling([f"{Path(rows.source).name}: {what}"])
    subject, _ = pd.factorize(pd.Series(rows.subjects), sort=False)
    order = np.lexsort((names.to_numpy(), subject))
    return rows.take(order)


def _checked(rows: VisitRows) -> VisitRows:
    """Make time a circle where it is in parts of the beat, and refuse what is no such part."""
    if rows.time_unit != CYCLE:
        return rows
    wrong = np.flatnonzero((rows.time < 0) | (rows.time > 1))
    if len(wrong):
        i = int(wrong[0])
        raise CohortError(
            f"{rows.where(i)}, column {rows.time_column}: {rows.time[i]:g} of subject {rows.subjects[i]} is no part of "
            'a beat, 0 to 1; correct it, or give its unit in a schema: time = { column = "'
            f'{rows.time_column}", unit = "ms" }}'
        )
    frame = pd.DataFrame({"subject": rows.subjects, "time": np.round(rows.time % 1.0, 9)})
    twice = np.flatnonzero(frame.duplicated() & frame["time"].notna())
    if len(twice):
        i = int(twice[0])
        j = int(np.flatnonzero((frame == frame.iloc[i]).all(axis=1))[0])
        raise CohortError(
            f"{rows.where(i)}: subject {rows.subjects[i]} has two frames at {rows.time[j]:g} and {rows.time[i]:g} of "
            "the beat, which is the same moment; correct a time, or leave one out"
        )
    return replace(rows, period=1.0, time=rows.time % 1.0)

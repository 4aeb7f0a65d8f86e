"""Write what was imputed: the user's own table completed, and all draws in long form."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nextscan.atomic import atomic_path
from nextscan.cohort.imputation import Imputation, Method
from nextscan.cohort.known import Known
from nextscan.errors import NextscanWarning
from nextscan.reading.read import Model, find_dictionary, find_schema, known_of, read_rows, source_of

if TYPE_CHECKING:
    from pandas import DataFrame

    from nextscan.cohort.cohort import Cohort
    from nextscan.reading.columns.visits import VisitRows
    from nextscan.reading.formats.tables import Table
    from nextscan.reading.layouts.layout import Layout, VisitsLayout, WideLayout


def complete_table(
    path: str | Path | DataFrame,
    imputation: Imputation | Iterable[Imputation],
    out: str | Path,
    *,
    schema: str | Path | None = None,
    dictionary: str | Path | None = None,
    participants: str | Path | None = None,
    like: Model | Known | None = None,
    level: float | None = 0.9,
    annual: bool = True,
    interval: Method = "draws",
    by: str | None = None,
) -> Path:
    """Write the user's own table with the imputed visits in it.

    The layout stays: columns, their order, and every observed cell (in text files to the letter, in
    Parquet with its type). What is new:

    - Imputed features, as predictive means. In a long table a request is filled in, and any other
      imputed visit is a new row after the subject's last. In a wide UK-Biobank export the cells of the
      visit's instance are filled, and columns an export lacks are made; so it is with tables whose columns
      come in pairs (``hippocampus_t1``, ``hippocampus_t2``). FreeSurfer tables become one
      long table, as they have no rows for visits. Imputed numbers are written with seven digits in text
      files, and rounded in Parquet columns of whole numbers.
    - ``imputed`` (true or false) marks the rows that hold an imputed visit, ``imputed_visit`` names it
      as `Imputation.targets` does (several, in a wide table, are separated by semicolons).
    - ``unlike_training`` (true or false) marks the imputed rows whose context visit lies farther out than
      99 % of those in training (`Imputation.unlike_training`). There is no such column with
      fewer than 10 pairs to compare with.
    - Behind all of these, for each feature column, ``<column>__low`` and ``<column>__high``, the ends of
      its interval, and ``<column>__annual_percent``, the mean change per year in percent of the visit
      before: a prediction that shrinks towards the average, not a measured rate. They are empty where
      nothing was imputed. For hundreds of features these columns are the
      bulk of the table: ``level=None`` leaves them out, and Parquet stores them well.

    For statistics see `write_draws`: a mean is smoother than any measured visit.

    Parameters
    ----------
    path : path or DataFrame
        The table (or FreeSurfer folder) that was read with `read_cohort`.
    imputation : Imputation or iterable of Imputation
        In chunks of any size and order; a chunk is let go of before the next is asked for.
    out : path
        ``.csv``, ``.tsv`` or ``.parquet``. It appears whole or not at all.
    schema, dictionary, participants, like : optional
        As given to `read_cohort`.
    level : float or None
        Of the intervals.
    annual : bool
        False leaves yearly change empty: right for a method that does not use time, whose prediction
        is the same at every time.
    interval : "draws" or "conformal"
        How intervals are made, see `Imputation.interval`.
    by : str, optional
        A label: conformal intervals keep their level in each of its groups.

    Returns
    -------
    Path
        Of the table written.

    Raises
    ------
    OutputError
        If the table cannot be written.
    SettingError
        If there are too few draws (or held-out subjects) for the level, or `out` has another suffix.
    CohortError
        If the imputation does not belong to the table, or the table is a completed one.
    """
    from nextscan.reading.formats.numbers import PLAIN
    from nextscan.reading.layouts.layout import VisitsLayout, WideLayout
    from nextscan.writing.completing import Completion, place_long, place_visits, place_wide
    from nextscan.writing.sinks import is_parquet, table_sink
    from nextscan.writing.summaries import summarise

    out = Path(out)
    as_text = not is_parquet(out)
    cohort, rows, layout = _read_again(source_of(path), schema, dictionary, participants, known_of(like))
    with (
        atomic_path(out) as beside,
        summarise(
            _chunks(imputation), beside.parent, level=level, annual=annual, interval=interval, by=by
        ) as summaries,
    ):
        if isinstance(layout, WideLayout):
            slots = place_wide(layout, cohort, rows, summaries)
        elif isinstance(layout, VisitsLayout):
            slots = place_visits(layout, cohort, rows, summaries)
        else:
            slots = place_long(layout, cohort, rows, summaries)
        del cohort, rows
        forms = layout.table.forms
        completion = Completion(slots, summaries, layout.table.columns, as_text=as_text, forms=forms)
        plain = {name for name in layout.feature_columns if forms[name] == PLAIN}
        with table_sink(beside, delimiter=layout.table.delimiter, plain=plain) as write:
            for completed in completion.batches(_batches(layout, as_text=as_text)):
                write(completed)
    return out


def write_draws(imputation: Imputation | Iterable[Imputation], out: str | Path) -> Path:
    """Write all draws in long form, the form statistics with multiple imputation need.

    Columns: subject, visit, years (since the first visit), draw (from 1), and the features; one row per
    target and draw. Analyse each draw as if it were data, not the mean of draws, then pool estimates and
    variances with Rubin's rules.

    Draws are conditional on one fitted model: pooling over them carries the uncertainty about each person,
    not that of the model. With few pairs and many imputed people the pooled standard error of a group mean
    is far too small; for group statistics repeat fit and impute on bootstrap samples of the paired
    subjects, too, and pool over all. Variables of the analysis that were no labels in the fit have their
    effects diluted.

    Parameters
    ----------
    imputation : Imputation or iterable of Imputation
        In chunks of any size; a chunk is let go of before the next is asked for.
    out : path
        ``.csv``, ``.tsv`` or ``.parquet``. It appears whole or not at all.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    for _ in saving_draws(imputation, out):
        pass
    return Path(out)


def saving_draws(imputation: Imputation | Iterable[Imputation], out: str | Path) -> Iterator[Imputation]:
    """Pass chunks on while their draws are written as `write_draws` does.

    The file appears when the last chunk has been passed on; it never appears if that does not happen.
    """
    from nextscan.writing.sinks import table_sink

    out = Path(out)
    with atomic_path(out) as beside, table_sink(beside) as write:
        for chunk in _chunks(imputation):
            for number, values in enumerate(chunk.draws, 1):
                write(_draw_table(chunk, number, values))
            yield chunk


def _chunks(imputation: Imputation | Iterable[Imputation]) -> Iterable[Imputation]:
    return [imputation] if isinstance(imputation, Imputation) else imputation


def _draw_table(chunk: Imputation, number: int, values: NDArray[np.floating]) -> Any:
    import pyarrow as pa

    targets = chunk.requested
    head = {
        "subject": pa.array(targets.subject),
        "visit": pa.array(targets.visit),
        "years": pa.array(targets.years, from_pandas=True),
        "draw": pa.array(np.full(len(targets), number)),
    }
    features = {name: pa.array(np.ascontiguousarray(values[:, i])) for i, name in enumerate(chunk.feature_names)}
    return pa.table(head | features)


def _read_again(
    source: Path | Table,
    schema: str | Path | None,
    dictionary: str | Path | None,
    participants: str | Path | None,
    known: Known | None,
) -> tuple[Cohort, VisitRows, Layout | WideLayout | VisitsLayout]:
    """Read the table once more, to know which row is which visit."""
    from nextscan.reading.assemble import assemble
    from nextscan.reading.repeats import without_repeats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NextscanWarning)  # `read_cohort` has told the user already
        path = source if isinstance(source, Path) else source.path
        rules, fields = find_schema(path, schema, known), find_dictionary(dictionary, known)
        rows, layout = read_rows(source, rules, dictionary=fields, participants=participants, like=known)
        cohort, rows = assemble(without_repeats(rows), path.stem)
    if layout is None:
        rows = replace(rows, rows=np.arange(len(rows)))
        layout = _as_long(cohort)
    return cohort, rows, layout


def _as_long(cohort: Cohort) -> Layout:
    """Lay out scans of FreeSurfer tables as a long table with the names of BIDS."""
    import pyarrow as pa

    from nextscan.reading.formats.tables import Table
    from nextscan.reading.layouts.layout import Layout

    frame = cohort.to_frame().drop(columns="years")
    frame = frame.rename(columns={"subject": "participant_id", "visit": "session_id"})
    features = {name: name for name in cohort.feature_names}
    labels = {name: name for name in cohort.labels}
    held = pa.Table.from_pandas(frame, preserve_index=False)
    table = Table(Path(cohort.source), tuple(held.column_names), "", held=held)
    return Layout(table, "participant_id", "session_id", features=features, labels=labels)


def _batches(layout: Layout | WideLayout | VisitsLayout, *, as_text: bool) -> Iterator[Any]:
    """Yield the table's batches; a text table that becomes Parquet gets numbers where it has only numbers."""
    import pyarrow as pa

    from nextscan.reading.formats.tables import numbers_or_missing

    if as_text or not layout.table.delimiter:
        yield from layout.table.batches(verbatim=as_text)
        return
    numbers = layout.feature_columns | _number_columns(layout)
    for batch in layout.table.batches():
        columns = {
            name: pa.array(numbers_or_missing(cells), from_pandas=True) if name in numbers else cells
            for name, cells in zip(batch.schema.names, batch.columns, strict=True)
        }
        yield pa.RecordBatch.from_pydict(columns)


def _number_columns(layout: Layout | WideLayout | VisitsLayout) -> set[str]:
    """Return the columns of numbers besides features, names of subjects and of visits."""
    from nextscan.reading.formats.tables import to_numbers

    names = {layout.subject, getattr(layout, "visit", None)}
    numbers = {name for name in layout.table.columns if name not in layout.feature_columns and name not in names}
    for batch in layout.table.batches():
        numbers -= {name for name in numbers if to_numbers(batch.column(name)) is None}
    return numbers

"""Read cohorts from the tables people have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nextscan.cohort.cohort import Cohort
from nextscan.cohort.known import Known, Names
from nextscan.errors import CohortError, SettingError, some

if TYPE_CHECKING:
    from pandas import DataFrame

    from nextscan.reading.columns.visits import VisitRows
    from nextscan.reading.formats.tables import Table
    from nextscan.reading.layouts.layout import Layout, VisitsLayout, WideLayout
    from nextscan.reading.layouts.ukb.fields import Dictionary
    from nextscan.reading.schema import Schema


_OF_FILES = {"delimiter", "encoding", "decimal", "thousands", "sheet", "wide"}
"""Keys of a schema that tell of one file, not of the measures in it: a model does not remember them."""


class Model(Protocol):
    """A fitted imputer, as far as reading is concerned."""

    @property
    def known(self) -> Known:
        """Its names."""


def read_cohort(
    path: str | Path | DataFrame,
    schema: str | Path | None = None,
    *,
    unpaired: str | Path | DataFrame | Sequence[str | Path | DataFrame] = (),
    exclude: str | Sequence[str] = (),
    dictionary: str | Path | None = None,
    participants: str | Path | None = None,
    suffix: str | None = None,
    allow: str | Sequence[str] = (),
    like: Model | Known | None = None,
) -> Cohort:
    """Read a cohort; `Cohort.notes` tells how the tables were understood.

    Parameters
    ----------
    path : path or DataFrame
        A long table (one row per subject and visit), a table with one row per subject whose columns come in
        pairs (``hippocampus_t1``, ``hippocampus_t2``), a wide UK-Biobank export, a
        FreeSurfer group table, a folder of FreeSurfer group tables, a long table with columns of image paths
        (``volume``, ``transform``, ``mask``, ``segmentation``, ``noise_free``; relative ones start from the table's
        folder), a BIDS folder (see `nextscan.reading.layouts.bids.folder.read_bids`), or a folder of films of hearts
        (ACDC, M&Ms, M&Ms-2, or one 4-D file a subject; see `nextscan.reading.layouts.cine.folder.read_cine`). A column
        ``volume`` may name films, whose frames become visits, or frames of films as in ``heart.nii.gz#3``. Tables are
        CSV, TSV (also with gzip), Parquet, Excel workbooks, or a DataFrame of pandas (or an Arrow table, or what gives
        itself as one, as polars does); its source is called ``DataFrame``.
    schema : path, optional
        TOML file that says what columns mean (see `nextscan.reading.schema.Schema`). Without it, a file
        named as the table (or BIDS folder) with suffix ``.toml`` beside it is used if there is one; what no
        schema tells is inferred from names and values.
    unpaired : path or DataFrame, or sequence of them
        Cross-sectional tables, or BIDS folders, to add; only features that all tables have are kept.
    exclude : str or sequence of str
        Features to leave out: names, globs (``*_mean``) or regular expressions between slashes.
    dictionary : path, optional
        UK-Biobank data dictionary (columns FieldID, Field, Units), which names the features.
    participants : path, optional
        Table of labels to join by subject. Without it, FreeSurfer tables and BIDS folders are joined with
        ``participants.tsv`` beside them or up to two folders above.
    suffix : str, optional
        Which images of a BIDS folder, where there are several kinds: ``"FLAIR"``, or with entities,
        ``"desc-preproc_T1w"``. The schema can say so, too.
    allow : str or sequence of str
        Codes of findings that are errors, such as ``"impossible-gap"``, to take as warnings: `fit` and `evaluate`
        refuse a cohort with errors. The schema can say so, too.
    like : fitted imputer, optional
        Read the table to be imputed by the names of this model: nothing but its features and labels is looked for,
        with the schema, the dictionary and the suffix that its training table was read with, unless others are given.

    Returns
    -------
    Cohort
        Features in native units. A row with subject and visit (or time) but neither feature nor volume is a
        request.
        Subjects without any observed visit are left out, with a warning.

    Raises
    ------
    CohortError
        If a table cannot be understood, or contradicts itself; the message names file, line and column.
    SchemaError
        If the schema is wrong or does not fit the table.

    Warns
    -----
    NextscanWarning
        If rows repeat others, labels are coded differently in several files, features were filled in
        upstream, and the like.

    Examples
    --------
    >>> import tempfile
    >>> table = Path(tempfile.mkdtemp()) / "study.csv"
    >>> _ = table.write_text("subject,age,sex,hippocampus\\nA,60,F,3800\\nA,62.5,F,3700\\nB,71,M,3500\\n")
    >>> cohort = read_cohort(table)
    >>> cohort.n_subjects, cohort.feature_names, cohort.years.tolist()
    (2, ('hippocampus',), [0.0, 2.5, 0.0])
    """
    from nextscan.reading.assemble import assemble
    from nextscan.reading.formats.frames import is_frame
    from nextscan.reading.joining import join_unpaired
    from nextscan.reading.layouts.bids import folder as bids
    from nextscan.reading.repeats import without_repeats

    source = source_of(path)
    path = source if isinstance(source, Path) else source.path
    names = known_of(like)
    rules, fields = find_schema(path, schema, names), find_dictionary(dictionary, names)
    if suffix is None and names is not None:
        suffix = names.reading.get("suffix")
    rows, _ = read_rows(source, rules, dictionary=fields, participants=participants, suffix=suffix, like=names)
    rows = without_repeats(_excluding(rows, [exclude] if isinstance(exclude, str) else exclude))
    pools = [unpaired] if isinstance(unpaired, str | Path) or is_frame(unpaired) else unpaired
    if len(pools):
        read = [read_rows(source_of(pool), rules, like=rows, dictionary=fields, suffix=suffix)[0] for pool in pools]
        rows = join_unpaired(rows, read)
    laws = [place / f"{bare_name(path)}.law.npz" for place in (path.parent, path.parent / "derivatives" / "truth")]
    known_law = bids.law_in(path) if path.is_dir() else next((str(law) for law in laws if law.is_file()), "")
    permitted = {*rules.allow, *([allow] if isinstance(allow, str) else allow)}
    cohort, _ = assemble(rows, rules.name or bare_name(path) or path.resolve().name, law=known_law, allow=permitted)
    reading = {
        "schema": rules.model_dump(mode="json", exclude_unset=True, exclude=_OF_FILES),
        "dictionary": fields.of(cohort.feature_names),
        "regions": dict(rows.regions),
        "suffix": suffix or (bids.only_suffix(cohort.files_of("volume").tolist()) if path.is_dir() else None),
    }
    return replace(cohort, reading={key: value for key, value in reading.items() if value})


def known_of(like: Model | Known | None) -> Known | None:
    """Return the names of a model that are looked for in a table."""
    known = like if like is None or isinstance(like, Known) else like.known
    return None if known is None else known.to_read


def source_of(path: str | Path | DataFrame) -> Path | Table:
    """Return the path of a table or folder, or the table that is in memory."""
    from nextscan.reading.formats.frames import frame_table, is_frame

    return frame_table(path) if is_frame(path) else Path(path)


def bare_name(path: Path) -> str:
    """Return the name of a file without its suffixes.

    >>> bare_name(Path("study.csv.gz")), bare_name(Path("study.v2.csv"))
    ('study', 'study.v2')
    """
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem


def read_rows(
    source: Path | Table,
    schema: Schema,
    *,
    dictionary: Dictionary,
    participants: str | Path | None = None,
    suffix: str | None = None,
    like: Names | None = None,
) -> tuple[VisitRows, Layout | WideLayout | VisitsLayout | None]:
    """Read one table or folder as rows of visits, with the layout of the table.

    The layout is None for FreeSurfer tables, which have no visits as rows of their own, and for BIDS folders.
    """
    from nextscan.reading.formats.opening import open_table
    from nextscan.reading.layouts import freesurfer, wide_visits
    from nextscan.reading.layouts.bids import folder as bids
    from nextscan.reading.layouts.cine import folder as cine
    from nextscan.reading.layouts.cine.table import as_sequences
    from nextscan.reading.layouts.long import read_long
    from nextscan.reading.layouts.pairs import find_pairs
    from nextscan.reading.layouts.ukb import export as ukb
    from nextscan.reading.layouts.ukb.columns import is_ukb
    from nextscan.reading.participants import join_participants, participants_near
    from nextscan.reading.people import one_name_each

    path = source if isinstance(source, Path) else source.path
    own = schema.of(path)
    layout: Layout | WideLayout | VisitsLayout | None = None
    in_file = isinstance(source, Path)
    if in_file and bids.is_bids(path) and not freesurfer.has_tables(path):
        people = None if participants is None else Path(participants)
        rows = bids.read_bids(path, schema, suffix=suffix, participants=people)
        return as_sequences(one_name_each(rows, own), own), None
    if suffix is not None and like is None and (not in_file or path.exists()):
        raise SettingError(f"{path}: suffix chooses among the images of a BIDS folder, which this is not; leave it out")
    if in_file and path.is_dir() and not freesurfer.has_tables(path) and cine.is_cine(path):
        people = None if participants is None else Path(participants)
        return one_name_each(cine.read_cine(path, schema, participants=people), own), None
    if not isinstance(source, Path):
        tables = [replace(source, decimal=own.decimal, thousands=own.thousands)]
    else:
        tables = freesurfer.tables_in(path, schema) if path.is_dir() else [open_table(path, own)]
    if freesurfer.is_freesurfer(tables[0]):
        rows = freesurfer.read_freesurfer(path, tables, own, schema_path=schema.path, strict=like is None)
        participants = participants or (participants_near(path) if in_file else None)
    elif own.subject is None and is_ukb(tables[0].own_columns):
        rows, layout = ukb.read_ukb(tables[0], own, dictionary, schema_path=schema.path, like=like)
    elif (pairs := find_pairs(tables[0], own, schema_path=schema.path, like=like)) is not None:
        rows, layout = wide_visits.read_pairs(tables[0], pairs, own, schema_path=schema.path, like=like)
    else:
        rows, layout = read_long(tables[0], own, schema_path=schema.path, like=like)
        rows = rows.telling(findings=wide_visits.possible_visits(tables[0], own))
    rows = _with_forms(rows, tables if layout is None else [layout.table], layout)
    rows = as_sequences(one_name_each(rows, own), own)
    if participants is not None:
        rows = join_participants(rows, Path(participants), schema.of(Path(participants)), schema_path=schema.path)
    return rows, layout


def _with_forms(
    rows: VisitRows, tables: Sequence[Table], layout: Layout | WideLayout | VisitsLayout | None
) -> VisitRows:
    """Tell how files and numbers in them were understood, and take over units that cells name."""
    from nextscan.reading.layouts.layout import Layout

    notes = [f"{table.path.name}: {note}" for table in tables for note in (*table.notes, *table.forms.notes)]
    if isinstance(layout, Layout):
        units = {name: layout.table.forms[column].unit for name, column in layout.features.items()}
        rows = replace(rows, units={name: unit for name, unit in units.items() if unit} | dict(rows.units))
    return rows.telling(notes, [finding for table in tables for finding in table.findings])


def find_dictionary(path: str | Path | None, known: Known | None = None) -> Dictionary:
    """Return the given dictionary, else what the model remembers of its own, else an empty one."""
    from nextscan.reading.layouts.ukb.fields import Dictionary, read_dictionary

    if path is not None:
        return read_dictionary(Path(path))
    remembered = {} if known is None else known.reading.get("dictionary", {})
    return Dictionary(*({int(k): v for k, v in remembered.get(part, {}).items()} for part in ("titles", "units")))


def find_schema(path: Path, schema: str | Path | None, known: Known | None = None) -> Schema:
    """Return the given schema, else the one beside the table, else the one the model remembers, else an empty one."""
    from nextscan.reading.layouts.bids.folder import is_bids
    from nextscan.reading.layouts.cine.folder import is_cine
    from nextscan.reading.schema import Schema, read_schema

    beside = path.with_name(f"{bare_name(path)}.toml") if path.is_file() else Path(f"{path}.toml")
    if schema is not None:
        return read_schema(schema)
    if beside.is_file() and (path.is_file() or is_bids(path) or is_cine(path)):
        return read_schema(beside)
    remembered = Schema() if known is None else Schema.model_validate(known.reading.get("schema", {}))
    return remembered if known is None else remembered.called(f"the schema {known.source} was fitted with")


def _excluding(rows: VisitRows, exclude: Iterable[str]) -> VisitRows:
    """Leave features out; a pattern that fits none is an error."""
    from nextscan.reading.schema import matching

    gone = set(matching(exclude, rows.feature_names, f"{rows.source}, exclude", CohortError))
    if not gone:
        return rows
    stay = [name for name in rows.feature_names if name not in gone]
    if not stay:
        raise CohortError(f"{rows.source}, exclude: no feature is left")
    return rows.with_features(stay).telling([f"{Path(rows.source).name}: excluded features: {some(sorted(gone))}"])

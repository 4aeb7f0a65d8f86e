r"""The schema file: what the columns of a table mean, where names alone do not tell.

Every key may be absent; what is absent is inferred. A schema in TOML::

    name = "My study"
    subject = "ID"
    visit = "wave"
    missing = [-999, "unknown"]
    missing_in = { MoCA = [88] }
    scan_name = '(?P<subject>.+)_mr(?P<visit>\d+)'
    subject_names = "matched"            # 001 and 1 are one person; or "as written"
    wide = ["*_pre", "*_post"]           # one row per subject: how columns of each visit are called
    decimal = ","                        # numbers as 3,2; thousands = "." for 1.234,5
    encoding = "latin-1"                 # of a text table; delimiter = ";" too; sheet = "MRI" of a workbook
    features = ["lh_*", "rh_*", "/^Left-/"]
    exclude = ["*_qc"]

    [time]
    column = "exam_date"
    kind = "date"                        # or years, age, visit
    format = "%d/%m/%Y"

    [labels]
    site = {}
    sex = { column = "Gender", codes = { M = "male", F = "female" } }
    stroke = { column = "stroke_date", present = true }
    education = { kind = "number", missing = [-9] }

    [units]
    "*_thickness" = "mm"

    [images]
    suffix = "desc-preproc_FLAIR"        # of a BIDS folder
    volume = "flair_path"                # of a table

    [sequences]                          # of films: beating hearts
    whole = true                         # each file holds the whole beat, none stops before it ends
    regions = { LV = 3, MYO = 2, RV = 1 }

    [files."pool.csv".labels.sex]        # where another file of the cohort differs
    codes = { 1 = "male", 0 = "female" }
"""

from __future__ import annotations

import codecs
import difflib
import fnmatch
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
)

from nextscan.errors import NextscanError, SchemaError, some


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class TimeSchema(_Closed):
    """The column that tells when a visit was."""

    column: str
    """The column."""
    kind: Literal["years", "age", "date", "visit"] = "years"
    """Time since the first visit, age, a date, or only the number of the visit (then years are unknown)."""
    unit: str = "years"
    """Of `years` and `age`: years, months, weeks or days, which become years; any other unit is kept."""
    format: str | None = None
    """Of `date`, as in ``"%d/%m/%Y"``, or ``"%b-%y"`` for months as in ``Mar-12``; ``"excel"`` for days that Excel
    counts, ``"ISO8601"`` where each cell has a form of its own. The usual forms are recognised without it."""


class LabelSchema(_Closed):
    """A label of a subject or of a visit."""

    column: str | None = None
    """The label's own name if absent; in UK-Biobank exports a column or the number of a field."""
    codes: Mapping[str, str | float] | None = None
    """What each value of the column means; a value that is not listed is an error."""
    kind: Literal["category", "number"] | None = None
    """Whether the values are names of groups, whatever their digits, or amounts; inferred where it is not said."""
    missing: tuple[float | str, ...] = ()
    """Values that mean "missing" in this label, besides those of the whole table."""
    present: bool = False
    """1 where the column holds anything (such as the date of a diagnosis), else 0.

    In UK-Biobank exports a date after the first imaging visit gives 0.
    """


class ImagesSchema(_Closed):
    """Which images of a BIDS folder, or which columns of a table hold paths of images."""

    suffix: str | None = None
    """What the names of the images end in: ``FLAIR``, or with entities before it, ``acq-3d_desc-preproc_T1w``."""
    space: str | None = None
    """Of a BIDS folder: where transforms lead to (``to-``), if there are several."""
    volume: str | None = None
    """Of a table: the column with paths of the images."""
    transform: str | None = None
    """Of a table: the column with paths of ITK transforms to the subject's common space."""
    mask: str | None = None
    """Of a table: the column with paths of brain masks."""
    segmentation: str | None = None
    """Of a table: the column with paths of label maps."""
    noise_free: str | None = None
    """Of a table of simulated images: the column with paths of images without noise, for scores alone."""


class SequencesSchema(_Closed):
    """Films: what neither their files nor their tables tell."""

    time: Literal["cycle", "ms", "frames"] = "cycle"
    """What frames are timed in: the fraction of the beat, milliseconds since the first frame (with `frame_seconds`), or
    the number of the frame. Only the first is a circle."""
    frame_seconds: Annotated[float, Field(gt=0)] | None = None
    """Time from one frame to the next, of all films; what headers state is never taken."""
    rr: str | None = None
    """The column with the time from beat to beat in milliseconds: with `frame_seconds`, or times of frames in
    milliseconds, it places frames in the beat, also those of files that stop before it ends."""
    whole: bool | None = None
    """Whether each file holds the whole beat. Where it is not said, a film whose end-systole lies beyond 0.6 of the
    file is taken for one that stops before; then times in it are too late."""
    frames_from: Literal[0, 1] | None = None
    """Whether a table that gives the frames ED and ES counts them from 0 or from 1; inferred where it is not said."""
    regions: Mapping[str, int] = Field(default_factory=dict)
    """What values of label maps mean: LV is the left cavity, MYO its muscle, RV the right cavity."""


def _checked(pattern: str) -> str:
    if _is_expression(pattern):
        try:
            re.compile(pattern[1:-1])
        except re.error as problem:
            raise ValueError(f"{pattern} is not a regular expression: {problem}") from None
    return pattern


def _is_expression(pattern: str) -> bool:
    return len(pattern) > 2 and pattern[0] == pattern[-1] == "/"


Pattern = Annotated[str, AfterValidator(_checked)]
"""A name, a glob (``lh_*``) or a regular expression between slashes (``/^lh_.*thickness$/``)."""


def _with_subject(pattern: str | None) -> str | None:
    if pattern is not None:
        groups = re.compile(_checked(f"/{pattern}/")[1:-1]).groupindex
        if "subject" not in groups:
            raise ValueError(f"{pattern} has no group (?P<subject>...)")
    return pattern


def _one_sign(delimiter: str) -> str:
    sign = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " ", "bar": "|"}.get(delimiter, delimiter)
    if len(sign) != 1:
        raise ValueError('expected one character, as in ";", or tab')
    return sign


def _one_star(form: str) -> str:
    if form.count("*") != 1 or form == "*":
        raise ValueError('expected a name with one * for what is measured, as in "*_t1"')
    return form


def _known_encoding(encoding: str) -> str:
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(
            'no encoding has this name; there are "utf-8", "latin-1", "cp1252", "utf-16" and others'
        ) from None
    return encoding


def _labels_by_name(value: Any) -> Any:
    return {key: {} for key in value} if isinstance(value, list) else value


class TableSchema(_Closed):
    """What the columns of one table mean; what is absent is inferred."""

    subject: str | None = None
    """The column that names people."""
    visit: str | None = None
    """The column that names visits."""
    time: TimeSchema | None = None
    """When visits were."""
    labels: Annotated[Mapping[str, LabelSchema] | None, BeforeValidator(_labels_by_name)] = None
    """Replaces the labels that would be inferred."""
    features: tuple[Pattern, ...] | None = None
    """Replaces the features that would be inferred."""
    exclude: tuple[Pattern, ...] = ()
    """Columns to leave out."""
    units: Mapping[Pattern, str] = Field(default_factory=dict)
    """Unit by pattern of features; the first that fits counts."""
    missing: tuple[float | str, ...] = ()
    """Values that mean "missing", besides empty cells, NA and their kind."""
    missing_in: Mapping[str, tuple[float | str, ...]] = Field(default_factory=dict)
    """Values that mean "missing" in one column alone, besides those of the whole table: ``{ MoCA = [88] }``."""
    wide: tuple[Annotated[str, AfterValidator(_one_star)], ...] | None = None
    """Names of the columns of each visit in a table with one row per subject, in order; ``*`` stands for what is
    measured, as in ``["*_pre", "*_post"]``. Empty if the names that look like visits are none."""
    decimal: Literal[".", ","] | None = None
    """The decimal sign of numbers written as text."""
    thousands: Literal["", ",", ".", " ", "'"] | None = None
    """What stands between groups of three digits; empty if nothing does."""
    delimiter: Annotated[str, AfterValidator(_one_sign)] | None = None
    """Of a text table; ``tab`` for a tab."""
    encoding: Annotated[str, AfterValidator(_known_encoding)] | None = None
    """Of a text table, as in ``latin-1``."""
    sheet: str | None = None
    """Of an Excel workbook; the first with a table without it."""
    images: ImagesSchema = ImagesSchema()
    """Images and what belongs to them."""
    sequences: SequencesSchema = SequencesSchema()
    """Films: how frames are timed, and what label maps mean."""
    subject_prefix: str = ""
    """Put before subject names, to keep people of different studies apart."""
    subject_names: Literal["as written", "matched"] | None = None
    """Names equal but for padding, case or prefix (001 and 1, S02 and s02) are other people, or one."""
    scan_name: Annotated[str | None, AfterValidator(_with_subject)] = None
    """Regular expression for whole names of the subject column that hold the visit: groups `subject` and `visit`."""

    def within(self, columns: Collection[str]) -> TableSchema:
        """Return the schema without subject, visit and time columns that a table lacks: it may mean another table."""
        named = {"subject": self.subject, "visit": self.visit, "time": self.time.column if self.time else None}
        return self.model_copy(update={key: None for key, column in named.items() if column not in columns})


class Schema(TableSchema):
    """A schema file: one table, or several with what differs under ``[files."name"]``."""

    name: str | None = None
    """Of the cohort."""
    files: Mapping[str, TableSchema] = Field(default_factory=dict)
    """Keys are file names or globs."""
    allow: tuple[str, ...] = ()
    """Codes of findings that are errors, and are to be warnings: go on in spite of them."""
    _path: str = PrivateAttr("schema")

    @property
    def path(self) -> str:
        """The file, for messages."""
        return self._path

    def called(self, path: str) -> Schema:
        """Return the same schema, called otherwise in messages."""
        named = self.model_copy()
        named._path = path
        return named

    def of(self, table: Path) -> TableSchema:
        """Return what holds for one table: its own section replaces common keys, label by label and unit by unit."""
        common = {key: getattr(self, key) for key in TableSchema.model_fields}
        for pattern, section in self.files.items():
            if fnmatch.fnmatchcase(table.name, pattern):
                for key in section.model_fields_set:
                    own = getattr(section, key)
                    common[key] = {**(common[key] or {}), **own} if isinstance(own, Mapping) else own
        return TableSchema.model_construct(**common)


def read_schema(path: str | Path) -> Schema:
    """Read a schema from a TOML file.

    Raises
    ------
    SchemaError
        If the file is missing or no TOML, a key is unknown, or a value has the wrong form; the
        message names the file and the key, and the nearest key there is.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SchemaError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SchemaError(f"{path}: is not valid TOML: {error}") from None
    try:
        schema = Schema.model_validate(document)
    except ValidationError as error:
        raise SchemaError(f"{path}: {_first(error)}") from None
    schema._path = str(path)
    return schema


def _first(error: ValidationError) -> str:
    problems = error.errors()
    first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    where = [str(part) for part in first["loc"]]
    if first["type"] != "extra_forbidden":
        return f"{'.'.join(where)}: {first['msg']}, found {first['input']!r}"
    return f"unknown key {'.'.join(where)}; {_choices(_section(where), where[-1])}"


def _section(where: list[str]) -> type[BaseModel]:
    if where[0] == "files" and len(where) > 2:
        section = _section(where[2:])
        return TableSchema if section is Schema else section
    sections: dict[str, type[BaseModel]] = {
        "time": TimeSchema,
        "labels": LabelSchema,
        "images": ImagesSchema,
        "sequences": SequencesSchema,
    }
    return sections.get(where[0], Schema) if len(where) > 1 else Schema


def _choices(model: type[BaseModel], key: str) -> str:
    return f"{nearest(key, model.model_fields)}there are {', '.join(model.model_fields)}"


def nearest(name: str, names: Iterable[str]) -> str:
    """Return ``did you mean ...? `` with the most similar name, or nothing.

    >>> nearest("subjct", ["subject", "visit"])
    'did you mean subject? '
    """
    names = list(names)
    lower = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    return f"did you mean {lower[close[0]]}? " if close else ""


def no_column(where: str, table: Path, name: str, columns: Sequence[str]) -> SchemaError:
    """Return the error about a column that a schema names and a table lacks."""
    return SchemaError(f"{where}: {table} has no column {name}; {nearest(name, columns)}it has {some(columns)}")


def matching(patterns: Iterable[str], names: Iterable[str], where: str, error: type[NextscanError]) -> list[str]:
    """Return the names that fit any pattern, in their own order.

    Parameters
    ----------
    patterns : iterable of str
        See `fits`.
    names : iterable of str
    where : str
        The file and key, for errors.
    error : type of NextscanError

    Raises
    ------
    NextscanError
        If a pattern fits nothing.

    >>> matching(["lh_*", "/_area$/"], ["lh_a", "rh_area", "rh_b"], "demo", SchemaError)
    ['lh_a', 'rh_area']
    """
    names = list(names)
    chosen: set[str] = set()
    for pattern in patterns:
        found = {name for name in names if fits(pattern, name)}
        if not found:
            raise error(f"{where}: no column fits {pattern}; {nearest(pattern, names)}there are {some(names)}")
        chosen |= found
    return [name for name in names if name in chosen]


def fits(pattern: str, name: str) -> bool:
    """Tell whether a name fits a pattern: the name itself, a glob (``lh_*``), or a ``/regular expression/``.

    Raises
    ------
    SchemaError
        If the pattern is no regular expression though it stands between slashes.
    """
    if name == pattern:
        return True
    if _is_expression(pattern):
        try:
            return re.search(_checked(pattern)[1:-1], name) is not None
        except ValueError as problem:
            raise SchemaError(str(problem)) from None
    return fnmatch.fnmatchcase(name, pattern)

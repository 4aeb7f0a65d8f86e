"""Write docs/reading.md: every layout with an example that tests read, and every key of the schema, from its code."""

from __future__ import annotations

import inspect
import tomllib
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nextscan.reading import schema

HERE = Path(__file__).resolve().parent
HEAD = """# What nextscan reads

`nextscan describe TABLE` prints how a table was understood, and the order of its visits. What is inferred wrongly goes
into a schema: a TOML file named with `--schema`, or named as the table and beside it (`study.csv`, `study.toml`).
`nextscan describe TABLE --write-schema study.toml` writes what was inferred, to be corrected.

This page is written by `python docs/make_reading.py`; its examples are read by the tests.
"""


IMAGES = """## Images

**A BIDS folder**, raw or derivative. Images are `sub-*/[ses-*/]anat/*_<suffix>.nii[.gz]`; `--suffix desc-preproc_T1w`
(or `images.suffix`) chooses among several kinds. Masks, label maps and ITK transforms are found beside them and in
`derivatives`.

```
sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz
sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz
sub-01/sub-01_sessions.tsv                   session_id  age
participants.tsv, participants.json          labels; {"age": {"Units": "months"}}
```

- *Times* are those of `sessions.tsv` (age or `acq_time`); sessions without one take the `acq_time` of their own
  `scans.tsv`. Ages and dates of a person are joined by a session that has both, else by `date_of_birth` of
  `participants.tsv`. Units come from the JSON beside a table or above it (`participants.json`, `sessions.json`,
  `sub-01_sessions.json`), the nearest holds.
- *Ages that are no numbers*: `89+` is missing; a column of ranges such as `60-65` becomes the label `age_text`.
- *Names*: `ses-1` in a table is the folder `ses-01`, `sub-1` is `sub-01`.
- *fMRIPrep*: `to-fsnative` leads to no common space and is not taken; `from-orig` belongs to the raw image. `to-T1w` is
  taken where the T1w reference is that of all sessions (`sub-01/anat`), or where `images.space = "T1w"` says so.
- *ITK text transforms* act where ITK puts the image: by the qform where the sform code is 2 to 5 and there is a qform;
  with the corner at 0 where both codes are 0.

**A table of paths**: the column `volume`, and `transform`, `mask`, `segmentation` if there are such. `.nii`, `.nii.gz`,
`.mgz` and `.mgh` are read, and frames of 4-D files.

```
subject,visit,years,volume
s01,bl,0,s01_bl/mri/norm.mgz
s01,m12,1.02,s01_m12/mri/norm.mgz
```
"""


def examples() -> list[dict[str, Any]]:
    """Return the layouts: group, title, file, table, what is read of it, and options."""
    entries: list[dict[str, Any]] = tomllib.loads((HERE / "reading_examples.toml").read_text())["example"]
    return entries


def keys(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield each key of a part of the schema, its type in words, and what it says."""
    for name, field in model.model_fields.items():
        yield f"{before}{name}", _in_words(field.annotation), " ".join((field.description or "").split())


def _in_words(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Annotated:
        return _in_words(typing.get_args(hint)[0])
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(f"`{choice}`" for choice in typing.get_args(hint))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(_in_words(part) for part in typing.get_args(hint) if part is not type(None))
    names = {str: "text", float: "number", bool: "true or false", int: "whole number"}
    if hint in names:
        return names[hint]
    if typing.get_origin(hint) is tuple:
        return f"list of {_in_words(typing.get_args(hint)[0])}"
    return "section"


def page() -> str:
    """Return the page."""
    lines = [HEAD]
    group = ""
    for entry in examples():
        if entry["group"] != group:
            group = entry["group"]
            lines.append(f"## {group}\n")
        options = f", `{entry['options']}`" if "options" in entry else ""
        lines.append(f"**{entry['title']}** (`{entry['file']}`{options}). {entry['says']}\n")
        lines.append(f"```\n{entry['table'].rstrip()}\n```\n")
        if "schema" in entry:
            lines.append(f"with the schema\n\n```toml\n{entry['schema'].rstrip()}\n```\n")
    lines.append(IMAGES)
    lines.append("## The schema, key by key\n")
    parts = (
        ("", schema.Schema, 'name = "My study"'),
        ("time.", schema.TimeSchema, '[time]\ncolumn = "exam_date"\nkind = "date"\nformat = "%d/%m/%Y"'),
        ("labels.NAME.", schema.LabelSchema, '[labels.sex]\ncolumn = "Gender"\ncodes = { M = "male", F = "female" }'),
        ("images.", schema.ImagesSchema, '[images]\nsuffix = "desc-preproc_FLAIR"'),
        ("sequences.", schema.SequencesSchema, "[sequences]\nwhole = true\nregions = { LV = 3, MYO = 2, RV = 1 }"),
    )
    for before, model, example in parts:
        lines.append("| key | type | what it says |\n|---|---|---|")
        lines += [f"| `{key}` | {kind} | {_cell(text)} |" for key, kind, text in keys(model, before)]
        lines.append(f"\n```toml\n{example}\n```\n")
    document = inspect.cleandoc(schema.__doc__ or "")
    whole = document[document.index("::") + 2 :].strip("\n")
    lines.append(f"A whole one:\n\n```toml\n{inspect.cleandoc(whole)}\n```")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", "\\|")


if __name__ == "__main__":
    (HERE / "reading.md").write_text(page())

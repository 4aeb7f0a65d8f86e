"""What `describe` found: facts, findings and tables, as values, text or JSON."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from nextscan.cohort.findings import LEVELS, Finding
from nextscan.describing.part import Part
from nextscan.wording import capital, counted, percentage

WIDTH = 100
MOST_LINES = 58
_HEADINGS = {"error": ("error", "‼"), "warning": ("warning", "!"), "note": ("note", "·"), "info": ("remark", "·")}


@dataclass(frozen=True, eq=False)
class Description:
    """What was understood of a cohort, and what in it may mislead a study.

    Attributes
    ----------
    name, source : str
    notes : tuple of str
        How the reader understood the source.
    facts : mapping
        Counts and summaries by topic: ``subjects``, ``gap``, ``missing``, ``repeat``, ``pool``, ...
    findings : tuple of Finding
        Warnings first.
    tables : mapping of str to DataFrame
        ``features``, ``labels``, ``repeatability``, ``shift``, ... one row per feature, label or visit.
    plots : mapping
        Compact data of the figures that the tables do not hold.
    """

    name: str
    source: str
    notes: tuple[str, ...]
    facts: Mapping[str, Any]
    findings: tuple[Finding, ...]
    tables: Mapping[str, pd.DataFrame]
    plots: Mapping[str, Any]

    def of(self, code: str) -> tuple[Finding, ...]:
        """Return the findings of one kind."""
        return tuple(finding for finding in self.findings if finding.code == code)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values; numbers have six digits, missing ones are None."""
        return {
            "name": self.name,
            "source": self.source,
            "notes": list(self.notes),
            "facts": _plain(self.facts),
            "findings": [_plain(vars(finding)) for finding in self.findings],
            "tables": {
                name: {"columns": list(table), "rows": _plain(table.to_numpy(object))}
                for name, table in self.tables.items()
            },
            "plots": _plain(self.plots),
        }

    def __str__(self) -> str:
        return render(self)


def assemble(name: str, source: str, notes: Iterable[str], parts: Iterable[Part]) -> Description:
    """Put the parts together; findings are ordered by level, then as they came."""
    parts = list(parts)
    findings = [finding for part in parts for finding in part.findings]
    return Description(
        name=name,
        source=source,
        notes=tuple(notes),
        facts={key: value for part in parts for key, value in part.facts.items()},
        findings=tuple(sorted(findings, key=lambda finding: LEVELS.index(finding.level))),
        tables={key: table for part in parts for key, table in part.tables.items()},
        plots={key: value for part in parts for key, value in part.plots.items()},
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value if isinstance(value, (str, bool, int)) or value is None else str(value)


def render(description: Description) -> str:
    """Return the description as lines of at most 100 characters; of much, the most telling 58 lines."""
    facts = description.facts
    head = [description.name]
    files = ", ".join(PurePath(file).name for file in description.source.split(", "))
    if files and files != description.name:
        head += _wrapped(files, "", most=2)
    head.append("")
    for title, text in _facts(description):
        head += _wrapped(text, f"  {title:<11}", most=4 if title != "Doubtful" else None)
    blocks = [_findings(description, level) for level in LEVELS]
    understood = [line for note in description.notes for line in _wrapped(note, "  · ", most=3)]
    if understood:
        blocks.append(["", "How the table was understood", *understood])
    if not facts.get("missing") and "images" not in facts:
        blocks = blocks[:1]
    lines = head
    for block in blocks:
        room = MOST_LINES - len(lines)
        lines += block if len(block) <= room else _cut(block, room)
    return "\n".join(lines)


def _cut(block: list[str], room: int) -> list[str]:
    if room < 4:
        return []
    kept = block[: room - 1]
    left = sum(line.startswith(("  !", "  ·")) for line in block[room - 1 :])
    while kept and not block[len(kept)].startswith(("  !", "  ·")):
        kept.pop()  # drop the beginning of an item that does not fit
        left += block[len(kept)].startswith(("  !", "  ·"))
    return [*kept, f"  … and {left} more, in `findings` and on the page"]


def _findings(description: Description, level: str) -> list[str]:
    found = [f for f in description.findings if f.level == level and f.code != "doubtful-columns"]
    if not found:
        return ["", "No warnings."] if level == "warning" else []
    thing, sign = _HEADINGS[level]
    return ["", capital(counted(len(found), thing)), *(line for f in found for line in _item(f, sign))]


def _item(finding: Finding, sign: str) -> list[str]:
    return _wrapped(str(finding), f"  {sign} ", most=4)


def _wrapped(text: str, start: str, *, most: int | None) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        max_lines=most,
        placeholder=" …",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _facts(description: Description) -> Iterator[tuple[str, str]]:
    facts = description.facts
    subjects, visits, gap = facts["subjects"], facts["visits"], facts["gap"]
    paired = "all" if subjects["paired"] == subjects["all"] else f"{subjects['paired']:,}"
    followed = f"{paired} with a follow-up" if subjects["paired"] else "nobody with a follow-up"
    if facts.get("beats"):
        followed = f"{paired} with two moments of a beat or more"
    yield "Subjects", f"{subjects['all']:,}, {followed}"
    requests = f"; {counted(visits['requests'], 'request')} to impute" if visits["requests"] else ""
    yield "Visits", f"{visits['observed']:,} observed: {_per_subject(visits['per_subject'])}{requests}"
    if gap["known"]:
        unknown = f", unknown for {counted(gap['unknown'], 'pair')}" if gap["unknown"] else ""
        extent = f"{gap['minimum']:.2f} to {gap['maximum']:.2f}"
        yield "Gap", f"{gap['mean']:.2f} ± {gap['sd']:.2f} {gap['unit']} ({extent}){unknown}"
    elif gap["unknown"]:
        yield "Gap", "unknown for every pair of visits"
    if "images" in facts:
        yield from _images(description)
    if "films" in facts:
        yield from _films(facts["films"])
    if missing := facts.get("missing"):
        cells = (
            f"{percentage(missing['share'])} of cells missing, in {counted(missing['features'], 'feature')} "
            f"and {counted(missing['visits'], 'visit')}"
            if missing["cells"]
            else "no cell missing"
        )
        yield "Features", f"{facts['features']:,}; {cells}"
    table = description.tables["labels"].sort_values("of", ascending=False, kind="stable")
    if len(table):
        yield "Labels", "; ".join(_label(row, description.plots["labels"]) for _, row in table.iterrows())
    if doubtful := description.of("doubtful-columns"):
        yield "Doubtful", "; ".join(finding.text.partition(": doubtful columns: ")[2] for finding in doubtful)
    if repeat := facts.get("repeat"):
        yield (
            "Repeat",
            f"test–retest r {repeat['median_r']:.2f} (median feature; 5–95 %: {repeat['r_05']:.2f} to "
            f"{repeat['r_95']:.2f}); change has {repeat['median_change_sd']:.2f} of the sd between subjects",
        )
    if structure := facts.get("structure"):
        yield (
            "Structure",
            f"{structure['effective_dimensions']:.0f} effective dimensions; half of the variance in "
            f"{counted(structure['components_for_half'], 'component')}, 90 % in {structure['components_for_90']}",
        )
    if pool := facts.get("pool"):
        yield (
            "Pool",
            f"{counted(pool['subjects'], 'subject')} against {pool['paired']:,} paired: "
            f"AUC {pool['auc']:.2f}, median shift {pool['median_difference']:.2f} sd",
        )


def _images(description: Description, most: int = 3) -> Iterator[tuple[str, str]]:
    facts, grids = description.facts["images"], description.tables["grids"]
    beside = [f"{count} {role.replace('_', '-')}" for role, count in facts["roles"].items() if role != "volume"]
    broken = f"; {facts['unusable']} cannot be used" if facts["unusable"] else ""
    yield "Images", f"{facts['count']:,}{broken}" + (f"; with {', '.join(beside)} files" if beside else "")
    for _, grid in grids.head(most).iterrows():
        yield (
            "Grid",
            (
                f"{grid['shape']}, {grid['spacing']}, {grid['orientation']}, {grid['type']}, {grid['kind']}: "
                f"{counted(int(grid['images']), 'image')}"
            ),
        )
    if len(grids) > most:
        yield "", f"and {counted(len(grids) - most, 'more grid')}, on the page"
    if fit := facts["correlation"]:
        yield (
            "Alignment",
            f"correlation with the first visit {fit['median']:.2f} (median), {fit['lowest']:.2f} (lowest)",
        )


def _films(films: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    grid = [f"{extent(films['slices'], 0)} slices" + (f" of {extent(films['slice_mm'], 1)} mm" if films["slice_mm"] else
            "")] if films["slices"] else []  # fmt: skip
    grid += [f"pixels of {extent(films['pixel_mm'], 2)} mm"] if films["pixel_mm"] else []
    yield "Films", "; ".join([f"{films['count']:,} of {extent(films['frames'], 0)} frames", *grid])
    lacking = [f"{n:,} without {name}" for name, n in films["lacking"].items() if n and name != "maps"]
    es = (
        f"ES {extent(films['es'], 2)} after ED (median {films['es']['median']:.2f})"
        if films["es"]
        else "time of ES unknown"
    )
    yield "Phases", "; ".join([es, *lacking])
    if films["volumes"]:
        without = films["lacking"]["maps"]
        yield "Label maps", f"{films['maps']:,}" + (f"; {without:,} films without any" if without else "")
        yield "Volumes", "; ".join(_volumes(films))


def _volumes(films: Mapping[str, Any]) -> Iterator[str]:
    for name, phases in films["volumes"].items():
        at = {phase: of for phase, of in phases.items() if of and phase != "all"}
        told = [f"{of['median']:.3g} mL at {phase} ({extent(of, 0)})" for phase, of in at.items()]
        yield f"{name} {', '.join(told) or extent(phases['all'], 0) + ' mL'}"
    if ejection := films["ejection"]:
        yield f"ejection fraction {percentage(ejection['median'])} ({extent(ejection, 2)})"
    if ratio := films["muscle_ratio"]:
        yield f"muscle at ES over ED {ratio['median']:.2f} ({extent(ratio, 2)})"


def extent(of: Mapping[str, float], places: int) -> str:
    """Write lowest and highest, or the one value there is.

    >>> extent({"low": 10.0, "high": 12.0}, 0), extent({"low": 0.5, "high": 0.5}, 2)
    ('10 to 12', '0.50')
    """
    low, high = (f"{of[end]:.{places}f}" for end in ("low", "high"))
    return low if low == high else f"{low} to {high}"


def _per_subject(per_subject: Mapping[int, int]) -> str:
    if len(per_subject) <= 4:
        return ", ".join(f"{counted(count, 'subject')} with {n}" for n, count in per_subject.items())
    every = np.repeat(list(per_subject), list(per_subject.values()))
    return f"{every.min()} to {every.max()} per subject, median {np.median(every):g}"


def _label(row: pd.Series, distributions: Mapping[str, Any]) -> str:
    name = f"{row['label']}" + (" (per visit)" if row["of"] == "visit" else "")
    missing = f", {row['missing']:,} missing" if row["missing"] else ""
    if row["type"] == "number":
        extent = f"{row['minimum']:.4g} to {row['maximum']:.4g}"
        return f"{name} {row['mean']:.3g} ± {row['sd']:.2g} ({extent}){missing}".replace("-", "−")
    counts = dict(zip(distributions[row["label"]]["levels"], distributions[row["label"]]["counts"], strict=True))
    if counts.keys() == {"0", "1"}:
        return f"{name} {percentage(counts['1'] / sum(counts.values()))}{missing}"
    return f"{name}: {row['levels']}{missing}"

"""The page of a cohort description: findings first, then what the data look like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nextscan.atomic import write_text
from nextscan.report.description import films, images, sections
from nextscan.report.figures import description as figures
from nextscan.report.figures.style import to_svg
from nextscan.report.page import Block, Definitions, Fact, Facts, Fold, Notice, Picture, Prose, Section, render_page
from nextscan.report.people import Pseudonyms, about_people
from nextscan.wording import capital, count, number, percent

_OF_PEOPLE = ("ages", "films", "images", "outliers", "thumbnails", "volume_curves")
"""Tables and plots with values of single people."""
_LISTED = 400  # names of features or subjects written out under a finding


def write_description(
    description: Mapping[str, Any], path: str | Path, *, individuals: bool = False, names: Iterable[str] = ()
) -> Path:
    """Write the page of a cohort description.

    Parameters
    ----------
    description : mapping
        From `Description.to_dict`, or read back from JSON.
    path : path
        The HTML file; it loads nothing from anywhere.
    individuals : bool
        Show names and values of single people, too: images, ages, visits far out. Of a simulated cohort they are
        always shown.
    names : iterable of str
        Of all subjects, to be replaced by pseudonyms wherever they are mentioned.

    Returns
    -------
    Path

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    simulated = bool(description["facts"].get("simulated"))
    if not (individuals or simulated):
        description = without_people(description, names)
    about = about_people(individuals=individuals, simulated=simulated)
    write_text(path, description_page(description, about=about))
    return Path(path)


def without_people(description: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return a description without values of single people, and with pseudonyms for their names."""
    hide = Pseudonyms([*names, *(name for finding in description["findings"] for name in finding["subjects"])])
    findings = [
        {
            key: hide(value) if isinstance(value, str) else [] if key == "subjects" else value
            for key, value in finding.items()
        }
        for finding in description["findings"]
    ]
    return {
        **description,
        "findings": findings,
        "notes": [hide(note) for note in description["notes"]],
        "tables": {key: table for key, table in description["tables"].items() if key not in _OF_PEOPLE},
        "plots": {key: plot for key, plot in description["plots"].items() if key not in _OF_PEOPLE},
    }


def description_page(description: Mapping[str, Any], *, about: str = "") -> str:
    """Return the page as HTML, with a line about the people on it at its foot."""
    makers = (
        _findings,
        _visits,
        images.images,
        films.films,
        sections.labels,
        sections.missing,
        sections.repeatability,
        sections.pool,
        sections.structure,
        sections.features,
        _understood,
    )
    parts = [section for make in makers if (section := make(description))]
    source = description["source"]
    return render_page(
        description["name"],
        parts,
        kicker="Cohort description",
        summary=_summary(description),
        colophon=[*([f"Read from {source}."] if source else []), *([about] if about else [])],
    )


def _summary(description: Mapping[str, Any]) -> str:
    facts = description["facts"]
    subjects, gap = facts["subjects"], facts["gap"]
    followed = (
        f"{count(subjects['paired'])} of them with a follow-up" if subjects["paired"] else "none with a follow-up"
    )
    if facts.get("beats"):
        followed = f"{count(subjects['paired'])} of them with several moments of a beat"
    after = f" after {number(gap['mean'], 2)} ± {number(gap['sd'], 2)} {gap['unit']}" if gap["known"] else ""
    held = [f"{count(facts['images']['count'])} images"] if "images" in facts else []
    held += [f"{count(facts['features'])} features"] if facts["features"] or not held else []
    return f"{count(subjects['all'])} subjects, {followed}{after}; {', '.join(held)}."


def _findings(description: Mapping[str, Any]) -> Section:
    found = description["findings"]
    warnings = [finding for finding in found if finding["level"] in ("error", "warning")]
    others = [finding for finding in found if finding not in warnings]
    blocks: list[Block] = [Notice(_said(finding), "warning") for finding in warnings]
    if others:
        blocks.append(Definitions([(_title(finding), _said(finding)) for finding in others]))
    named = [entry for finding in found for entry in _names(finding)]
    if named:
        blocks.append(Fold("All features and subjects concerned", [Definitions(named)]))
    lead = {0: "Nothing that would distort a study was found.", 1: "One thing to act on before a study."}.get(
        len(warnings), f"{len(warnings)} things to act on before a study."
    )
    return Section("findings", "Findings", blocks, lead=lead)


def _names(finding: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List what a finding concerns where its text cannot."""
    entries = []
    for kind, what in (("columns", "features"), ("subjects", "subjects")):
        names = finding[kind]
        if len(names) > 2:
            rest = f" and {count(len(names) - _LISTED)} more" if len(names) > _LISTED else ""
            entries.append((f"{_title(finding)}: {count(len(names))} {what}", ", ".join(names[:_LISTED]) + rest))
    return entries


def _said(finding: Mapping[str, Any]) -> str:
    cure = f"; {finding['cure']}" if finding.get("cure") else ""
    wrong = "Nothing is learned from this cohort unless it is allowed: " if finding["level"] == "error" else ""
    return _sentence(f"{wrong}{finding['text']}{cure}")


def _title(finding: Mapping[str, Any]) -> str:
    return capital(finding["code"].replace("-", " "))


def _sentence(text: str) -> str:
    return capital(text) + ("" if text.endswith(("?", ".")) else ".")


def _visits(description: Mapping[str, Any]) -> Section:
    facts, plots = description["facts"], description["plots"]
    subjects, visits, gap = facts["subjects"], facts["visits"], facts["gap"]
    what = "images" if "images" in facts else "features"
    items = [
        Fact("Subjects", count(subjects["all"]), f"{count(visits['observed'])} visits with {what}"),
        Fact("With a follow-up", count(subjects["paired"])),
    ]
    if "images" in facts:
        items.append(Fact("Images", count(facts["images"]["count"]), f"{count(facts['images']['grids'])} grids"))
    if missing := facts.get("missing"):
        cells = percent(missing["share"], 2 if missing["share"] < 0.01 else 1) if missing["cells"] else "none"
        items += [Fact("Features", count(facts["features"])), Fact("Missing cells", cells)]
    if gap["known"]:
        spread = f"{number(gap['minimum'], 2)} to {number(gap['maximum'], 2)}"
        unknown = f"; unknown for {count(gap['unknown'])}" if gap["unknown"] else ""
        items.append(Fact(f"Mean gap, {gap['unit']}", number(gap["mean"], 2), spread + unknown))
    if visits["requests"]:
        items.append(Fact("Requests", count(visits["requests"]), f"visits without {what}, to impute"))
    figure = figures.visits_overview(visits["per_subject"], plots.get("gap"), plots.get("ages"), gap["unit"])
    few = " Ages: a line for each subject with two visits or more, a curve for the others." if plots.get("ages") else ""
    picture = Picture(
        to_svg(figure, "visits"),
        alt="Bars of subjects by number of visits, a histogram of gaps, and ages at the visits.",
        caption=f"Subjects by their number of visits with {what}, the time between consecutive visits, and ages." + few,
    )
    return Section("visits", "Subjects and visits", [Facts(items), picture])


def _understood(description: Mapping[str, Any]) -> Section | None:
    notes = description["notes"]
    return Section("understood", "How the table was understood", [Prose(notes)]) if notes else None

"""Sections of a cohort description: labels, missing values, repeatability, pool, structure, features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.report.figures import description as figures
from nextscan.report.figures.style import to_png, to_svg
from nextscan.report.page import Block, Cell, Column, Fact, Facts, Fold, Picture, Section, Table, number_cell
from nextscan.wording import capital, count, listed, number, percent


def columns_of(description: Mapping[str, Any], name: str) -> dict[str, list[Any]]:
    """Return a table of the description by column; empty lists where it has no rows."""
    table = description["tables"].get(name, {"columns": [], "rows": []})
    by_column = list(zip(*table["rows"], strict=True)) or [()] * len(table["columns"])
    return {column: list(values) for column, values in zip(table["columns"], by_column, strict=True)}


def _numbers(values: Sequence[Any]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values], float)


def labels(description: Mapping[str, Any]) -> Section | None:
    """Return the section on what labels hold."""
    labels = columns_of(description, "labels")
    if not labels.get("label"):
        return None
    columns = [
        Column("Label", numeric=False),
        Column("Belongs to", numeric=False),
        Column("Mean ± sd, or levels", numeric=False),
        Column("Range", numeric=False),
        Column("Missing", hint="subjects, or visits, without a value"),
    ]
    rows = []
    for i, name in enumerate(labels["label"]):
        is_number = labels["type"][i] == "number"
        mean, sd, low, high = (labels[key][i] for key in ("mean", "sd", "minimum", "maximum"))
        told = f"{_number(mean)} ± {_number(sd)}" if is_number else labels["levels"][i]
        extent = f"{_number(low)} to {_number(high)}" if is_number else ""
        gone = labels["missing"][i]
        rows.append([Cell(name), Cell(labels["of"][i]), Cell(told), Cell(extent), Cell(count(gone), gone)])
    shown = dict(list(description["plots"]["labels"].items())[:16])
    picture = Picture(
        to_svg(figures.label_grid(shown), "labels"),
        alt="Small histograms and bars of every label.",
        caption="Distribution of each label over subjects, or over visits where it belongs to a visit.",
    )
    return Section("labels", "Labels", [picture, Table("Labels", columns, rows)])


def _number(value: float | None) -> str:
    return "–" if value is None else number(float(value))


def missing(description: Mapping[str, Any]) -> Section | None:
    """Return the section on missing values, if there are any."""
    shares = description["plots"].get("missing_map")
    if shares is None:
        return None
    facts = description["facts"]
    missing = facts["missing"]
    picture = Picture(
        to_png(figures.missing_map(_matrix(shares), facts["visits"]["observed"], facts["features"])),
        alt="Map of missing cells, visits by features.",
        caption="Share of missing cells; darker is more. Vertical stripes are features that are often missing, "
        "horizontal ones visits.",
    )
    by_visit = columns_of(description, "missing_by_visit")
    parts = [
        f"{percent(share, 2)} at visit {order}"
        for order, share in zip(by_visit["visit"], by_visit["missing"], strict=True)
    ]
    lead = (
        f"{count(missing['cells'])} cells ({percent(missing['share'], 2)}), in {count(missing['features'])} features "
        f"and {count(missing['visits'])} visits; {', '.join(parts)}."
    )
    return Section("missing", "Missing values", [picture], lead=lead)


def _matrix(rows: Sequence[Sequence[float | None]]) -> FloatArray:
    return np.array([_numbers(row) for row in rows])


def repeatability(description: Mapping[str, Any]) -> Section | None:
    """Return the section on test–retest, if enough subjects have two visits."""
    table = columns_of(description, "repeatability")
    r = _numbers(table.get("r", []))
    known = np.flatnonzero(np.isfinite(r) & (_numbers(table.get("equal", [])) < 1))
    if not len(known):
        return None
    names = [table["feature"][i] for i in known]
    change_sd, change = (_numbers(table[key]) for key in ("change_sd", "change"))
    picture = Picture(
        to_svg(figures.repeatability_ranks(names, r[known], change_sd[known]), "repeatability"),
        alt="Features ranked by test–retest correlation; spread of change against it.",
        caption="Correlation of the first two visits across subjects, and the sd of the change over the sd between "
        "subjects. What lies above the dashed line spreads more at the second visit.",
    )
    columns = [
        Column("Feature", numeric=False),
        Column("r", hint="correlation of the first two visits across subjects"),
        Column("sd of change", hint="over the sd between subjects at the first visit"),
        Column("mean change", hint="in sd between subjects at the first visit"),
        Column("pairs"),
    ]
    rows = [
        [
            Cell(table["feature"][i]),
            *(number_cell(value, 2) for value in (r[i], change_sd[i], change[i])),
            Cell(count(table["pairs"][i]), table["pairs"][i]),
        ]
        for i in sorted(known, key=lambda i: r[i])
    ]
    repeat = description["facts"]["repeat"]
    lead = (
        f"A median feature correlates {number(repeat['median_r'], 2)} between visits; "
        f"its change spreads {number(repeat['median_change_sd'], 2)} of the sd between subjects. "
        "Features that hardly repeat leave little to predict."
    )
    whole = Table("Repeatability of features", columns, rows, filterable=True)
    blocks: list[Block] = [picture, Fold("All features, least repeatable first", [whole])]
    return Section("repeatability", "Repeatability", blocks, lead=lead)


def pool(description: Mapping[str, Any]) -> Section | None:
    """Return the section on how subjects without a follow-up differ from those with one."""
    selection = columns_of(description, "selection")
    table = columns_of(description, "shift")
    blocks: list[Block] = []
    lead = ""
    if table.get("feature"):
        fact = description["facts"]["pool"]
        adjusts = bool(fact["adjusted_for"])
        equal = f"at equal {listed(fact['adjusted_for'])}"
        difference, adjusted, ratio = (_numbers(table[key]) for key in ("difference", "adjusted", "variance_ratio"))
        blocks.append(
            Facts(
                [
                    Fact("Pool", count(fact["subjects"]), "subjects with one visit"),
                    Fact("Paired", count(fact["paired"]), "at their first visit"),
                    Fact("AUC", _number(fact["auc"]), "pool told from paired; 0.5: cannot be"),
                    Fact("Median shift, sd", _number(fact["median_difference"])),
                    *([Fact(capital(equal), _number(fact["median_adjusted"]))] if adjusts else []),
                ]
            )
        )
        known = np.flatnonzero(np.isfinite(difference))
        names = [table["feature"][i] for i in known]
        figure = figures.pool_shift(names, difference[known], adjusted[known], ratio[known], adjusted_label=equal)
        blocks.append(
            Picture(
                to_svg(figure, "pool"),
                alt="Largest differences between pool and paired cohort; variance ratio against difference.",
                caption="Pool minus paired cohort at the first visit."
                + f" What remains {equal} comes from scanner, software, site or selection." * adjusts,
            )
        )
        columns = [
            Column("Feature", numeric=False),
            Column("difference", hint="pool minus paired, in sd of the paired"),
            *([Column(equal)] if adjusts else []),
            Column("variance ratio", hint="pool over paired"),
        ]
        rows = [
            [
                Cell(table["feature"][i]),
                *(number_cell(v, 2) for v in (difference[i], *([adjusted[i]] if adjusts else []), ratio[i])),
            ]
            for i in sorted(known, key=lambda i: -abs(difference[i]))
        ]
        every = Table("Shift of the pool", columns, rows, filterable=True)
        blocks.append(Fold("All features, largest shift first", [every]))
        lead = (
            "Subjects without a follow-up can teach what brains look like, if theirs look like the cohort's. "
            "Whether they help is for held-out scores to say."
        )
    if selection.get("label"):
        blocks.append(_selection(selection))
    return Section("pool", "Those without a follow-up", blocks, lead=lead) if blocks else None


def _selection(table: Mapping[str, Sequence[Any]]) -> Table:
    columns = [
        Column("Label", numeric=False),
        Column("Group", numeric=False),
        Column("Paired", hint="mean"),
        Column("Others", hint="mean"),
        Column("Difference", hint="numbers: in sd of the paired; categories: total variation distance, 0 to 1"),
        Column("p"),
    ]
    rows = []
    for i, label in enumerate(table["label"]):
        paired, others, size, p = _numbers([table[key][i] for key in ("paired", "others", "difference", "p")])
        rows.append(
            [
                Cell(label),
                Cell(table["group"][i]),
                number_cell(paired),
                number_cell(others),
                number_cell(size, 2),
                Cell("< 0.001" if p < 0.001 else number(p, 3), p if np.isfinite(p) else None),
            ]
        )
    return Table("Labels of paired subjects and of others", columns, rows)


def structure(description: Mapping[str, Any]) -> Section | None:
    """Return the section on correlations and exact sums."""
    plot, facts = description["plots"].get("correlation"), description["facts"]
    if plot is None:
        return None
    figure = figures.feature_structure(_matrix(plot["matrix"]), _numbers(plot["explained"]), plot["features"])
    blocks: list[Block] = [
        Picture(
            to_svg(figure, "structure") if len(plot["matrix"]) < 100 else to_png(figure),
            alt="Matrix of correlations between features, and variance explained by components.",
            caption="Correlations over first visits, averaged over neighbouring features where there are many.",
        )
    ]
    if facts.get("sums"):
        columns = [Column("Feature", numeric=False), Column("is the sum of", numeric=False), Column("holds in")]
        rows = [
            [Cell(each["parent"]), Cell(_formula(each)), Cell(percent(each["holds"]), each["holds"])]
            for each in facts["sums"]
        ]
        blocks.append(Table("Exact sums", columns, rows))
    structure = facts["structure"]
    lead = (
        f"{count(plot['features'])} features that vary, about {number(structure['effective_dimensions'], 0)} effective "
        "dimensions (participation ratio of the eigenvalues)."
    )
    return Section("structure", "How features hang together", blocks, lead=lead)


def _formula(each: Mapping[str, Any]) -> str:
    terms = [
        ("− " if weight < 0 else "+ ") + ("" if abs(weight) == 1 else f"{abs(weight):g} × ") + part
        for part, weight in zip(each["parts"], each["weights"], strict=True)
    ]
    return " ".join(terms).removeprefix("+ ")


def features(description: Mapping[str, Any]) -> Section | None:
    """Return the section on every feature, and the visits far out; a cohort of images may have none."""
    table = columns_of(description, "features")
    if not table:
        return None
    keys = ("median", "sd", "minimum", "maximum", "distinct")
    columns = [
        Column("Feature", numeric=False),
        *([Column("unit", numeric=False)] if any(table["unit"]) else []),
        Column("missing"),
        *(Column(key) for key in keys[:-1]),
        Column("distinct values"),
    ]
    rows = []
    for i, name in enumerate(table["feature"]):
        values = [table[key][i] for key in keys]
        cells = [Cell(_number(value), value) for value in values[:-1]]
        gone = table["missing"][i]
        unit = [Cell(table["unit"][i])] if any(table["unit"]) else []
        many = Cell(count(values[-1]), values[-1])
        rows.append([Cell(name), *unit, Cell(count(gone), gone), *cells, many])
    blocks: list[Block] = [Table("Features", columns, rows, filterable=True)]
    outliers = columns_of(description, "outliers")
    if outliers.get("subject"):
        columns = [
            Column("Subject", numeric=False),
            Column("visit", numeric=False),
            Column("far out", hint="features beyond 5 robust sd"),
            Column("largest z", hint="robust, on the log scale where that is more even"),
            Column("in", numeric=False),
        ]
        rows = [
            [
                Cell(subject),
                Cell(str(outliers["visit"][i])),
                Cell(count(outliers["outlying"][i]), outliers["outlying"][i]),
                Cell(number(outliers["worst_z"][i], 1), outliers["worst_z"][i]),
                Cell(outliers["worst_feature"][i]),
            ]
            for i, subject in enumerate(outliers["subject"])
        ]
        blocks.append(Fold(f"Visits far out ({len(rows)} shown)", [Table("Visits far out", columns, rows)]))
    return Section("features", "Features", blocks)

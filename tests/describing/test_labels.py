from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from describing.describe_world import clean_cohort, with_visit_label
from nextscan.describing import describe


def only(description, code):
    (finding,) = description.of(code)
    return finding


def test_label_table():
    cohort = clean_cohort()
    cohort = replace(cohort, labels=cohort.labels.assign(score=np.r_[np.nan, np.arange(139.0)]))
    table = describe(cohort).tables["labels"].set_index("label")
    assert table.loc["sex", ["of", "type", "missing"]].tolist() == ["subject", "category", 0]
    counts = cohort.labels["sex"].value_counts()
    assert table.loc["sex", "levels"] == ", ".join(f"{level} ({count})" for level, count in counts.items())
    assert table.loc["score", ["of", "type", "missing", "mean"]].tolist() == ["subject", "number", 1, 69.0]
    assert table.loc["age", ["of", "type"]].tolist() == ["visit", "number"]


def test_sex_changing_between_visits():
    cohort = clean_cohort()
    sex = cohort.labels["sex"].to_numpy()[cohort.subject_of].copy()
    sex[7] = "F" if sex[7] == "M" else "M"
    moved = with_visit_label(replace(cohort, labels=pd.DataFrame(index=range(140))), "sex", sex)
    finding = only(describe(moved), "label-conflict")
    assert (finding.level, finding.columns, finding.subjects) == ("warning", ("sex",), ("sub-003",))


def test_scanner_change_between_visits():
    cohort = clean_cohort()
    scanner = np.where(cohort.visits == "2", np.where(cohort.subject_of < 20, "Prisma", "Trio"), "Trio")
    finding = only(describe(with_visit_label(cohort, "scanner_model", scanner)), "site-change")
    assert finding.level == "warning"
    assert len(finding.subjects) == 20
    assert "Trio → Prisma (20)" in finding.text
    assert "20 of 60 subjects" in finding.text


def test_diagnosis_change_is_only_told():
    cohort = clean_cohort()
    diagnosis = np.where((cohort.visits == "2") & (cohort.subject_of < 5), "dementia", "none")
    finding = only(describe(with_visit_label(cohort, "diagnosis", diagnosis)), "label-change")
    assert finding.level == "info"
    assert len(finding.subjects) == 5


@pytest.mark.parametrize(
    ("row", "change", "code"),
    [
        (7, -20.0, "age-decreases"),
        (7, 3.0, "age-against-time"),
        (130, 900.0, "age-range"),
        (130, -90.0, "age-range"),
    ],
)
def test_impossible_ages(row, change, code):
    cohort = clean_cohort()
    age = cohort.visit_labels["age"].to_numpy(copy=True)
    age[row] += change
    description = describe(with_visit_label(cohort, "age", age))
    finding = only(description, code)
    assert finding.level == "warning"
    assert finding.subjects == (str(cohort.subjects[cohort.subject_of[row]]),)


@pytest.mark.parametrize(("unit", "per_year"), [("months", 12), ("weeks", 365.25 / 7), ("days", 365.25)])
def test_ages_in_another_unit_than_time(unit, per_year):
    cohort = clean_cohort()
    age = cohort.visit_labels["age"].to_numpy() * per_year / 40
    age = age + cohort.years * per_year * (1 - 1 / 40)  # grows by per_year a year, between 1 and 2 units old
    description = describe(with_visit_label(cohort, "age", age))
    assert f"as if it were in {unit}" in only(description, "age-unit").text
    assert description.of("age-against-time") == ()


def test_whole_year_ages_may_be_a_year_off():
    cohort = clean_cohort()
    age = np.floor(cohort.visit_labels["age"].to_numpy())
    assert describe(with_visit_label(cohort, "age", age)).of("age-against-time") == ()


def test_mixed_codings_empty_labels_and_names():
    cohort = clean_cohort()
    mixed = np.where(np.arange(140) < 70, cohort.labels["sex"], "1")
    labels = cohort.labels.assign(
        sex=mixed,
        empty=np.full(140, np.nan),
        code=[f"x{i}" for i in range(140)],
        mood=[None] * 40 + ["a", "b"] * 50,
    )
    description = describe(replace(cohort, labels=labels))
    assert only(description, "label-coding").columns == ("sex",)
    assert only(description, "empty-label").columns == ("empty",)
    assert only(description, "label-identifier").columns == ("code",)
    assert "29 %" in only(description, "label-missing").text

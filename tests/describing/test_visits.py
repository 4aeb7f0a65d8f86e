from dataclasses import replace

import numpy as np
import pytest

from describing.describe_world import clean_cohort, with_column, with_values
from nextscan.describing import describe
from nextscan.reading import read_cohort


def only(description, code):
    (finding,) = description.of(code)
    return finding


def test_gaps_and_requests():
    cohort = clean_cohort()
    years = cohort.years.copy()
    years[1] = np.nan
    years[3] = 0.0
    values = cohort.features.copy()
    values[5] = np.nan
    description = describe(replace(cohort, years=years, features=values))
    gap = description.facts["gap"]
    known = np.delete(years[1:120:2], [0, 2])
    assert (gap["known"], gap["unknown"]) == (58, 1)
    assert gap["mean"] == pytest.approx(known.mean())
    assert gap["sd"] == pytest.approx(known.std(ddof=1))
    assert sum(description.plots["gap"]["counts"]) == 58
    assert description.facts["visits"]["requests"] == 1
    assert only(description, "requests").level == "info"
    assert only(description, "unknown-gaps").text.startswith("the gap is unknown for 1 of 59 pairs")
    assert only(description, "zero-gaps").text.startswith("1 pair of visits at the same time")


@pytest.mark.parametrize("gaps", [(137 / 12 - 112 / 12, 150 / 12 - 125 / 12), (1.0, 1.0 + 1e-15), (2.0,)])
def test_gaps_that_are_equal_but_for_rounding(gaps):
    cohort = clean_cohort()
    years = cohort.years.copy()
    years[1:120:2] = np.resize(gaps, 60)
    description = describe(replace(cohort, years=years))
    assert description.facts["gap"]["mean"] == pytest.approx(gaps[0])
    assert sum(description.plots["gap"]["counts"]) == 60


def test_months_of_a_plan_without_a_unit(tmp_path):
    table = tmp_path / "t.csv"
    for months, warned in (((0, 3, 6), True), ((0, 6, 12), True), ((0, 1, 2), False), ((0, 2, 5), False)):
        table.write_text("id,TIME,a\n" + "".join(f"s,{month},{month}.5\n" for month in months))
        assert ("time-unit" in {f.code for f in describe(read_cohort(table)).findings}) is warned


def test_subject_without_any_feature():
    cohort = with_values(clean_cohort(), lambda values: values.__setitem__(199, np.nan))
    assert only(describe(cohort), "no-features").subjects == ("sub-139",)


def test_copied_visit_within_a_subject():
    cohort = with_values(clean_cohort(), lambda values: values.__setitem__(11, values[10]))
    description = describe(cohort)
    assert only(description, "copied-visits").subjects == ("sub-005",)
    assert description.of("identical-subjects") == ()
    assert description.tables["repeatability"]["pairs"].max() == 59  # a copy says nothing about reliability


def test_same_scan_under_two_names_even_with_gaps():
    def plant(values):
        values[150, 4] = np.nan
        values[199] = values[150]

    finding = only(describe(with_values(clean_cohort(), plant)), "identical-subjects")
    assert finding.subjects == ("sub-090", "sub-139")
    assert finding.text.startswith("1 pair of different subjects")


def test_signed_zero_is_the_same_value():
    cohort = with_column(clean_cohort(), "score", np.random.default_rng(0).normal(size=200).round(1))

    def plant(values):
        values[150] = values[199]
        values[150, -1], values[199, -1] = 0.0, -0.0

    assert only(describe(with_values(cohort, plant)), "identical-subjects").subjects == ("sub-090", "sub-139")


def test_features_equal_at_both_visits():
    cohort = clean_cohort()
    head = 1e6 + np.arange(140.0)[cohort.subject_of] * 1000
    half = np.where(cohort.subject_of % 3 == 0, cohort.features[:, 0], cohort.features[::1, 0])
    cohort = with_column(cohort, "intracranial", head)
    half[1:80:2] = half[0:80:2]
    description = describe(with_column(cohort, "carried", half))
    finding = only(description, "equal-at-both-visits")
    assert finding.columns == ("intracranial",)
    assert finding.level == "warning"
    assert only(description, "often-equal").columns == ("carried",)
    assert description.tables["repeatability"].set_index("feature")["equal"]["carried"] == pytest.approx(40 / 60)


def test_what_is_equal_at_both_visits_is_explained_by_what_it_is():
    cohort = clean_cohort()
    person = cohort.subject_of
    cohort = with_column(cohort, "eTIV", 1e6 + 1000.0 * person)
    cohort = with_column(cohort, "Braak", (person % 7).astype(float))
    cohort = with_column(cohort, "schooling", 6.0 + person % 17)
    cohort = with_column(cohort, "filled", 3000.5 + person)
    told = {f.columns: f.text for f in describe(cohort).findings if f.code == "equal-at-both-visits"}
    assert list(told) == [("eTIV",), ("Braak", "schooling"), ("filled",)]
    assert ["intracranial" in text for text in told.values()] == [True, False, False]
    assert "of the person rather than of the scan" in told["Braak", "schooling"]
    assert "carried forward, or no measures of the scan" in told[("filled",)]


def test_repeatability_agrees_with_numpy():
    cohort = with_values(clean_cohort(), lambda values: values.__setitem__((slice(0, 10, 2), 1), np.nan))
    table = describe(cohort).tables["repeatability"].set_index("feature")
    first, second = cohort.features[0:120:2], cohort.features[1:120:2]
    for i, pairs in ((0, 60), (1, 55)):
        x, y = first[-pairs:, i], second[-pairs:, i]
        row = table.iloc[i]
        assert row["pairs"] == pairs
        assert row["r"] == pytest.approx(np.corrcoef(x, y)[0, 1])
        assert row["change_sd"] == pytest.approx((y - x).std(ddof=1) / x.std(ddof=1))
        assert row["change"] == pytest.approx((y - x).mean() / x.std(ddof=1))


def test_unreliable_features_are_named():
    noise = np.random.default_rng(0).normal(10, 1, 200)
    finding = only(describe(with_column(clean_cohort(), "noise", noise)), "unreliable-features")
    assert finding.columns == ("noise",)
    assert finding.level == "note"


def test_many_visits_compare_the_first_two():
    cohort = clean_cohort(n_paired=20, n_single=20)
    three = replace(
        cohort,
        subjects=cohort.subjects[:20],
        subject_of=np.repeat(np.arange(20), 3),
        visits=np.tile(["1", "2", "3"], 20),
        years=np.tile([0.0, 1.0, 2.0], 20),
        labels=cohort.labels.iloc[:20].reset_index(drop=True),
    )
    description = describe(three)
    assert description.facts["visits"]["per_subject"] == {3: 20}
    assert description.facts["gap"]["known"] == 40
    x, y = three.features[0::3, 0], three.features[1::3, 0]
    assert description.tables["repeatability"]["r"][0] == pytest.approx(np.corrcoef(x, y)[0, 1])

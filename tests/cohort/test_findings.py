"""Findings that stop learning, and how to go on in spite of them."""

from dataclasses import replace

import pytest

from nextscan import evaluate, make_imputer
from nextscan.cohort import Cohort, Finding
from nextscan.cohort.findings import allowed
from nextscan.errors import CohortError

ABSURD = Finding("error", "impossible-gap", "c.csv: subject a returns after 300 years", (), ("a",), "correct the date")


def test_an_error_stops_what_learns_and_says_how_to_go_on(cohort: Cohort, tmp_path) -> None:
    wrong = replace(cohort, findings=(ABSURD,))
    said = r"after 300 years; correct the date; to go on in spite of it: --allow impossible-gap"
    with pytest.raises(CohortError, match=said):
        make_imputer("mean-change").fit(wrong)
    with pytest.raises(CohortError, match=said):
        evaluate(wrong, [], n_folds=2, out=tmp_path / "run")
    (warning,) = allowed(wrong.findings, ["impossible-gap"])
    assert (warning.level, str(warning)) == ("warning", "c.csv: subject a returns after 300 years; correct the date")
    make_imputer("mean-change").fit(replace(wrong, findings=(warning,)))


def test_a_finding_goes_with_the_people_it_is_about(cohort: Cohort) -> None:
    first, everybody = str(cohort.subjects[0]), Finding("warning", "units", "no unit")
    known = replace(cohort, findings=(replace(ABSURD, subjects=(first,)), everybody))
    assert known.select_subjects([1, 2]).findings == (everybody,)
    assert known.select_subjects([0]).findings == known.findings

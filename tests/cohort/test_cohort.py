"""The cohort: what it refuses, what it selects, and what makes two cohorts the same."""

from dataclasses import replace

import numpy as np
import pytest

from nextscan.cohort import Cohort, concatenate
from nextscan.errors import CohortError
from samples import tiny_cohort


def test_counts(cohort: Cohort) -> None:
    assert (cohort.n_subjects, cohort.n_visits, cohort.n_features) == (60, 100, 6)
    assert cohort.is_paired.sum() == 40
    assert cohort.observed_visits.tolist() == [2] * 40 + [1] * 20
    assert not cohort.is_request.any()
    assert repr(cohort) == f"<Cohort {cohort.name!r}: 60 subjects, 100 visits, 6 features, 40 with a follow-up>"


def test_a_visit_without_features_is_a_request_and_does_not_pair(cohort: Cohort) -> None:
    features = cohort.features.copy()
    features[1] = np.nan
    asked = replace(cohort, features=features)
    assert asked.is_request.tolist() == [False, True] + [False] * 98
    assert not asked.is_paired[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {"years": c.years[:-1]}, "years has shape"),
        (lambda c: {"features": c.features[:, :-1]}, "features has shape"),
        (lambda c: {"feature_names": ("same",) * 6}, "repeated feature names: same"),
        (lambda c: {"feature_names": ("sex", *c.feature_names[1:])}, "both feature and label: sex"),
        (lambda c: {"subject_of": c.subject_of[::-1]}, "grouped by subject"),
        (lambda c: {"visits": np.full(100, "1")}, "subject sub-000 has visit 1 twice"),
        (lambda c: {"labels": c.labels[:-1]}, "labels has shape"),
    ],
)
def test_refuses_what_does_not_fit_together(cohort: Cohort, change, message: str) -> None:
    with pytest.raises(CohortError, match=message):
        replace(cohort, **change(cohort))


def test_cannot_be_changed(cohort: Cohort) -> None:
    with pytest.raises(ValueError, match="read-only"):
        cohort.features[0, 0] = 1.0


def test_selects_subjects_by_mask_and_by_position(cohort: Cohort) -> None:
    by_position = cohort.select_subjects([59, 0])
    mask = np.zeros(60, bool)
    mask[[0, 59]] = True
    assert by_position.subjects.tolist() == ["sub-000", "sub-059"]
    assert by_position.fingerprint() == cohort.select_subjects(mask).fingerprint()
    assert by_position.visits.tolist() == ["1", "2", "1"]
    np.testing.assert_array_equal(by_position.features, cohort.features[[0, 1, 99]])
    assert by_position.labels["sex"].tolist() == cohort.labels["sex"].iloc[[0, 59]].tolist()
    assert cohort.select_subjects([]).n_subjects == 0


def test_selects_features_in_the_order_asked(cohort: Cohort) -> None:
    some = cohort.select_features(["feature-3", "feature-0"])
    np.testing.assert_array_equal(some.features, cohort.features[:, [3, 0]])
    assert dict(some.units) == {"feature-0": "mm3"}
    with pytest.raises(CohortError, match="no feature named volume"):
        cohort.select_features(["volume"])


def test_concatenate_undoes_select(cohort: Cohort) -> None:
    paired = cohort.is_paired
    again = concatenate(cohort.select_subjects(paired), cohort.select_subjects(~paired))
    assert again.fingerprint() == cohort.fingerprint()


def test_concatenate_refuses_the_same_subject_and_other_features(cohort: Cohort) -> None:
    with pytest.raises(CohortError, match="more than one cohort: sub-000"):
        concatenate(cohort, cohort.select_subjects([0]))
    with pytest.raises(CohortError, match="features differ"):
        concatenate(cohort, cohort.select_features(["feature-1"]))


def test_concatenate_leaves_a_label_missing_where_one_lacks_it(cohort: Cohort) -> None:
    first, second = cohort.select_subjects([0]), cohort.select_subjects([1])
    both = concatenate(first, replace(second, labels=second.labels.rename(columns={"sex": "group"})))
    assert both.labels.isna().to_numpy().tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize("part", ["years", "features"])
def test_fingerprint_sees_every_number(cohort: Cohort, part: str) -> None:
    changed = getattr(cohort, part).copy()
    changed.flat[7] += 1e-9
    assert replace(cohort, **{part: changed}).fingerprint() != cohort.fingerprint()
    assert tiny_cohort().fingerprint() == cohort.fingerprint()


def test_fingerprint_does_not_depend_on_how_text_is_stored(cohort: Cohort) -> None:
    wide = replace(cohort, subjects=cohort.subjects.astype("<U40"), visits=cohort.visits.astype("<U9"))
    assert wide.fingerprint() == cohort.fingerprint()


def test_long_table(cohort: Cohort) -> None:
    frame = cohort.to_frame()
    assert list(frame.columns[:5]) == ["subject", "visit", "years", "sex", "age"]
    assert frame.shape == (100, 11)
    np.testing.assert_array_equal(frame["feature-2"], cohort.features[:, 2])


def test_some_volumes_are_of_different_subjects_by_turns_first_and_last() -> None:
    names = np.array(["a1", "a2", "a3", "", "b2", "c1", "d1", "d2", ""], dtype=object)
    people = Cohort(
        "toy",
        np.array(list("abcde")),
        np.array([0, 0, 0, 1, 1, 2, 3, 3, 4]),
        np.array(list("123121121")),
        np.zeros(9),
        np.zeros((9, 0)),
        (),
        files={"volume": names},
    )
    assert [names[row] for row in people.some_volumes(12)] == ["a1", "b2", "c1", "d2"]
    assert [names[row] for row in people.some_volumes(2)] == ["a1", "d2"]

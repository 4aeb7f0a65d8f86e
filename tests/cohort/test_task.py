"""Pairs, targets, hiding and splitting: nobody is on two sides, and nothing hidden is left in sight."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from image_samples import bids
from nextscan.cohort import Cohort, check_splits, concatenate, folds, hide, merge, pairs, split_validation, targets
from nextscan.errors import CohortError, ImageError, SettingError
from nextscan.reading import read_cohort
from nextscan.simulating import simulate
from samples import tiny_cohort


@pytest.fixture
def small() -> Cohort:
    """a: visits at 0, 1; b: 0, 2, 3; c: one visit; d: one visit and a request; e: a request before its visit."""
    features = np.arange(20.0).reshape(10, 2)
    features[[7, 8]] = np.nan
    return Cohort(
        name="small",
        subjects=np.array(list("abcde")),
        subject_of=np.array([0, 0, 1, 1, 1, 2, 3, 3, 4, 4]),
        visits=np.array(["1", "2", "1", "2", "3", "1", "1", "2", "1", "2"]),
        years=np.array([0, 1, 0, 2, 3, 0, 0, 1.5, 0, 1]),
        features=features,
        feature_names=("x", "y"),
        visit_labels=pd.DataFrame({"age": np.arange(50.0, 60.0)}),
    )


def test_pairs_are_consecutive_observed_visits(small: Cohort) -> None:
    found = pairs(small)
    assert found.context.tolist() == [0, 2, 3]
    assert found.target.tolist() == [1, 3, 4]
    assert found.gap.tolist() == [1, 2, 1]


def test_targets_are_requests_and_the_next_visit_of_single_ones(small: Cohort) -> None:
    wanted = targets(small)
    assert wanted.subject.tolist() == ["c", "d", "e"]
    assert wanted.visit.tolist() == ["imputed", "2", "1"]
    assert wanted.context.tolist() == [5, 6, 9]
    assert wanted.row.tolist() == [-1, 7, 8]
    np.testing.assert_array_equal(wanted.gap, [np.nan, 1.5, -1.0])


def test_years_are_unknown_where_those_of_the_last_visit_are(small: Cohort) -> None:
    years = np.where(np.arange(small.n_visits) == small.n_visits - 1, np.nan, small.years)
    wanted = targets(replace(small, years=years), [0.5, 2.0])
    last = wanted.context == small.n_visits - 1
    assert (wanted.gap.tolist(), last.sum()) == ([0.5, 2.0] * small.n_subjects, 2)
    np.testing.assert_array_equal(np.isnan(wanted.years), last)


def test_at_years_counts_from_the_last_observed_visit(small: Cohort) -> None:
    wanted = targets(small, [1, -0.5])
    assert wanted.subject.tolist() == list("aabbccddee")
    assert wanted.years.tolist() == [2, 0.5, 4, 2.5, 1, -0.5, 1, -0.5, 2, 0.5]
    assert wanted.gap.tolist() == [1, -0.5] * 5
    assert wanted.context.tolist() == [1, 1, 4, 4, 5, 5, 6, 6, 9, 9]
    with pytest.raises(SettingError, match="finite"):
        targets(small, [np.inf])


def test_a_subject_with_nothing_observed_is_named(small: Cohort) -> None:
    features = small.features.copy()
    features[5] = np.nan
    with pytest.raises(CohortError, match="no observed visit to start from for subject c"):
        targets(replace(small, features=features))


def test_hide_shows_time_but_neither_features_nor_visit_labels(small: Cohort) -> None:
    task = hide(small)
    assert task.targets.subject.tolist() == ["a", "b"]
    assert task.targets.gap.tolist() == [1, 1]
    np.testing.assert_array_equal(task.truth, small.features[[1, 4]])
    np.testing.assert_array_equal(task.context, small.features[[0, 3]])
    hidden = task.targets.row
    assert np.isnan(task.shown.features[hidden]).all()
    assert task.shown.visit_labels["age"].iloc[hidden].isna().all()
    assert task.shown.years[hidden].tolist() == [1, 3]
    assert not set(task.truth.ravel()) & set(task.shown.features.ravel())


def test_hide_shows_as_many_visits_as_told() -> None:
    cohort = simulate(n_subjects=40, n_features=2, n_pairs=40, n_visits=5, seed=1)
    seen = cohort.observed_visits
    task = hide(cohort, 2)
    assert task.shown.n_subjects == (seen > 2).sum()
    assert (task.shown.observed_visits == 2).all()
    assert len(task.targets) == (seen[seen > 2] - 2).sum()
    shown = 1 + np.arange(40) % (seen - 1)
    np.testing.assert_array_equal(hide(cohort, shown).shown.observed_visits, shown)
    np.testing.assert_array_equal(hide(cohort, seen - 1).truth, hide(cohort).truth)
    with pytest.raises(CohortError, match="nobody has a visit to hide beside those shown"):
        hide(cohort, 5)
    with pytest.raises(SettingError, match="at least one visit"):
        hide(cohort, 0)


def test_hide_needs_somebody_with_two_visits() -> None:
    with pytest.raises(CohortError, match="nobody has two visits"):
        hide(tiny_cohort(0, 5))


class TestFolds:
    def test_every_subject_is_on_one_side_and_each_pair_is_tested_once(self, cohort: Cohort) -> None:
        tested = []
        for split in folds(cohort, 4, repeats=1, seed=3):
            sides = [set(part.subjects) for part in (split.train, split.validation, split.test)]
            assert sum(map(len, sides)) == len(set.union(*sides)) == 60
            assert split.test.is_paired.all()
            assert split.validation.is_paired.sum() == 3
            assert (~split.validation.is_paired).sum() == 2
            tested += split.test.subjects.tolist()
        assert sorted(tested) == sorted(cohort.subjects[cohort.is_paired])

    def test_do_not_depend_on_the_order_of_the_table(self, cohort: Cohort) -> None:
        turned = cohort.select_subjects(range(60))
        order = np.arange(60)[::-1]
        rows = np.concatenate([np.flatnonzero(cohort.subject_of == i) for i in order])
        turned = replace(
            cohort,
            subjects=cohort.subjects[order],
            subject_of=np.repeat(np.arange(60), cohort.observed_visits[order]),
            visits=cohort.visits[rows],
            years=cohort.years[rows],
            features=cohort.features[rows],
            labels=cohort.labels.iloc[order].reset_index(drop=True),
            visit_labels=cohort.visit_labels.iloc[rows].reset_index(drop=True),
        )
        for ours, theirs in zip(folds(cohort, 3, seed=1), folds(turned, 3, seed=1), strict=True):
            assert set(ours.test.subjects) == set(theirs.test.subjects)
            assert set(ours.validation.subjects) == set(theirs.validation.subjects)

    def test_repeats_differ_and_seeds_differ(self, cohort: Cohort) -> None:
        first, second = (next(split for split in folds(cohort, 4, repeats=2) if split.repeat == r) for r in (0, 1))
        other = next(iter(folds(cohort, 4, seed=9)))
        assert len({frozenset(split.test.subjects) for split in (first, second, other)}) == 3

    def test_too_few_pairs(self, cohort: Cohort) -> None:
        with pytest.raises(CohortError, match="40 subjects have two visits, too few for 41 folds"):
            next(iter(folds(cohort, 41)))
        with pytest.raises(SettingError, match="n_folds >= 2"):
            next(iter(folds(cohort, 1)))


def test_split_validation_takes_the_same_share_of_both_kinds(cohort: Cohort) -> None:
    train, validation = split_validation(cohort, fraction=0.2, seed=4)
    assert (validation.is_paired.sum(), (~validation.is_paired).sum()) == (8, 4)
    assert not set(train.subjects) & set(validation.subjects)
    assert merge(train, validation).n_subjects == 60
    assert merge(train, None) is train


def test_splits_share_no_subject_and_no_image(tmp_path: Path) -> None:
    cohort = read_cohort(bids(tmp_path / "heads"))
    train, test = cohort.select_subjects([0, 1]), cohort.select_subjects([2])
    check_splits(train, test)
    with pytest.raises(CohortError, match=r"heads: 1 subject in two splits: sub-02; split by subject"):
        check_splits(train, cohort.select_subjects([1, 2]))
    copy = tmp_path / "copy.nii.gz"
    copy.write_bytes(Path(cohort.files_of("volume")[0]).read_bytes())
    pd.DataFrame({"subject": ["other"], "visit": ["a"], "volume": [str(copy)]}).to_csv(tmp_path / "t.csv", index=False)
    again = read_cohort(tmp_path / "t.csv")
    with pytest.raises(CohortError, match=r"1 image in two splits under different subjects: sub-01 ses-1 = other a;"):
        check_splits(train, again)
    check_splits(concatenate(train, again), test)  # twice in training is no leak
    copy.unlink()
    with pytest.raises(ImageError, match=r"copy.nii.gz \(other a\): cannot be read: No such file"):
        check_splits(train, again)

"""Scales come from training subjects only."""

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Cohort, Split, folds
from nextscan.study.units import Units, visit_rows
from samples import tiny_cohort


def cohort(name: str, visits: list[list[float]], features: list[list[float]]) -> Cohort:
    subject_of = np.repeat(np.arange(len(visits)), [len(years) for years in visits])
    years = np.concatenate(visits)
    return Cohort(
        name=name,
        subjects=np.array([f"{name}-{i}" for i in range(len(visits))]),
        subject_of=subject_of,
        visits=np.array([f"{year:g}" for year in years]),
        years=years,
        features=np.array(features, float),
        feature_names=tuple(f"f{i}" for i in range(len(features[0]))),
        labels=pd.DataFrame(),
    )


def test_scales_by_hand() -> None:
    train = cohort("train", [[0, 1], [0]], [[1, 5], [9, 5], [-3, 5]])  # one pair, one single subject
    validation = cohort("validation", [[0, 1]], [[5, 5], [100, 5]])
    units = Units.of(Split(train, validation, validation, 0, 0))
    # Range: training visits, paired or not; spread: first visits 1 and 5 of the two pairs.
    assert units.published(np.array([-3.0, 0.0]))[0] == -1
    assert units.published(np.array([9.0, 0.0]))[0] == 1
    assert units.spread(np.array([4.0, 0.0]))[0] == pytest.approx(2.0)
    assert np.isnan(units.published(np.array([0.0, 5.0]))[1])
    assert np.isnan(units.spread(np.array([0.0, 5.0]))[1])


def test_missing_values_are_left_out() -> None:
    train = cohort("train", [[0, 1], [0, 1], [0, 1]], [[1, 1], [2, 2], [3, 3], [4, np.nan], [np.nan, 8], [9, 9]])
    units = Units.of(Split(train, train.select_subjects(np.zeros(3, bool)), train, 0, 0))
    np.testing.assert_allclose(units.sd, [1.0, np.std([1, 3, 8])])
    np.testing.assert_allclose(units.published(np.array([[1.0, 1.0], [9.0, 9.0]])), [[-1, -1], [1, 1]])


def test_subjects_without_follow_up_do_not_move_the_spread() -> None:
    split = next(iter(folds(tiny_cohort(), 4)))
    without = Split(
        split.train.select_subjects(split.train.is_paired),
        split.validation,
        split.test,
        split.repeat,
        split.fold,
    )
    np.testing.assert_allclose(Units.of(split).sd, Units.of(without).sd)


def test_first_and_last_visits_skip_requests_and_singles() -> None:
    nothing = [np.nan]
    many = cohort("many", [[0, 1, 2], [0, 1], [0, 1, 3]], [[1], [2], nothing, [4], nothing, [6], [7], [8]])
    first, last = visit_rows(many)
    np.testing.assert_array_equal(many.features[first, 0], [1, 6])
    np.testing.assert_array_equal(many.features[last, 0], [2, 8])

"""What every imputer refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nextscan import simulate
from nextscan.errors import CohortError, SettingError
from nextscan.imputers import make_imputer
from nextscan.imputers.baselines.mean_change import MeanChange


def test_visits_before_the_first_observed_one_are_refused(cohort):
    model = MeanChange().fit(cohort)
    pair = cohort.select_subjects(range(3))
    first = (pair.visits == "1") & (pair.subject_of > 0)
    asked = replace(pair, features=np.where(first[:, None], np.nan, pair.features))
    message = r"visit 1 of subject sub-001 \(and 1 more\) lies before its first observed visit; .*: leave the row out"
    with pytest.raises(CohortError, match=message):
        model.impute(asked, 2)
    unknown = replace(asked, years=np.full(len(asked.years), np.nan))
    with pytest.raises(CohortError, match="lies before its first observed visit"):
        model.impute(unknown, 2)
    with pytest.raises(SettingError, match="must not be negative"):
        model.impute(pair, 2, at_years=[1.0, -1.0])
    assert len(model.impute(pair, 2, at_years=[0.0]).targets) == 3


def test_the_oracle_predicts_backward():
    cohort = simulate(n_subjects=40, n_features=4, n_pairs=20, seed=1)
    model = make_imputer("oracle").fit(cohort)
    pair = cohort.select_subjects(np.flatnonzero(cohort.is_paired)[:2])
    asked = replace(pair, features=np.where((pair.years == 0)[:, None], np.nan, pair.features))
    assert (model.impute(asked, 2).requested.gap < 0).all()


@pytest.mark.parametrize(
    "name", ["carry-forward", "mean-change", "feature-regression", "ridge", "reliability", "oracle"]
)
def test_uses_time_tells_whether_the_time_of_the_target_changes_the_prediction(name):
    cohort = simulate(n_subjects=60, n_features=4, n_pairs=40, seed=1)
    model = make_imputer(name).fit(cohort)
    first = cohort.select_visits(cohort.years == 0)
    means = [model.impute(first, 2, at_years=[years]).mean() for years in (1.0, 4.0)]
    assert model.uses_time == (not np.array_equal(*means))

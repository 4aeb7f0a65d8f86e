from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nextscan.cohort import hide
from nextscan.imputers.baselines.mean_change import MeanChange


def test_mean_adds_the_mean_change_and_residuals_leave_their_own_pair_out(cohort):
    train, task = cohort.select_subjects(range(30)), hide(cohort.select_subjects(range(30, 40)))
    model = MeanChange().fit(train)
    changes = train.features[train.visits == "2"] - train.features[train.visits == "1"]
    assert model.impute(task.shown, 2).mean() == pytest.approx(task.context + changes.mean(axis=0))
    left_out = [changes[i] - np.delete(changes, i, axis=0).mean(axis=0) for i in range(30)]
    assert model.residuals_ == pytest.approx(np.array(left_out))


def test_missing_follow_up_cells_are_left_out_feature_by_feature(cohort):
    features = cohort.features.copy()
    follow_up = np.flatnonzero(cohort.visits == "2")
    features[follow_up[5:], 1] = np.nan
    model = MeanChange().fit(replace(cohort, features=features))
    changes = cohort.features[follow_up] - cohort.features[follow_up - 1]
    assert model.change_[1] == pytest.approx(changes[:5, 1].mean())
    assert model.change_[2] == pytest.approx(changes[:, 2].mean())
    assert np.isfinite(model.residuals_).all()

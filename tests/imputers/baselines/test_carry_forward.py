from __future__ import annotations

import numpy as np
import pytest

from nextscan.cohort import hide
from nextscan.errors import TooFewPairsError
from nextscan.imputers.baselines.carry_forward import CarryForward
from samples import tiny_cohort


def test_mean_is_the_context_visit_and_draws_add_whole_changes_of_training_pairs(cohort):
    train, task = cohort.select_subjects(range(30)), hide(cohort.select_subjects(range(30, 40)))
    result = CarryForward().fit(train).impute(task.shown, 2000, seed=1)
    assert np.array_equal(result.mean(), task.context)
    changes = train.features[train.visits == "2"] - train.features[train.visits == "1"]
    added = (result.draws - task.context).reshape(-1, 6)
    apart = np.abs(added[:200, None] - changes[None]).max(axis=2).min(axis=1)
    assert apart.max() < 1e-9
    # Not centred: draws change by the mean change of the training pairs, the mean does not.
    assert added.mean(axis=0) == pytest.approx(changes.mean(axis=0), abs=0.02)
    assert added.std(axis=0) == pytest.approx(changes.std(axis=0), rel=0.03)


def test_refuses_without_pairs():
    with pytest.raises(TooFewPairsError, match="at least 2 pairs"):
        CarryForward().fit(tiny_cohort(n_paired=0))

from __future__ import annotations

import pytest

from nextscan.cohort import hide
from nextscan.imputers.baselines.reliability import Reliability
from nextscan.imputers.baselines.ridge import Ridge
from samples import many_visits


@pytest.mark.parametrize("method", [Reliability, Ridge])
def test_residuals_are_honest_with_many_visits_per_subject(method):
    model = method().fit(many_visits(24))
    task = hide(many_visits(200, seed=9))
    error = task.truth - model.impute(task.shown, 2).mean()
    assert model.residuals_.std() == pytest.approx(error.std(), rel=0.05)

"""A rule of what is shown, where time is a line: the last visit is hidden, and of the others some are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Cohort
from nextscan.errors import SettingError
from nextscan.study import evaluate
from study.shift_imputer import Shift

pytestmark = pytest.mark.minutes

SETTINGS: dict[str, Any] = {"n_folds": 3, "draws": 4}


def four_visits(n_subjects: int = 24) -> Cohort:
    """Return subjects whose feature grows by one a visit; the last two have three visits."""
    sizes = [4] * (n_subjects - 2) + [3, 3]
    of, visit = np.repeat(np.arange(n_subjects), sizes), np.concatenate([np.arange(size) for size in sizes])
    noise = np.random.default_rng(0).normal(size=(len(of), 2))
    return Cohort(
        name="four",
        subjects=np.array([f"s{k:02d}" for k in range(n_subjects)]),
        subject_of=of,
        visits=np.array([f"v{k}" for k in visit]),
        years=visit.astype(float),
        features=10.0 * of[:, None] + visit[:, None] + 0.1 * noise,
        feature_names=("a", "b"),
    )


def contexts(run: Path) -> pd.DataFrame:
    predictions = pd.read_parquet(run / "predictions.parquet")
    return predictions[predictions["kind"] == "context"]


def test_the_same_visit_is_hidden_whatever_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextscan.study.plan.BASELINES", ())  # they are looked at elsewhere
    cohort = four_visits()
    shown = {}
    for rule in (None, "first:1", "first:2", "v0,v2"):
        run = evaluate(cohort, {"near": Shift()}, out=tmp_path / str(rule), shown=rule, **SETTINGS)
        truth = pd.read_parquet(run / "predictions.parquet").query("kind == 'truth'")
        assert truth.set_index("subject")["visit"].value_counts().to_dict() == {"v3": 22, "v2": 2}
        shown[rule] = contexts(run).groupby("subject")["visit"].agg(list)
    assert shown[None]["s00"] == ["v0", "v1", "v2"]
    assert shown["first:1"]["s00"] == ["v0"]
    assert shown["first:2"]["s00"] == ["v0", "v1"]
    assert shown["first:2"]["s23"] == ["v0", "v1"]
    assert shown["v0,v2"]["s00"] == ["v0", "v2"]
    assert shown["v0,v2"]["s23"] == ["v0"]  # its v2 is the last


def test_a_rule_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="which no visit of four is called"):
        evaluate(four_visits(), {"near": Shift()}, out=tmp_path / "run", shown="frame-01", **SETTINGS)
    assert not (tmp_path / "run").exists()

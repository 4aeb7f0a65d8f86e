"""Which jobs there are, and what tells them apart."""

from dataclasses import replace
from typing import Any

import pytest

from nextscan.errors import SettingError
from nextscan.imputers.registry import BASELINES
from nextscan.study.plan import Plan
from samples import tiny_cohort
from study.shift_imputer import Shift

SETTINGS = {"n_folds": 3, "repeats": 2, "seeds": 2, "draws": 9, "seed": 0, "save_draws": False}


def plan(methods: Any = ("ridge",), **changes: Any) -> Plan:
    return Plan.of(tiny_cohort(), methods, **{**SETTINGS, **changes})


def test_baselines_are_never_optional() -> None:
    assert set(plan([]).methods) == set(BASELINES)
    assert next(iter(plan(["ridge"]).methods)) == "ridge"
    assert len(plan(["ridge"]).methods) == len(BASELINES)
    assert plan({"mine": Shift()}).requested == ("mine",)


def test_the_oracle_comes_with_a_law() -> None:
    simulated = replace(tiny_cohort(), law="cohort.law.npz")
    assert "oracle" in Plan.of(simulated, [], **SETTINGS).methods
    with pytest.raises(SettingError, match="oracle knows only simulated cohorts"):
        plan(["oracle"])


def test_closed_form_methods_run_once_per_fold() -> None:
    jobs = list(plan({"mine": Shift()}, seeds=(5, 3)).jobs())
    mine = [job for job in jobs if job.method == "mine"]
    assert len(mine) == 2 * 2 * 3
    assert {job.seed for job in mine} == {3, 5}
    ridge = [job for job in jobs if job.method == "ridge"]
    assert len(ridge) == 2 * 3
    assert {job.seed for job in ridge} == {5}
    assert [job.fold for job in mine if job.shown] == [0, 1, 2]
    assert {job.seed for job in mine if job.shown} == {5}


def test_keys_tell_results_apart() -> None:
    def keys(methods: Any, **changes: Any) -> set[str]:
        return {job.key for job in plan(methods, **changes).jobs() if job.method == "mine"}

    usual = keys({"mine": Shift()})
    assert len(usual) == 12
    assert keys({"mine": Shift()}) == usual
    for other in (
        keys({"mine": Shift(offset=2.0)}),
        keys({"mine": Shift()}, draws=10),
        keys({"mine": Shift()}, seed=1),
    ):
        assert not usual & other
    assert usual < keys({"mine": Shift()}, repeats=3)
    assert usual < keys({"mine": Shift()}, seeds=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"draws": 1}, "at least 2, got draws=1"),
        ({"seeds": 0}, "seeds must be a number above 0"),
        ({"seeds": (1, 1)}, "distinct seeds"),
        ({"methods": {"a/b": Shift()}}, "'a/b'"),
        ({"methods": ["rigde"]}, "did you mean ridge"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        plan(**changes)

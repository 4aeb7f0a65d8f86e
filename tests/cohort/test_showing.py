"""Which visits of a sequence are shown, and what is then to impute."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Cohort, hide, shown_visits, targets
from nextscan.errors import SettingError


@pytest.fixture
def beats() -> Cohort:
    """Return two hearts: five frames and three, the second without its middle one."""
    of = np.array([0] * 5 + [1] * 3)
    features = np.arange(16.0).reshape(8, 2)
    features[6] = np.nan
    return Cohort(
        "beats",
        np.array(["p1", "p2"]),
        of,
        np.array([f"frame-{i:02d}" for i in (1, 2, 3, 4, 5, 1, 2, 3)]),
        np.array([0, 0.2, 0.4, 0.6, 0.8, 0, 1 / 3, 2 / 3]),
        features,
        ("lv", "rv"),
        visit_labels=pd.DataFrame({"phase": ["ED", None, "ES", None, None, "ED", None, "ES"]}),
        time_unit="cycle",
        period=1.0,
    )


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ("first", [1, 0, 0, 0, 0, 1, 0, 0]),
        ("first:2", [1, 1, 0, 0, 0, 1, 0, 1]),
        ("ED,ES", [1, 0, 1, 0, 0, 1, 0, 1]),
        ("ES", [0, 0, 1, 0, 0, 0, 0, 1]),
        ("frame-01, frame-05", [1, 0, 0, 0, 1, 1, 0, 0]),
        ("random:0", [1, 0, 0, 0, 0, 1, 0, 0]),
    ],
)
def test_rules_mark_observed_visits(beats: Cohort, rule: str, shown: list[int]) -> None:
    np.testing.assert_array_equal(shown_visits(beats, rule), np.array(shown, bool))


def test_chance_depends_on_name_and_seed_alone(beats: Cohort) -> None:
    several = {tuple(shown_visits(beats, "random", seed=seed).tolist()) for seed in range(8)}
    assert len(several) > 3
    assert all(shown[0] and shown[5] and not shown[6] for shown in several)
    alone = beats.select_subjects([1])
    np.testing.assert_array_equal(shown_visits(alone, "random", seed=3), shown_visits(beats, "random", seed=3)[5:])


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("first:0", "write first:2"),
        ("first:1.5", "write first:2"),
        ("random:1.2", "write random:0.5"),
        ("frame-09", "frame-09, which no visit of beats is called"),
        ("", "shows nothing"),
    ],
)
def test_other_rules_are_refused(beats: Cohort, rule: str, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        shown_visits(beats, rule)


def test_what_is_not_shown_is_hidden_and_asked_for(beats: Cohort) -> None:
    task = hide(beats, shown_visits(beats, "ES"))
    assert task.targets.subject.tolist() == ["p1"] * 4 + ["p2"]
    assert task.targets.visit.tolist() == ["frame-01", "frame-02", "frame-04", "frame-05", "frame-01"]
    np.testing.assert_array_equal(task.truth, beats.features[[0, 1, 3, 4, 5]])
    # the nearest one before the target, or the first there is
    assert task.shown.visits[task.targets.context].tolist() == ["frame-03"] * 5
    assert np.isnan(task.shown.features[[0, 1, 3, 4, 5]]).all()


def test_subjects_of_whom_nothing_is_left_to_hide_are_left_out(beats: Cohort) -> None:
    task = hide(beats, shown_visits(beats, "ED,ES"))
    assert set(task.targets.subject.tolist()) == {"p1"}


def test_time_is_a_circle_only_where_it_is_said(beats: Cohort) -> None:
    first, second = np.array([0.0, 0.1, 0.9]), np.array([0.9, 0.4, 0.1])
    np.testing.assert_allclose(beats.apart(first, second), [-0.1, 0.3, 0.2])
    np.testing.assert_allclose(replace(beats, period=None).apart(first, second), [0.9, 0.3, -0.8])
    assert replace(beats, period=None).fingerprint() != beats.fingerprint()


def test_times_asked_for_are_places_on_a_circle(beats: Cohort) -> None:
    wanted = targets(beats, [0.35, 0.95])
    assert wanted.visit.tolist() == ["imputed+0.35", "imputed+0.95"] * 2
    np.testing.assert_allclose(wanted.years, [0.35, 0.95] * 2)
    # the second heart lacks its middle frame: it starts from the first
    assert beats.visits[wanted.context].tolist() == ["frame-02", "frame-05", "frame-01", "frame-03"]
    np.testing.assert_allclose(wanted.gap, [0.15, 0.15, 0.35, 0.95 - 2 / 3])
    later = beats.select_visits(np.array([0, 0, 1, 0, 0, 0, 0, 1], bool))
    around = targets(later, [0.1, -0.1])
    np.testing.assert_allclose(around.gap, [0.7, 0.5, 0.1 + 1 / 3, 0.9 - 2 / 3])  # over the end of the beat
    unknown = replace(later, years=np.full(2, np.nan))
    assert np.isnan(targets(unknown, [0.1]).gap).all()

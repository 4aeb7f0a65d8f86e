"""Groups are made of labels known before the hidden visit, and are large enough."""

from dataclasses import replace

import numpy as np

from nextscan.cohort import hide
from nextscan.study.groups import groups_of
from samples import tiny_cohort


def test_groups_of_a_large_cohort() -> None:
    cohort = tiny_cohort(n_paired=330, n_single=5)
    task = hide(cohort)
    groups = {group.name: group.member for group in groups_of(task)}
    women = (cohort.labels["sex"] == "F").to_numpy()[:330]
    np.testing.assert_array_equal(groups["sex=F"], women)
    assert len(groups) == 2 + 3 + 3
    gaps = [name for name in groups if name.startswith("gap")]
    assert [name.split(" (")[1] for name in gaps] == ["lowest third)", "middle third)", "highest third)"]
    assert all(groups[name].sum() == 110 for name in gaps)
    assert task.targets.gap[groups[gaps[0]]].max() <= task.targets.gap[groups[gaps[1]]].min()
    ages = [name for name in groups if name.startswith("age")]
    age = cohort.visit_labels["age"].to_numpy()[:660:2]  # at the first visit
    assert age[groups[ages[2]]].min() > np.quantile(age, 0.66)


def test_small_groups_and_missing_labels_are_left_out() -> None:
    cohort = tiny_cohort(n_paired=250, n_single=0)
    labels = cohort.labels.assign(sex=np.where(np.arange(250) < 99, "F", None), diagnosis=1)
    names = [group.name for group in groups_of(hide(replace(cohort, labels=labels)))]
    assert names == ["diagnosis=1"]  # 99 women, 151 unknown, thirds of 83


def test_equal_gaps_give_no_thirds() -> None:
    cohort = tiny_cohort(n_paired=300, n_single=0)
    years = np.where(cohort.visits == "1", 0.0, 2.0)
    names = [group.name for group in groups_of(hide(replace(cohort, years=years)))]
    assert [name for name in names if name.startswith("gap")] == []

"""Who lies far out: at the nominal rate among people like those in training, and those who do not belong."""

from dataclasses import replace

import numpy as np
import pytest

from nextscan.cohort import Cohort
from nextscan.preprocess import Likeness
from samples import many_visits, tiny_cohort


def people(n: int, width: int, seed: int) -> Cohort:
    """Make n subjects of two visits from one law with five factors."""
    return many_visits(n, 2, width, seed=seed)


def first_visits(cohort: Cohort) -> np.ndarray:
    return cohort.features[cohort.visits == "1"].copy()


@pytest.mark.parametrize(("n", "width"), [(400, 60), (150, 400)])
def test_people_like_those_in_training_are_as_far_out_as_they(n: int, width: int) -> None:
    """The false-alarm rate is nominal, also with more features than visits: distances are of held-out visits."""
    new = first_visits(people(1500, width, seed=3))
    shares = np.concatenate([Likeness.of(people(n, width, seed=i)).share_as_far(new) for i in (11, 12, 13, 14)])
    assert (shares < 0.01).mean() == pytest.approx(0.01, abs=0.008)
    assert (shares < 0.1).mean() == pytest.approx(0.1, abs=0.035)
    assert shares.mean() == pytest.approx(0.5, abs=0.05)


def test_missing_cells_are_neither_near_nor_far() -> None:
    learned = Likeness.of(people(400, 60, seed=1))
    new = first_visits(people(3000, 60, seed=5))
    new[np.random.default_rng(0).random(new.shape) < 0.7] = np.nan
    shares = learned.share_as_far(new)
    assert 0.02 < (shares < 0.1).mean() < 0.14
    assert (shares < 0.01).mean() < 0.02


def test_gaps_in_training_change_little() -> None:
    cohort = people(400, 60, seed=1)
    gaps = np.random.default_rng(0).random(cohort.features.shape) < 0.1
    learned = Likeness.of(replace(cohort, features=np.where(gaps, np.nan, cohort.features)))
    new = first_visits(people(2000, 60, seed=5))
    new[np.random.default_rng(1).random(new.shape) < 0.1] = np.nan
    assert (learned.share_as_far(new) < 0.1).mean() == pytest.approx(0.1, abs=0.04)


def test_other_units_shifts_and_broken_patterns_are_far_out() -> None:
    learned = Likeness.of(people(300, 60, seed=1))
    new = first_visits(people(50, 60, seed=3))
    assert (learned.share_as_far(1.2 * new) == 0).all()
    shifted = new.copy()
    shifted[:, ::2] += 3.0  # each feature within what is usual, not so all together
    assert (np.abs(shifted - 50) > 4 * new.std(axis=0)).mean() < 0.01
    assert (learned.share_as_far(shifted) < 0.01).mean() > 0.95
    mixed = np.take_along_axis(new, np.argsort(np.random.default_rng(0).random(new.shape), axis=0), axis=0)
    assert (learned.share_as_far(mixed) < 0.01).mean() > 0.95  # usual features of different people


def test_few_subjects_no_features_in_common_and_constants() -> None:
    assert Likeness.of(tiny_cohort(9, 30)) is None
    cohort = tiny_cohort(12, 0)
    flat = replace(cohort, features=np.where(np.arange(6) == 2, 3.25, cohort.features))
    learned = Likeness.of(flat)
    shares = learned.share_as_far(np.array([np.where(np.arange(6) == 2, 99.0, np.nan), flat.features[0]]))
    assert shares[0] > 0.5  # nothing known but a constant
    assert np.isfinite(shares).all()
    assert learned.share_as_far(np.empty((0, 6))).shape == (0,)


def test_it_is_the_same_again_and_after_saving() -> None:
    cohort, new = people(100, 20, seed=1), first_visits(people(40, 20, seed=2))
    learned = Likeness.of(cohort)
    again = Likeness.from_state(learned.state())
    np.testing.assert_array_equal(again.share_as_far(new), learned.share_as_far(new))
    np.testing.assert_array_equal(Likeness.of(cohort).distances, learned.distances)

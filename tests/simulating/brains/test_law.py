from itertools import pairwise

import numpy as np
import pytest

from nextscan.errors import CohortError, SettingError
from nextscan.simulating.brains.law import SIZES, Ageing, covariates
from nextscan.simulating.brains.people import draw_people

SHAPE = (32, 40, 32)


@pytest.fixture(scope="module")
def people():
    return draw_people(700, SHAPE, seed=4)


def visits_of(law, subject):
    rows = np.flatnonzero(law.subject_of == subject)
    return rows, [str(name) for name in law.visits[rows]]


def test_an_interval_is_the_limit_of_many_small_steps():
    ageing = Ageing.usual()
    n, gap, steps = len(SIZES), 3.0, 20_000
    rng = np.random.default_rng(0)
    state, own, now = rng.normal(size=n), rng.normal(size=n), covariates(76.0, 2)
    step, mean, covariance = gap / steps, state.copy(), np.zeros((n, n))
    once = np.eye(n) + step * ageing.coupling
    for _ in range(steps):
        mean = once @ mean + step * (now @ ageing.rate + own)
        covariance = once @ covariance @ once.T + step * ageing.wobble
        now = now + np.array([0, step / 10, 0, 0])
    keep, give, push, noise = ageing.over(gap)
    np.testing.assert_allclose(keep @ state + give @ own + push @ covariates(76.0, 2), mean, atol=1e-4)
    np.testing.assert_allclose(noise, covariance, rtol=1e-3, atol=1e-8)


def test_two_intervals_are_their_sum():
    ageing = Ageing.usual()
    (keep, give, push, noise), (keep2, give2, push2, noise2) = ageing.over(1.2), ageing.over(3.1)
    later_keep, later_give, later_push, later_noise = ageing.over(1.9)
    np.testing.assert_allclose(later_keep @ keep, keep2, atol=1e-12)
    np.testing.assert_allclose(later_keep @ give + later_give, give2, atol=1e-12)
    np.testing.assert_allclose(later_keep @ noise @ later_keep.T + later_noise, noise2, atol=1e-15)
    older = np.eye(4)
    older[1, 0] = 0.12  # decades
    np.testing.assert_allclose(later_keep @ push + later_push @ older, push2, atol=1e-12)


def test_simulated_states_follow_the_law(people):
    """Changes after one visit, and after two, are standard normal by the law given what was seen before."""
    for n_seen, least in ((1, 500), (2, 250)):
        found = []
        for subject in range(len(people.subjects)):
            rows, names = visits_of(people, subject)
            if len(rows) > n_seen:
                gap = people.age[rows[n_seen]] - people.age[rows[n_seen - 1]]
                law = people.predict(str(people.subjects[subject]), names[:n_seen], gap)
                away = people.states[rows[n_seen]] - law.mean
                found.append(np.linalg.solve(np.linalg.cholesky(law.covariance), away))
        z = np.array(found)
        assert len(z) >= least
        assert np.abs(z.mean(axis=0)).max() < 4 / np.sqrt(len(z))
        assert np.abs(np.cov(z.T) - np.eye(len(SIZES))).max() < 5 * np.sqrt(2 / len(z))


def test_earlier_visits_tell_of_a_persons_own_rate(people):
    subject = int(np.flatnonzero(np.bincount(people.subject_of) == 4)[0])
    _, names = visits_of(people, subject)
    spread = [
        np.trace(people.predict(str(people.subjects[subject]), names[first:3], 2.0).covariance) for first in (2, 1, 0)
    ]
    assert spread[0] > 1.05 * spread[1] > spread[2]


def test_half_of_what_intervals_leave_open_is_predictable(people):
    change, expected, gaps, who = [], [], [], []
    for subject in range(len(people.subjects)):
        rows, names = visits_of(people, subject)
        for (before, name), (after, _) in pairwise(zip(rows, names, strict=True)):
            gap = people.age[after] - people.age[before]
            change.append(people.states[after] - people.states[before])
            law = people.predict(str(people.subjects[subject]), [name], gap)
            expected.append(law.mean - people.states[before])
            gaps.append(gap)
            who.append(people.diagnosis[subject])
    change, expected, gap = np.array(change), np.array(expected), np.array(gaps)[:, None]
    by_time = gap * (gap * change).sum(axis=0) / (gap**2).sum(axis=0)
    left = ((change - by_time) ** 2).mean(axis=0)
    share = 1 - ((change - expected) ** 2).mean(axis=0) / left
    assert ((share > 0.4) & (share < 0.65)).all(), share
    rate = np.array([(change[np.array(who) == k].sum(axis=0) / gap[np.array(who) == k].sum()) for k in range(3)])
    assert (np.diff(rate[:, 0]) > 0.01).all()  # ventricles grow by 3 to 10 % a year, faster when ill
    assert (np.diff(rate[:, 1:], axis=0) < 0).all()
    assert 0.03 < rate[0, 0] < rate[2, 0] < 0.13
    assert -0.065 < rate[2, 1] < rate[0, 1] < -0.01


def test_a_person_does_not_depend_on_how_many_others_there_are():
    few, many = draw_people(9, SHAPE, seed=1), draw_people(30, SHAPE, seed=1)
    n = len(few.visits)
    assert np.array_equal(few.states, many.states[:n])
    assert np.array_equal(few.age, many.age[:n])
    assert np.array_equal(few.form, many.form[:9])
    assert not np.array_equal(few.states, draw_people(9, SHAPE, seed=2).states)


def test_kinds_of_subjects(people):
    counts = np.bincount(people.subject_of)
    assert set(counts) == {1, 2, 3, 4}
    assert (counts == 1).mean() == pytest.approx(1 / 7, abs=0.01)
    gaps = np.diff(people.age)[np.diff(people.subject_of) == 0]
    assert 0.5 <= gaps.min() < 0.6
    assert 3.9 < gaps.max() <= 4.0
    assert set(people.diagnosis) == {0, 1, 2}


def test_draws_have_the_moments_of_the_law(people):
    law = people.predict("sub-001", ["ses-01"], 2.5)
    draws = law.draw("sub-001", 20_000, seed=3)
    root = np.linalg.cholesky(law.covariance)
    z = np.linalg.solve(root, (draws - law.mean).T)
    assert np.abs(z.mean(axis=1)).max() < 4 / np.sqrt(20_000)
    assert np.abs(np.cov(z) - np.eye(len(SIZES))).max() < 0.05
    assert np.array_equal(law.draw("sub-001", 5, seed=3), draws[:5])
    assert not np.array_equal(law.draw("sub-002", 5, seed=3), draws[:5])
    points = law.cubature()
    np.testing.assert_allclose(points.mean(axis=0), law.mean)
    np.testing.assert_allclose(np.cov(points.T, bias=True), law.covariance)


def test_nothing_happens_in_no_time(people):
    law = people.predict("001", ["01"], 0.0)
    assert np.array_equal(law.mean, people.states[0])
    np.testing.assert_allclose(law.draw("001", 3), np.tile(people.states[0], (3, 1)), atol=1e-12)


@pytest.mark.parametrize(
    ("seen", "gap", "message"),
    [((), 1.0, "forward from a visit"), (("ses-01",), -1.0, "forward from a visit"), (("ses-01",), np.nan, "forward")],
)
def test_what_the_law_does_not_say_is_refused(people, seen, gap, message):
    with pytest.raises(SettingError, match=message):
        people.predict("sub-001", list(seen), gap)


def test_strangers_are_named(people):
    with pytest.raises(CohortError, match="subject sub-9999 is not of the simulated cohort"):
        people.predict("sub-9999", ["ses-01"], 1.0)
    with pytest.raises(CohortError, match="subject sub-001: visit ses-09 is not"):
        people.predict("sub-001", ["ses-09"], 1.0)

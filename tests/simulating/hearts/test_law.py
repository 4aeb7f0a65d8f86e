import numpy as np
import pytest

from nextscan.errors import CohortError, SettingError
from nextscan.simulating.hearts.beat import QUANTITIES, Beat
from nextscan.simulating.hearts.posterior import MEASURED_SD, N_PEOPLE
from simulating_hearts import people

PATTERNS = {"ED": [0], "first 4": [0, 1, 2, 3], "ED and ES": None}


@pytest.fixture(scope="module")
def law():
    return people(300, seed=11)


def seen_frames(law, subject, pattern):
    frames = PATTERNS[pattern]
    return [0, int(law.beat(subject).lv[0].argmin())] if frames is None else frames


def scores(law, pattern, subjects):
    """Errors of the mean volume and EF, and whether 80 % intervals hold, over unseen frames."""
    errors, inside = [], []
    for name in map(str, subjects):
        seen = seen_frames(law, name, pattern)
        unseen = [k for k in range(law.n_frames) if k not in seen]
        found, truth = law.predict(name, law.times[seen], law.times[unseen]), law.beat(name)
        lv, ef, true, share = found.beats.lv, found.beats.ef, truth.lv[0, unseen], float(truth.ef[0])
        errors.append([np.abs(found.mean[:, 0] - true).mean(), 100 * abs(ef.mean() - share)])
        ends = np.quantile(lv, [0.1, 0.9], axis=0), np.quantile(ef, [0.1, 0.9])
        inside.append([((ends[0][0] <= true) & (true <= ends[0][1])).mean(), ends[1][0] <= share <= ends[1][1]])
    return np.mean(errors, axis=0), np.mean(inside, axis=0)


@pytest.mark.minutes
def test_intervals_of_unseen_frames_hold_what_they_say(law):
    for pattern in PATTERNS:
        _, inside = scores(law, pattern, law.subjects)
        assert ((inside > 0.76) & (inside < 0.84)).all(), (pattern, inside)


@pytest.mark.minutes
def test_more_frames_leave_less_error_and_any_frame_less_than_none(law):
    subjects = law.subjects[:12]
    middle = Beat.of(law.traits, law.times).lv.mean(axis=0)
    guess = np.mean([np.abs(law.beat(str(name)).lv[0] - middle)[1:].mean() for name in subjects])
    (one, ef_of_one), (four, ef_of_four), (ends, ef_of_ends) = (
        scores(law, pattern, subjects)[0] for pattern in PATTERNS
    )
    assert max(four, ends) < 0.75 * one < 0.75 * guess / 4
    assert 4 < one < 10
    assert max(ef_of_four, ef_of_ends) < 0.5 * ef_of_one


def test_hearts_of_the_sample_beat_as_was_seen(law):
    seen = law.times[[0, 3, 4]]
    found = law.predict("007", seen, law.times)
    assert found.people.shape[0] == N_PEOPLE
    away = (Beat.of(found.people, seen).stacked() - law.measured("007", seen)) / MEASURED_SD
    assert np.sqrt(np.square(away).mean()) < 1.3
    assert found.mean.shape == (12, len(QUANTITIES))
    spread = found.beats.lv.std(axis=0)
    assert spread[[0, 3, 4]].max() < 1.2 < spread[[7, 8]].min()


def test_what_is_measured_is_the_truth_with_an_error_of_its_own():
    law = people(150)
    errors = np.array([(law.measured(s, law.times) - law.beat(s).stacked()[0]) / MEASURED_SD for s in law.subjects])
    assert errors.std() == pytest.approx(1, abs=0.03)
    assert np.array_equal(law.measured("001", [0.25]), law.measured("sub-001", [0.25, 1.25])[:1])


def test_draws_are_whole_beats_and_repeatable(law):
    found = law.predict("002", [0.0], law.times)
    draws = found.draw(40, seed=3)
    assert np.array_equal(found.draw(7, seed=3).lv, draws.lv[:7])
    assert not np.array_equal(found.draw(7, seed=4).lv, draws.lv[:7])
    assert len(np.unique(draws.traits[:, 0])) == 40
    np.testing.assert_allclose(Beat.of(draws.traits, law.times).lv, draws.lv)
    again = law.predict("002", [0.0], law.times[:3])
    assert np.array_equal(again.people, found.people)
    many = found.draw(3000, seed=1)
    np.testing.assert_allclose(many.stacked().mean(axis=0), found.mean, rtol=0.02)


@pytest.mark.minutes
def test_knowing_the_group_helps(law):
    spreads = [
        [law.predict(str(name), [0.0], [0.35], know_group=known).beats.ef.std() for known in (False, True)]
        for name in law.subjects[:8]
    ]
    blind, told = np.mean(spreads, axis=0)
    assert told < blind


def test_groups_that_cannot_be_are_no_part_of_it():
    law = people(4, NOR=1, seed=2)
    assert law.physiology.shares.tolist() == [1, 0, 0, 0, 0]
    assert np.isfinite(law.predict("001", [0.0], [0.3]).people).all()


def test_what_the_law_does_not_know_is_refused(law):
    with pytest.raises(CohortError, match="subject sub-9999 is not of the simulated cohort"):
        law.predict("sub-9999", [0.0], [0.5])
    with pytest.raises(SettingError, match="predicts from frames seen at known times"):
        law.predict("001", [], [0.5])
    with pytest.raises(SettingError, match="predicts from frames seen at known times"):
        law.predict("001", [0.0], [np.nan])

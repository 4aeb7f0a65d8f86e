"""Which images of a film of training stand for those shown of another one."""

import numpy as np
import pytest

from film_samples import beats, film_cohort, still
from nextscan.imputers.sequences.bank import FilmBank
from nextscan.preprocess.volumes import VolumePreparer


def bank(*films, period=None):
    times = np.concatenate([np.asarray(film, float) for film in films])
    starts = np.cumsum([0, *map(len, films)])
    frames = np.arange(len(times), dtype=np.float16)[:, None, None, None] * np.ones((1, 1, 1, 1), np.float16)
    return FilmBank(frames, np.tile([-1.0, 1.0], (len(times), 1)), times, starts, period)


def found(films, times, target, period=None):
    held = bank(*films, period=period)
    return {
        match.film: (held.times[match.shown].tolist(), float(held.times[match.target]))
        for match in held.matches(np.array(times, float), target)
    }


def test_on_a_circle_phases_count():
    twelve, six = np.arange(12) / 12, np.arange(6) / 6
    shown = [0, 1 / 12, 2 / 12, 3 / 12]
    matched = found([twelve, six], shown, 11 / 12, period=1.0)
    assert matched[0] == (pytest.approx(shown), pytest.approx(11 / 12))
    assert matched[1][1] in (0.0, pytest.approx(5 / 6))
    assert matched[1][1] not in matched[1][0]
    assert found([np.arange(3) / 3], [0.0], 0.1, period=1.0)[0] == (
        [pytest.approx(1 / 3)],
        0.0,
    )  # not the target
    assert found([six + 3], [2.0], 1 / 3, period=1.0)[0] == ([3.0], 3 + 1 / 3)


def test_on_a_line_intervals_count():
    assert found([[0, 1, 3, 4]], [0, 2], 5)[0] == ([0, 1], 4)
    assert found([[0, 1, 3, 6]], [0.0], 2.0)[0] == ([1], 3)
    assert found([[0, 1, 3, 6]], [3.0], 0.0)[0] == ([3], 0)
    assert found([[0, 1, 3, 6]], [0.0, 5.0], 2.0)[0] == ([1, 6], 3)


def test_of_alike_intervals_those_at_the_same_time_are_taken():
    regular = np.arange(8)
    assert found([regular], [0, 1], 3)[0] == ([0, 1], 3)
    assert found([regular], [2, 3], 5)[0] == ([2, 3], 5)


def test_films_that_lack_an_image_around_the_target_are_left_out_while_others_have_it():
    assert set(found([[0, 2], [0, 1, 2], [0, 5, 9]], [0, 2], 1)) == {1, 2}
    assert found([[0, 2]], [0, 2], 1)[0][1] in (0, 2)  # none other there
    assert set(found([[0, 2], [0, 1, 2]], [0, 1], 3)) == {1}


def test_two_images_shown_are_two_of_a_film():
    assert found([[0, 3.4, 5]], [0, 0.5], 2)[0] == ([0, 3.4], 5)


def test_what_is_kept(tmp_path):
    cohort = beats(tmp_path / "beats", 4, n_frames=3)
    preparer = VolumePreparer.of(cohort)
    held, again, other = (
        FilmBank.of(cohort, preparer, n_films=2, seed=seed, match_brightness=False) for seed in (1, 1, 3)
    )
    assert len(held) == 2
    assert held.frames.shape == (6, 16, 16, 16)
    assert held.frames.dtype == np.float16
    assert held.starts.tolist() == [0, 3, 6]
    assert held.times.tolist() == [0, 1 / 3, 2 / 3] * 2
    np.testing.assert_array_equal(held.frames, again.frames)
    assert not np.array_equal(held.frames, other.frames)
    whole = FilmBank.of(cohort, preparer, n_films=40, seed=1, match_brightness=False)
    np.testing.assert_allclose(whole.image(4, 4), preparer.prepare(cohort, 4).data, atol=1e-3)


def test_films_made_equally_bright_have_one_window(tmp_path):
    films = {"sub-01": (np.arange(2.0), np.stack([still(), 1.3 * still()])), "sub-02": (np.zeros(1), still(1)[None])}
    cohort = film_cohort(tmp_path, films)
    held = FilmBank.of(cohort, VolumePreparer.of(cohort), n_films=5, seed=0, match_brightness=True)
    assert len(held) == 1
    np.testing.assert_array_equal(held.windows[0], held.windows[1])
    np.testing.assert_allclose(held.frames[1].astype(float), held.frames[0].astype(float), atol=2e-3)

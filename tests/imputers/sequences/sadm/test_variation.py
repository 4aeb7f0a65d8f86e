"""How people depart from what is expected of their films: measured, and drawn again."""

import numpy as np
import pytest

from nextscan.imputers.sequences.sadm.films import Film
from nextscan.imputers.sequences.sadm.times import Clock
from nextscan.imputers.sequences.sadm.variation import Variation, along, own_modes, places, variation_of
from nextscan.preprocess.volumes import Prepared

SHAPE, N = (6, 5, 4), 8
TIMES = np.arange(N) / N
CLOCK = Clock(1.0, 1 / N)


def direction(seed: int) -> np.ndarray:
    image = np.random.default_rng(seed).normal(size=SHAPE)
    return (image / np.sqrt(np.mean(image**2))).astype(np.float32)


def film(subject: str, course: np.ndarray, way: np.ndarray) -> Film:
    images = tuple(
        Prepared((0.3 + a * way).astype(np.float32), np.eye(4), -1.0, 1.0, (0, 0), np.eye(4), SHAPE, 0.0)
        for a in course
    )
    return Film(subject, images, TIMES, np.zeros(0), True)


def test_modes_are_the_directions_in_which_a_film_moves():
    out, back = direction(0), direction(1)
    back -= out * np.mean(out * back)
    back /= np.sqrt(np.mean(back**2))
    course = np.sin(np.pi * TIMES) ** 2
    images = [0.2 + 0.5 * a * out + 0.1 * b * back for a, b in zip(course, np.sin(2 * np.pi * TIMES), strict=True)]
    first, second = own_modes(images, 2)
    assert abs(np.mean(first * out)) == pytest.approx(1, abs=0.01)
    assert abs(np.mean(second * back)) == pytest.approx(1, abs=0.01)
    assert np.mean(first * (images[0] - images[4])) > 0  # from the first image's side
    np.testing.assert_allclose(along(own_modes(images, 2), 0.3 * first - 0.2 * second), [0.3, -0.2], atol=1e-5)


def test_a_film_that_stands_still_has_no_modes():
    assert not own_modes([direction(0)] * 3, 2).any()


@pytest.fixture(scope="module")
def measured() -> Variation:
    """Return the variation of 60 hearts that are expected to move by 1, and move by 1 + 0.3 times a normal number."""
    course = -(np.sin(np.pi * TIMES) ** 2)
    chance = np.random.default_rng(5)
    films = [film(f"s{i}", (1 + 0.3 * chance.normal()) * course, direction(i)) for i in range(60)]

    def expect(i: int, given: np.ndarray) -> np.ndarray:
        return np.stack([0.3 + a * direction(i) for a in course[~given]]).astype(np.float32)

    variation, left = variation_of(films, expect, CLOCK)
    assert max(float(np.abs(rest).max()) for _, rest in left) < 1e-3  # all of it lies along the modes
    return variation


def test_draws_depart_as_people_did(measured):
    given = TIMES == 0
    draws = measured.draw(given, "new", 4000, 1)
    course = np.sin(np.pi * TIMES) ** 2
    np.testing.assert_allclose(draws[..., 0].std(axis=0), 0.3 * course, rtol=0.2, atol=0.01)
    assert not draws[:, given].any()
    # of one draw all images are too much or all too little
    assert np.corrcoef(draws[:, 3, 0], draws[:, 5, 0])[0, 1] > 0.99


def test_draws_depend_on_name_seed_and_number_alone(measured):
    given = TIMES == 0
    draws = measured.draw(given, "a", 4, 1)
    np.testing.assert_array_equal(measured.draw(given, "a", 6, 1)[:4], draws)
    assert not np.allclose(measured.draw(given, "b", 4, 1), draws)
    assert not np.allclose(measured.draw(given, "a", 4, 2), draws)
    again = Variation.from_state(measured.state())
    np.testing.assert_array_equal(again.draw(given, "a", 4, 1), draws)


def test_cases_with_like_frames_given_are_taken():
    given = np.zeros((2, N), bool)
    given[0, 0], given[1, [0, 4]] = True, True
    curves = np.stack([np.full((N, 2), 1.0), np.full((N, 2), 0.1)]).astype(np.float32)
    variation = Variation(TIMES, np.array([0, 0]), given, curves)
    wide, narrow = (variation.draw(rows, "x", 500, 0)[:, 2].std() for rows in given)
    assert wide > 5 * narrow


def test_frames_lie_where_they_are_nearest_on_the_circle():
    np.testing.assert_array_equal(places(np.array([0.0, 0.26, 0.97]), TIMES, CLOCK), [0, 2, 0])
    np.testing.assert_array_equal(places(np.array([np.nan, np.nan]), TIMES, CLOCK), [0, 1])
    np.testing.assert_array_equal(places(np.array([3.0, 4.4]), np.arange(4) * 1.5, Clock(None, 1.5)), [0, 1])

"""Which frames are given in training, and what is then asked."""

import numpy as np
import pytest
import torch

from nextscan.imputers.sequences.sadm.films import Film, FilmExamples, given_frames
from nextscan.imputers.sequences.sadm.times import Clock
from nextscan.preprocess.volumes import Prepared

SHAPE = (6, 5, 4)


def film(subject: str, n: int, *, low: float = 0.0) -> Film:
    """Return a film whose k-th frame is k in one voxel, each in a window of its own."""
    images = []
    for k in range(n):
        data = np.full(SHAPE, -0.5, np.float32)
        data[2, 2, 1] = 0.1 * k
        images.append(Prepared(data, np.eye(4), low, low + 2.0, (0, 0), np.eye(4), SHAPE, 0.0))
    return Film(subject, tuple(images), np.arange(n) / n, np.zeros(0), True)


def examples(*films: Film) -> FilmExamples:
    return FilmExamples(films, Clock(1.0, 0.2), "linear", torch.device("cpu"))


@pytest.mark.parametrize("n", [2, 3, 12])
def test_something_is_always_given_and_something_asked(n):
    coins = np.random.default_rng(0).random((2000, 3 + n))
    given = np.array([given_frames(coin, n) for coin in coins])
    counts = given.sum(axis=1)
    assert counts.min() == 1
    assert counts.max() == n - 1
    assert given.mean(axis=0).min() > 0.1
    assert given[:, 0].mean() > 0.5
    assert (counts == 1).mean() > 0.3


def test_the_published_rule():
    coins = np.random.default_rng(0).random((2000, 15))
    given = np.array([given_frames(coin, 12, published=True) for coin in coins])
    target = 12 - np.argmax(given[:, ::-1], axis=1)  # the one after the last given
    assert given[:, 0].all()
    assert set(target.tolist()) == set(range(1, 12))
    between = np.array([row[1 : t - 1].mean() for row, t in zip(given, target, strict=True) if t > 6])
    assert between.mean() == pytest.approx(0.5, abs=0.03)


def test_films_of_several_lengths_side_by_side():
    given = [np.array([True, False, True, False, False]), np.array([False, True, False])]
    asked, targets = examples(film("a", 5), film("b", 3)).of([0, 1], given)
    assert asked.mask.tolist() == [[True, True], [True, False]]
    assert asked.asked.tolist() == [[True] * 3, [True, True, False]]
    np.testing.assert_allclose(targets[:, :, 2, 2, 1], [[0.1, 0.3, 0.4], [0.0, 0.2, 0.0]], atol=1e-6)
    np.testing.assert_allclose(asked.frames[:, :, 2, 2, 1], [[0.0, 0.2], [0.1, 0.0]], atol=1e-6)
    # linear on the circle: frame 2 of 5 lies between 1 and 3; frame 5 between 3 and the next 1
    np.testing.assert_allclose(asked.weights[0], [[0.5, 0.5], [1 / 3, 2 / 3], [2 / 3, 1 / 3]], atol=1e-6)
    np.testing.assert_allclose(asked.weights[1, :2], [[1, 0], [1, 0]])
    np.testing.assert_allclose(asked.base[0, :, 2, 2, 1], [0.1, 0.4 / 3, 0.2 / 3], atol=1e-6)


def test_all_images_of_an_example_are_moved_alike():
    data = examples(film("a", 4))
    coins = np.zeros((1, data.n_coins))
    asked, targets = data.batch([0], coins, published=False, flip=True, shift=1)
    marks = [np.argwhere(image.numpy() > -0.5) for image in [*asked.frames[0, 1:], *targets[0]]]
    assert {tuple(mark[0].tolist()) for mark in marks if len(mark)} == {(4, 3, 2)}  # mirrored, and moved by one voxel


def test_frames_come_in_the_scale_of_the_first():
    bright = film("a", 2)
    other = Prepared(bright.images[1].data, np.eye(4), 1.0, 5.0, (0, 0), np.eye(4), SHAPE, 0.0)
    both = Film("a", (bright.images[0], other), bright.times, bright.labels, True)
    native = (bright.images[1].data + 1) / 2 * 4 + 1  # of a window from 1 to 5
    np.testing.assert_allclose(both.frames[1], native - 1, atol=1e-5)  # in one from 0 to 2

"""What chance may do to a pair of images."""

from dataclasses import replace

import numpy as np

from linear_world import linear_examples
from nextscan.imputers.volumes.diffusion.settings import PRESETS, VolumeDiffusionSettings
from nextscan.imputers.volumes.examples import N_COINS

DEFAULT = VolumeDiffusionSettings()


def test_pairs_are_turned_mirrored_and_hidden_as_often_as_asked():
    settings = replace(DEFAULT, interval_dropout=0.3)
    examples, _ = linear_examples(settings)
    n = 64
    coins = np.random.default_rng(1).random((n, N_COINS))
    coins[:, 3:] = 0.5  # in the middle
    given, target = examples.batch(list(range(n)), coins, settings)
    backward = given.reach < 0
    known = given.numbers[:, -1] == 1
    assert backward.tolist() == (coins[:, 0] < 0.5).tolist()
    assert known.tolist() == ((coins[:, 0] < 0.5) | (coins[:, 1] >= 0.3)).tolist()
    assert (given.reach[~known] == 1).all()
    for i in range(n):
        source, later = examples.data.both(i, backward=bool(backward[i]))
        if coins[i, 2] < 0.5:
            source, later = source[::-1], later[::-1]
        np.testing.assert_array_equal(given.source[i, 0], source)
        np.testing.assert_array_equal(target[i, 0], later)
    plain, _ = examples.plain(5)
    np.testing.assert_array_equal(plain.source[0, 0], examples.data.both(5)[0])


def test_an_encoded_interval_is_never_hidden():
    settings = replace(DEFAULT, interval="encoded", backward=False, interval_dropout=0.9)
    examples, _ = linear_examples(settings)
    given, _ = examples.batch(list(range(64)), np.random.default_rng(1).random((64, N_COINS)), settings)
    assert given.numbers.isfinite().all()


def test_both_images_of_a_pair_are_shifted_alike():
    examples, _ = linear_examples(DEFAULT)
    coins = np.full((1, N_COINS), 0.99)
    coins[0, 4:] = 0.0, 0.5  # two voxels one way, two the other, none
    source, later = examples.data.both(3)
    given, target = examples.batch([3], coins, DEFAULT)
    for shifted, plain in zip((given.source, target), (source, later), strict=True):
        np.testing.assert_array_equal(shifted[0, 0, :-2, 2:], plain[2:, :-2])
        np.testing.assert_array_equal(shifted[0, 0, :-2, 1], plain[2:, 0])  # the outermost voxels again
        np.testing.assert_array_equal(shifted[0, 0, -1, 2:], plain[-1, :-2])


def test_the_paper_neither_turns_nor_mirrors_nor_hides():
    examples, _ = linear_examples(PRESETS["paper"])
    coins = np.zeros((4, N_COINS))
    given, target = examples.batch([0, 1, 2, 3], coins, PRESETS["paper"])
    for i in range(4):
        source, later = examples.data.both(i)
        np.testing.assert_array_equal(given.source[i, 0], source)
        np.testing.assert_array_equal(target[i, 0], later)
    assert (given.reach == 1).all()

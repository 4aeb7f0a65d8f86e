import numpy as np
import pandas as pd
import pytest

from nextscan.arrays import BoolArray, FloatArray
from nextscan.cohort.ties import improbable_ties


def ties(values: FloatArray, subjects: object = None) -> tuple[BoolArray, BoolArray]:
    keys = np.array([row.tobytes() for row in values], dtype=object)
    names = np.arange(len(values)) if subjects is None else np.asarray(subjects)
    return improbable_ties(values, keys, names, np.ones(len(values), bool))


def two_visits(rng: np.random.Generator, n: int, sd: list[float], change: list[float], step: list[float]) -> FloatArray:
    first = 10 * np.array(sd) + rng.normal(size=(n, len(sd))) * sd
    both = np.stack([first, first + rng.normal(size=first.shape) * change], axis=1).reshape(2 * n, -1)
    return np.round(both / step) * step


@pytest.mark.parametrize("seed", range(5))
def test_few_rounded_features_tie_by_chance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    volume = np.round(rng.normal(1400, 60, 600))
    values = np.column_stack([volume, np.round(rng.normal(0.73, 0.02, 600), 3), np.round(1755 / volume, 3)])
    assert pd.DataFrame(values).duplicated(keep=False).any()
    assert not ties(values)[1].any()


def test_copies_and_sums_of_features_add_nothing() -> None:
    rng = np.random.default_rng(1)
    left, right = np.round(rng.normal(30, 4, (2, 500)))
    values = np.column_stack([left, right, left + right, left * 2, right - left, left / 2, right * 3, left, right])
    assert pd.DataFrame(values).duplicated(keep=False).any()
    assert not ties(values)[1].any()


def test_independent_fine_features_do_not_tie_by_chance() -> None:
    rng = np.random.default_rng(2)
    values = np.round(rng.normal(2.5, 0.2, (300, 9)), 3)
    values[7] = values[120]
    assert np.flatnonzero(ties(values)[1]).tolist() == [7, 120]


def test_zeros_that_many_share_are_no_identity() -> None:
    rng = np.random.default_rng(3)
    lesions = np.where(rng.random((400, 1)) < 0.3, 0, np.round(rng.gamma(2, 400, (400, 30)), 2))
    assert not ties(lesions)[1].any()
    lesions[3] = lesions[np.flatnonzero(lesions[:, 0])[-1]]
    assert ties(lesions)[1].sum() == 2


def test_rows_of_zeros_or_one_filling_for_many_are_no_identity() -> None:
    values = np.round(np.random.default_rng(9).normal(2.5, 0.2, (60, 20)), 3)
    values[[5, 9]] = 0
    assert not ties(values)[1].any()
    values[[5, 9, *range(20, 30)]] = np.round(values[40:].mean(axis=0), 3)
    assert not ties(values)[1].any()


def test_a_follow_up_may_tie_where_change_is_small_against_rounding() -> None:
    values = two_visits(np.random.default_rng(4), 300, [60, 0.03, 5], [2, 0.002, 0.4], [1, 0.001, 0.1])
    same = (values[::2] == values[1::2]).all(axis=1)
    assert same.any()
    assert not ties(values, np.repeat(np.arange(300), 2))[0].any()


def test_features_equal_within_everybody_say_nothing_about_a_follow_up() -> None:
    values = two_visits(np.random.default_rng(5), 100, [90.0] * 8, [0.0] * 7 + [8.0], [0.1] * 7 + [1.0])
    assert not ties(values, np.repeat(np.arange(100), 2))[0].any()


def test_a_follow_up_entered_twice_is_told() -> None:
    values = two_visits(np.random.default_rng(6), 100, [90.0] * 8, [9.0] * 8, [0.1] * 8)
    values[21] = values[20]
    assert np.flatnonzero(ties(values, np.repeat(np.arange(100), 2))[0]).tolist() == [20, 21]


def test_nothing_tied_and_nothing_there() -> None:
    values = np.random.default_rng(7).normal(size=(6, 3))
    assert not np.any(ties(values))
    assert not np.any(ties(values[:0]))
    assert not np.any(ties(np.ones((4, 3))))
    assert not np.any(ties(np.full((4, 3), np.nan)))

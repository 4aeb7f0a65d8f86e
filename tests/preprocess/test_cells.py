from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

from nextscan.errors import CohortError
from nextscan.preprocess import CellImputer


def correlated(n=300, d=8, gaps=0.1, seed=0, complete=(0, 3)):
    generator = np.random.default_rng(seed)
    full = generator.normal(size=(n, 2)) @ generator.normal(size=(2, d)) + 0.2 * generator.normal(size=(n, d))
    full = 100 + full * 10.0 ** np.arange(-3, d - 3)
    missing = generator.random((n, d)) < gaps
    missing[:, list(complete)] = False
    return full, np.where(missing, np.nan, full)


@pytest.mark.parametrize("n_neighbours", [3, 50])
def test_equals_scikit_learn_on_training_data(n_neighbours):
    _, features = correlated()
    mean, sd = np.nanmean(features, axis=0), np.nanstd(features, axis=0)
    reference = IterativeImputer(
        max_iter=2,
        n_nearest_features=3 if n_neighbours == 3 else None,
        skip_complete=True,
        min_value=(np.nanmin(features, axis=0) - mean) / sd,
        max_value=(np.nanmax(features, axis=0) - mean) / sd,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected = reference.fit((features - mean) / sd).transform((features - mean) / sd) * sd + mean
    cells = CellImputer.fit(features, rounds=2, n_neighbours=n_neighbours)
    assert np.abs((cells.transform(features) - expected) / sd).max() < 1e-9
    assert set(cells.feature) == {1, 2, 4, 5, 6, 7}


def test_fills_gaps_close_to_the_truth_and_keeps_observed_cells_exactly():
    full, features = correlated()
    filled = CellImputer.fit(features).transform(features)
    gaps = np.isnan(features)
    assert np.array_equal(filled[~gaps], features[~gaps])
    assert not np.isnan(filled).any()
    for j in np.flatnonzero(gaps.any(axis=0)):
        others = np.column_stack([np.ones(len(full)), np.delete(full, j, axis=1)])
        known = others @ np.linalg.lstsq(others, full[:, j], rcond=None)[0]
        best = np.sqrt(np.mean((known - full[:, j]) ** 2))
        assert np.sqrt(np.mean((filled - full)[gaps[:, j], j] ** 2)) < 1.4 * best


def test_a_row_is_filled_without_looking_at_other_rows():
    full, features = correlated()
    cells = CellImputer.fit(features[:200])
    together = cells.transform(features[200:])
    assert np.array_equal(cells.transform(features[207:208]), together[7:8])
    assert np.array_equal(cells.transform(np.where(np.isnan(features[200:]), np.nan, full[200:])), together)


def test_gaps_where_training_had_none_take_the_mean_and_nothing_leaves_the_training_range():
    _, features = correlated()
    cells = CellImputer.fit(features)
    row = np.full((1, 8), np.nan)
    row[0, 1] = 1e9
    filled = cells.transform(row)[0]
    assert filled[0] == pytest.approx(features[:, 0].mean())
    assert filled[1] == 1e9
    others = np.arange(8) != 1
    assert (filled >= np.nanmin(features, axis=0))[others].all()
    assert (filled <= np.nanmax(features, axis=0))[others].all()


def test_large_tables_are_fitted_on_some_rows_with_every_gappy_feature_among_them():
    _, features = correlated(n=3000, gaps=0.1, complete=range(8))
    features[17, 1] = np.nan  # a single gap
    features[1:2900, 5] = np.nan  # few values
    cells = CellImputer.fit(features, max_rows=200)
    assert set(cells.feature) == {1, 5}
    again = CellImputer.fit(features, max_rows=200)
    assert all(np.array_equal(again.state()[name], value) for name, value in cells.state().items())
    exact = CellImputer.fit(features, max_rows=10_000)
    assert cells.mean == pytest.approx(exact.mean)
    assert cells.transform(features)[17, 1] == pytest.approx(
        exact.transform(features)[17, 1], abs=0.3 * np.nanstd(features[:, 1])
    )


def test_rows_without_any_value_are_not_learned_from():
    _, features = correlated()
    with_requests = np.vstack([features, np.full((50, 8), np.nan)])
    assert np.array_equal(CellImputer.fit(with_requests).weights, CellImputer.fit(features).weights)


def test_single_and_constant_features():
    one = CellImputer.fit(np.array([[1.0], [3.0]]))
    assert one.transform(np.array([[np.nan]])).tolist() == [[2.0]]
    _, features = correlated()
    features[:, 4] = np.where(np.isnan(features[:, 4]), np.nan, 0.1)
    assert (CellImputer.fit(features).transform(features)[:, 4] == 0.1).all()


def test_a_feature_without_any_value_is_a_named_error():
    _, features = correlated()
    features[:, 2] = np.nan
    with pytest.raises(CohortError, match=r"table\.csv: feature thickness has no value"):
        CellImputer.fit(features, names=("a", "b", "thickness", *"cdefg"), source="table.csv")


def test_state_restores_the_imputer():
    _, features = correlated()
    cells = CellImputer.fit(features)
    again = CellImputer.from_state(cells.state())
    assert np.array_equal(again.transform(features), cells.transform(features))

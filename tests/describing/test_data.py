import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from describing.describe_world import clean_cohort
from nextscan.describing.data import observe, summarise

QUANTILES = {"minimum": 0, "q01": 0.01, "q25": 0.25, "median": 0.5, "q75": 0.75, "q99": 0.99, "maximum": 1}


@given(arrays(float, (17, 3), elements=st.one_of(st.just(np.nan), st.integers(-4, 4).map(float))))
def test_summary_agrees_with_numpy(values):
    table = summarise(values, ("a", "b", "c"))
    for i in range(3):
        column = values[~np.isnan(values[:, i]), i]
        row = table.iloc[i]
        assert row["missing"] == 17 - len(column)
        assert row["distinct"] == len(np.unique(column))
        assert row["zeros"] == (column == 0).sum()
        if not len(column):
            assert np.isnan(row["median"])
            assert np.isnan(row["mean"])
            continue
        for name, share in QUANTILES.items():
            assert row[name] == pytest.approx(np.quantile(column, share), abs=1e-12)
        assert row["mean"] == pytest.approx(column.mean(), abs=1e-12)
        assert row["commonest"] == pytest.approx(np.unique(column, return_counts=True)[1].max() / len(column))
        if len(column) > 1:
            assert row["sd"] == pytest.approx(column.std(ddof=1), abs=1e-12)


@pytest.mark.parametrize(("decimals", "half"), [(0, 0.5), (1, 0.05), (3, 0.0005), (6, 5e-7)])
def test_rounding_is_recognised_through_float_noise(decimals, half):
    values = np.random.default_rng(1).uniform(1, 900, (300, 1)).round(decimals) * 3 / 3
    assert summarise(values + 1e-13, ("a",))["half_step"][0] == half


def test_continuous_values_are_not_rounded():
    values = np.random.default_rng(1).uniform(0, 1, (300, 1))
    assert summarise(values, ("a",))["half_step"][0] == 0


def test_order_first_and_pairs_skip_requests():
    cohort = clean_cohort(n_paired=3, n_single=2)
    values = cohort.features.copy()
    values[1] = np.nan  # the second visit of the first subject becomes a request
    object.__setattr__(cohort, "features", values)
    data = observe(cohort, np.zeros(5, bool))
    assert data.order.tolist() == [0, 0, 1, 0, 1, 0, 0]
    assert [part.tolist() for part in data.pairs] == [[1, 3], [2, 4]]


def test_where_names_a_level_or_the_pool():
    cohort = clean_cohort()
    data = observe(cohort, ~cohort.is_paired)
    north = np.flatnonzero(cohort.visit_labels["site"] == "north")
    assert data.where(north) == "all of site north"
    assert data.where(np.flatnonzero(~cohort.is_paired[cohort.subject_of])) == "exactly the pool"
    assert data.where(np.array([125, 130, 137, 140])) == "all in the pool"
    assert data.where(np.array([0, 130])) == ""

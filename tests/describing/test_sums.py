import numpy as np
import pytest

from describing.describe_world import clean_cohort, with_column, with_values
from nextscan.describing import describe


def found(cohort):
    return {each["parent"]: tuple(each["parts"]) for each in describe(cohort).facts["sums"]}


def test_left_plus_right_within_rounding():
    cohort = clean_cohort()
    total = np.round(cohort.features[:, 9] + cohort.features[:, 10], 0)
    assert found(with_column(cohort, "both", total)) == {"both": ("region9_volume", "region10_volume")}


def test_no_sums_in_a_clean_cohort():
    assert found(clean_cohort()) == {}
    assert found(clean_cohort(n_features=120, n_paired=20, n_single=20)) == {}


def test_pairs_are_found_with_fewer_visits_than_features():
    cohort = clean_cohort(n_paired=15, n_single=10, n_features=60)
    total = cohort.features[:, 20] + cohort.features[:, 21]
    assert found(with_column(cohort, "total", total)) == {"total": ("region20_volume", "region21_volume")}


def test_pairs_are_found_through_missing_cells():
    cohort = clean_cohort()
    cohort = with_column(cohort, "total", cohort.features[:, 10] + cohort.features[:, 11])
    holes = np.random.default_rng(0).random(cohort.features.shape) < 0.15
    holed = with_values(cohort, lambda values: values.__setitem__(holes, np.nan))
    assert found(holed) == {"total": ("region10_volume", "region11_volume")}


def test_pairs_survive_single_precision():
    cohort = clean_cohort()
    total = (cohort.features[:, 10] + cohort.features[:, 11]).astype(np.float32).astype(float)
    assert list(found(with_column(cohort, "total", total))) == ["total"]


def test_nested_totals_are_found():
    cohort = clean_cohort()
    a, b, c, d = (cohort.features[:, i] for i in (8, 9, 10, 11))
    cohort = with_column(cohort, "ab", a + b)
    cohort = with_column(cohort, "abcd", a + b + c + d)
    assert found(cohort) == {
        "ab": ("region8_volume", "region9_volume"),
        "abcd": ("region8_volume", "region9_volume", "region10_volume", "region11_volume"),
    }


def test_differences_and_means_are_found():
    cohort = clean_cohort()
    a, b, c = (cohort.features[:, i] for i in (10, 9, 8))
    facts = describe(with_column(cohort, "mix", a + 0.5 * b - c)).facts["sums"]
    assert facts[0]["parent"] in ("mix", "region10_volume")
    assert sorted(np.abs(facts[0]["weights"]).tolist()) == [0.5, 1.0, 1.0]


def test_near_sums_are_no_sums():
    cohort = clean_cohort()
    total = cohort.features[:, 10] + cohort.features[:, 11] + np.random.default_rng(0).normal(0, 20, 200)
    assert found(with_column(cohort, "total", total)) == {}


@pytest.mark.parametrize("broken", [[17], [17, 60, 130]])
def test_broken_rows_are_named(broken):
    cohort = clean_cohort()
    total = cohort.features[:, 10] + cohort.features[:, 11]
    total[broken] *= 1.3
    description = describe(with_column(cohort, "total", total))
    (finding,) = description.of("broken-sums")
    assert finding.columns == ("total",)
    assert finding.subjects == tuple(cohort.subject_names(np.array(broken)))
    assert finding.level == "warning"


def test_broken_rows_do_not_hide_a_larger_sum():
    cohort = clean_cohort(n_paired=150, n_single=150)
    total = cohort.features[:, 8:12].sum(axis=1)
    total[[5, 200]] *= 1.2
    description = describe(with_column(cohort, "total", total))
    assert description.facts["sums"][0]["parent"] == "total"
    assert description.facts["sums"][0]["holds"] == pytest.approx(1 - 2 / 450)


def test_low_rank_tables_do_not_drown_in_relations():
    generator = np.random.default_rng(0)
    cohort = clean_cohort()
    low = 100 + generator.normal(size=(200, 5)) @ generator.normal(size=(5, 24))
    assert found(with_values(cohort, lambda values: values.__setitem__(slice(None), low))) == {}

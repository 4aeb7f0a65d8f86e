from dataclasses import replace

import numpy as np
import pytest

from describing.describe_world import clean_cohort, with_values, with_visit_label
from nextscan.describing import describe
from nextscan.describing.pool import _auc


def only(description, code):
    (finding,) = description.of(code)
    return finding


def shifted(cohort, by):
    """Move the pool's features by so many sd of the paired first visits."""
    pool = ~cohort.is_paired[cohort.subject_of]
    sd = cohort.features[:120:2].std(axis=0, ddof=1)
    return with_values(cohort, lambda values: values.__setitem__(pool, values[pool] + by * sd))


def test_same_population_cannot_be_told_apart():
    description = describe(clean_cohort(n_paired=300, n_single=300))
    finding = only(description, "pool-shift")
    assert finding.level == "info"
    assert finding.columns == ()
    assert abs(description.facts["pool"]["auc"] - 0.5) < 3 * description.facts["pool"]["auc_error"]


def test_shifted_pool_is_found():
    cohort = shifted(clean_cohort(), np.r_[2.0, np.zeros(23)])
    description = describe(cohort)
    finding = only(description, "pool-shift")
    assert (finding.level, finding.columns) == ("warning", ("region0_volume",))
    table = description.tables["shift"]
    paired, pool = cohort.features[:120:2], cohort.features[120:]
    np.testing.assert_allclose(table["difference"], (pool.mean(0) - paired.mean(0)) / paired.std(0, ddof=1))
    np.testing.assert_allclose(table["variance_ratio"], pool.var(0, ddof=1) / paired.var(0, ddof=1))


def test_age_explains_the_shift_when_it_does():
    cohort = clean_cohort(n_paired=150, n_single=150)
    pool = ~cohort.is_paired[cohort.subject_of]
    age = np.where(pool, cohort.visit_labels["age"] - 10, cohort.visit_labels["age"])
    noise = np.random.default_rng(0).normal(0, 5, len(age))
    aged = with_values(cohort, lambda values: values.__setitem__((slice(None), 0), 5000 - 30 * age + noise))
    table = describe(with_visit_label(aged, "age", age)).tables["shift"]
    assert table["difference"][0] > 0.8
    assert abs(table["adjusted"][0]) < 0.02


def test_adjusted_agrees_with_least_squares_through_gaps():
    cohort = shifted(clean_cohort(), np.full(24, 1.0))
    holed = with_values(cohort, lambda values: values.__setitem__((slice(0, 200, 9), 2), np.nan))
    table = describe(holed).tables["shift"]
    rows = np.r_[0:120:2, 120:200]
    rows = rows[~np.isnan(holed.features[rows, 2])]
    age = holed.visit_labels["age"].to_numpy()[rows]
    sex = (holed.labels["sex"].to_numpy()[holed.subject_of[rows]] == "F").astype(float)
    design = np.column_stack([rows >= 120, np.ones(len(rows)), age, age**2, sex]).astype(float)
    effect = np.linalg.lstsq(design, holed.features[rows, 2], rcond=None)[0][0]
    sd = np.nanstd(holed.features[:120:2, 2], ddof=1)
    assert table["adjusted"][2] == pytest.approx(effect / sd, rel=1e-6)


def test_auc_of_a_known_separation():
    generator = np.random.default_rng(0)
    ours, theirs = generator.normal(0, 1, (900, 1)), generator.normal(1, 1, (900, 1))
    auc, error = _auc(ours, theirs, seed=0)
    assert auc == pytest.approx(0.7602, abs=0.03)  # Phi(1 / sqrt 2)
    assert error == pytest.approx(0.0112, abs=0.002)


def test_follow_up_selection_by_age_and_sex():
    cohort = clean_cohort(n_paired=150, n_single=150)
    pool = ~cohort.is_paired[cohort.subject_of]
    age = np.where(pool, cohort.visit_labels["age"] + 8, cohort.visit_labels["age"])
    sex = np.where(cohort.is_paired, np.where(np.arange(300) % 10, "F", "M"), cohort.labels["sex"])
    chosen = with_visit_label(replace(cohort, labels=cohort.labels.assign(sex=sex)), "age", age)
    description = describe(chosen)
    assert {finding.columns for finding in description.of("selection")} == {("age",), ("sex",)}
    table = description.tables["selection"].set_index("label")
    first = age[:300:2]
    assert table["difference"]["age"] == pytest.approx((age[300:].mean() - first.mean()) / first.std(ddof=1))
    others = (cohort.labels["sex"][150:] == "F").mean()
    assert table["difference"]["sex"] == pytest.approx(abs(0.9 - others))


def test_pool_from_other_sites():
    cohort = clean_cohort()
    pool = ~cohort.is_paired[cohort.subject_of]
    site = np.where(pool, "elsewhere", "here")
    texts = [finding.text for finding in describe(with_visit_label(cohort, "site", site)).of("selection")]
    assert texts == ["the pool and paired subjects share no site: here against elsewhere"]


def test_small_groups_are_not_compared():
    description = describe(clean_cohort(n_paired=60, n_single=10))
    assert "pool" not in description.facts
    assert len(description.tables["selection"]) == 0

import numpy as np
import pytest

from describing.describe_world import clean_cohort, with_column, with_values
from nextscan.describing import describe
from nextscan.describing.columns import correlations
from nextscan.describing.data import observe


def only(description, code):
    (finding,) = description.of(code)
    return finding


def test_constant_and_nearly_constant():
    cohort = with_column(clean_cohort(), "always", np.full(200, 7.0))
    rare = np.zeros(200)
    rare[:5] = [1.5, 2, 3, 4, 9]
    description = describe(with_column(cohort, "rare", rare))
    assert only(description, "constant-features").columns == ("always",)
    assert "always = 7" in only(description, "constant-features").text
    assert only(description, "nearly-constant-features").columns == ("rare",)


def test_identical_rescaled_and_near_features():
    cohort = clean_cohort()
    volume = cohort.features[:, 8]
    cohort = with_column(cohort, "copy", volume)
    cohort = with_column(cohort, "in_ml", np.round(volume / 1000, 2))
    noise = np.random.default_rng(0).normal(size=200)
    cohort = with_column(cohort, "almost", volume + 0.01 * volume.std() * noise)
    description = describe(cohort)
    assert only(description, "identical-features").columns == ("region8_volume", "copy")
    assert only(description, "rescaled-features").columns == ("region8_volume", "in_ml")
    assert only(description, "nearly-identical-features").columns == ("region8_volume", "in_ml", "almost")


def test_three_copies_are_one_group():
    cohort = clean_cohort()
    for name in ("b", "c"):
        cohort = with_column(cohort, name, cohort.features[:, 0])
    finding = only(describe(cohort), "identical-features")
    assert finding.text.startswith("1 group of identical features: region0_volume = b = c")
    assert finding.level == "warning"


def test_copies_are_found_through_missing_cells():
    cohort = with_column(clean_cohort(), "copy", clean_cohort().features[:, 0])
    holes = np.random.default_rng(0).random(cohort.features.shape) < 0.1
    description = describe(with_values(cohort, lambda values: values.__setitem__(holes, np.nan)))
    assert only(description, "identical-features").columns == ("region0_volume", "copy")


def test_missing_values_are_counted():
    cohort = clean_cohort()

    def plant(values):
        values[:, 0] = np.nan
        values[:120, 1] = np.nan
        values[7, 5:] = np.nan

    description = describe(with_values(cohort, plant))
    assert only(description, "all-missing").columns == ("region0_volume",)
    often = only(description, "often-missing")
    assert often.columns == ("region1_volume",)
    assert "60 %" in often.text
    assert often.level == "warning"
    assert only(description, "thin-visits").subjects == ("sub-003",)
    assert description.facts["missing"]["cells"] == 200 + 120 + 19
    table = description.tables["missing_by_visit"]
    assert table["visits"].tolist() == [140, 60]
    second = 60 + 60 + 19  # row 7 is a second visit; of the first 120 rows every other one is
    assert table["missing"][1] == pytest.approx(second / (60 * 24))


def test_missing_at_second_visits_only():
    cohort = clean_cohort()
    second = cohort.visits == "2"
    description = describe(with_values(cohort, lambda values: values.__setitem__((second, slice(0, 5)), np.nan)))
    assert "21 % at second ones" in only(description, "missing-by-visit").text


def test_missing_map_averages_blocks():
    cohort = clean_cohort()
    picture = describe(with_values(cohort, lambda values: values.__setitem__((slice(0, 100), 3), np.nan)))
    shares = picture.plots["missing_map"]
    assert shares.shape == (80, 24)
    assert shares[:, 3].mean() == pytest.approx(0.5, abs=0.02)
    assert np.delete(shares, 3, axis=1).max() == 0


def test_correlations_agree_with_numpy():
    cohort = clean_cohort()
    data = observe(cohort, np.zeros(140, bool))
    np.testing.assert_allclose(correlations(data), np.corrcoef(cohort.features[data.first].T), atol=1e-12)


def test_structure_of_independent_and_of_one_dimensional_features():
    cohort = clean_cohort(n_paired=0, n_single=2000, n_features=10)
    noise = np.random.default_rng(0).normal(50, 1, (2000, 10))
    independent = describe(with_values(cohort, lambda values: values.__setitem__(slice(None), noise)))
    assert independent.facts["structure"]["effective_dimensions"] == pytest.approx(10, abs=0.2)
    one = noise[:, :1] + 0.05 * np.random.default_rng(1).normal(size=(2000, 10))
    together = describe(with_values(cohort, lambda values: values.__setitem__(slice(None), one)))
    assert together.facts["structure"]["effective_dimensions"] == pytest.approx(1, abs=0.01)
    assert together.facts["structure"]["components_for_half"] == 1

import numpy as np
import pytest

from describing.describe_world import clean_cohort, with_column, with_values
from nextscan.describing import describe

WARNINGS = {"infinite-values", "zero-filled", "negative-values", "unit-jump"}


def impossible(description):
    return {finding.code: finding for finding in description.findings if finding.code in WARNINGS}


def test_infinite_values():
    found = impossible(describe(with_values(clean_cohort(), lambda values: values.__setitem__((5, 2), np.inf))))
    assert list(found) == ["infinite-values"]
    assert found["infinite-values"].columns == ("region2_volume",)
    assert found["infinite-values"].subjects == ("sub-002",)


def test_zeros_that_fill_gaps():
    cohort = clean_cohort()
    pool = ~cohort.is_paired[cohort.subject_of]
    description = describe(with_values(cohort, lambda values: values.__setitem__((pool, 15), 0.0)))
    found = impossible(description)
    assert list(found) == ["zero-filled"]
    assert found["zero-filled"].columns == ("region15_thickness",)
    assert "exactly the pool" in found["zero-filled"].text
    assert description.of("absent-in-pool")[0].columns == ("region15_thickness",)
    assert description.facts["missing"]["cells"] == 0  # the table itself has no empty cell


@pytest.mark.parametrize("kind", ["counts", "binary", "rare", "lesions"])
def test_zeros_that_belong(kind):
    generator = np.random.default_rng(0)
    values = {
        "counts": generator.poisson(3, 200).astype(float),
        "binary": (generator.random(200) < 0.5).astype(float),
        "rare": np.where(generator.random(200) < 0.04, generator.uniform(80, 100, 200), 0),
        "lesions": np.where(generator.random(200) < 0.4, 0, generator.lognormal(3, 1, 200)),
    }[kind]
    assert impossible(describe(with_column(clean_cohort(), "lesion_volume", values))) == {}


def test_negative_volumes():
    found = impossible(describe(with_values(clean_cohort(), lambda values: values.__setitem__((5, 2), -40.0))))
    assert list(found) == ["negative-values"]
    assert found["negative-values"].subjects == ("sub-002",)


def test_negative_scores_are_fine():
    score = np.random.default_rng(0).normal(size=200)
    assert impossible(describe(with_column(clean_cohort(), "score", score))) == {}
    assert impossible(describe(with_column(clean_cohort(), "volume_z", score))) == {}


@pytest.mark.parametrize("factor", [1000.0, 0.001, 10.0])
def test_one_visit_in_other_units(factor):
    description = describe(with_values(clean_cohort(), lambda values: values.__setitem__(31, values[31] * factor)))
    found = impossible(description)
    assert list(found) == ["unit-jump"]
    assert found["unit-jump"].subjects == ("sub-015",)
    assert len(found["unit-jump"].columns) > 18
    assert ("larger" if factor > 1 else "smaller") in found["unit-jump"].text
    assert description.of("outlying-visits") == ()  # set aside, not reported twice


def test_half_of_the_cohort_in_other_units():
    cohort = clean_cohort()
    south = (cohort.visit_labels["site"] == "south").to_numpy()
    found = impossible(
        describe(with_values(cohort, lambda values: values.__setitem__((south, 0), values[south, 0] / 1000)))
    )
    assert list(found) == ["unit-jump"]
    assert found["unit-jump"].columns == ("region0_volume",)
    assert "all of site" in found["unit-jump"].text
    assert "about 1,100 times" in found["unit-jump"].text


def test_outlying_visit_and_extreme_cell():
    cohort = clean_cohort()
    sd, log_sd = cohort.features.std(axis=0), np.log(cohort.features).std(axis=0)

    def plant(values):
        values[31] *= np.exp(-7 * log_sd)
        values[90, 15] = np.median(values[:, 15]) + 14 * sd[15]

    description = describe(with_values(cohort, plant))
    (outlying,) = description.of("outlying-visits")
    assert outlying.subjects == ("sub-015",)
    (extreme,) = description.of("extreme-cells")
    assert "region15_thickness" in extreme.columns
    assert "sub-045" in extreme.subjects
    table = description.tables["outliers"]
    assert table["subject"].tolist()[:2] == ["sub-015", "sub-045"]
    assert table["worst_feature"][1] == "region15_thickness"
    assert table["worst_z"][1] == pytest.approx(14, rel=0.15)


def test_skewed_features_have_few_extremes():
    skewed = np.random.default_rng(0).lognormal(3, 1, 200)
    description = describe(with_column(clean_cohort(), "ventricle", skewed))
    assert description.facts["extreme"]["cells"] == 0

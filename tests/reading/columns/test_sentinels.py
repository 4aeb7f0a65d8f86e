import numpy as np
import pytest

from nextscan.reading.columns.sentinels import isolated_codes

GENERATOR = np.random.default_rng(4)
YEARS = [8.0, 12, 12, 14, 16, 16, 18, 20]
AGES = GENERATOR.integers(55, 91, 60).astype(float)
SCORES = GENERATOR.integers(0, 61, 80).astype(float)
VOLUMES = np.round(GENERATOR.normal(950, 60, 90))
MILLILITRES = np.round(GENERATOR.normal(3.4, 0.3, 40), 2)


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([*YEARS, -9], [-9]),
        ([*YEARS, -4, -9], [-9, -4]),
        ([*YEARS, 99, 99], [99]),
        ([*YEARS, 88, 99], [88, 99]),
        ([0, 1, 1, 2, -4], [-4]),
        ([*AGES, 999], [999]),
        ([*AGES, -777], [-777]),
        ([*SCORES, 99, 99, 99], [99]),
        ([*MILLILITRES, -9], [-9]),
        ([*MILLILITRES, -999, 9999], [-999, 9999]),
        (np.r_[GENERATOR.normal(0, 1, 50), -999], [-999]),
        ([*VOLUMES, 9999], [9999]),
    ],
)
def test_codes_stand_apart(values: list[float], codes: list[float]) -> None:
    assert isolated_codes(np.asarray(values, float)) == codes


@pytest.mark.parametrize(
    "values",
    [
        [*VOLUMES, 999, 999],
        [*AGES, 88],
        np.r_[GENERATOR.normal(0, 4, 60), -4, -9],  # z-scores and changes
        GENERATOR.integers(-9, 6, 60),
        np.r_[np.round(GENERATOR.normal(12, 9, 60), 1), -4],  # temperatures
        [-1, 0, 1, 1],
        [-1, 1, 1],
        [1, 2, 1],
        SCORES,
        [99.0, 99.0],
        GENERATOR.integers(80, 131, 100),  # IQ holds 88 and 99
        [-9, -8, -4],
    ],
)
def test_values_are_no_codes(values: list[float]) -> None:
    assert isolated_codes(np.asarray(values, float)) == []


def test_an_age_of_99_is_one_and_rare_high_measures_are_outliers() -> None:
    assert isolated_codes(np.array([61.0, 64, 66, 99]), is_age=True) == []
    assert isolated_codes(np.array([1.0, 2, 3, 88]), is_measure=True) == []
    assert isolated_codes(np.array([1.0, 2, 3, 88])) == [88]


def test_what_is_never_negative_has_minus_one_as_a_code_only() -> None:
    counts = np.r_[GENERATOR.integers(0, 12, 60), -1, -1].astype(float)
    assert isolated_codes(counts, positive=True) == [-1]
    assert isolated_codes(counts) == []

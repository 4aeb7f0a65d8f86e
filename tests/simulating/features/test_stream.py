import tracemalloc

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import pairs
from nextscan.errors import OutputError, SettingError
from nextscan.reading import read_cohort
from nextscan.simulating import load_law, simulate
from nextscan.simulating.features import stream
from nextscan.simulating.features.labels import labels_at_first_visit
from nextscan.simulating.features.regions import regions


def first_visits(cohort):
    return np.flatnonzero(np.diff(cohort.subject_of, prepend=-1))


def test_a_subject_does_not_depend_on_how_many_others_there_are():
    few, many = (simulate(n_subjects=n, n_features=30, n_pairs=n // 3, world="hard", seed=1) for n in (300, 900))
    rows = first_visits(many)[:300]
    assert np.array_equal(few.features[first_visits(few)], many.features[rows])
    assert few.labels.equals(many.labels[:300])
    both = few.is_paired & many.is_paired[:300]
    assert both.sum() > 10
    second = [cohort.features[first_visits(cohort)[:300][both] + 1] for cohort in (few, many)]
    assert np.array_equal(*second)


@pytest.mark.parametrize(("suffix", "digits"), [("parquet", 0), ("csv", 1e-8)])
def test_the_table_is_the_cohort_and_reading_understands_it(tmp_path, suffix, digits):
    settings = {"n_subjects": 700, "n_features": 30, "n_pairs": 80, "missing": 0.02, "seed": 3}
    path = simulate(tmp_path / f"cohort.{suffix}", **settings)
    assert {file.name for file in tmp_path.iterdir()} == {"cohort.law.npz", f"cohort.{suffix}"}
    read, made = read_cohort(path), simulate(**settings)
    assert read.feature_names == made.feature_names
    assert set(read.labels) == set(made.labels)
    assert list(read.visit_labels) == ["age"]
    np.testing.assert_allclose(read.features, made.features, rtol=digits)
    np.testing.assert_allclose(read.years, made.years, rtol=digits)
    assert list(read.subjects) == list(made.subjects)
    assert list(read.visits) == list(made.visits)
    y, want = (
        labels_at_first_visit(cohort, first_visits(cohort), load_law(cohort.law).standard) for cohort in (read, made)
    )
    np.testing.assert_allclose(y, want, atol=1e-9)
    assert read.law == str(tmp_path / "cohort.law.npz")


def test_the_table_does_not_depend_on_the_size_of_its_blocks(tmp_path, monkeypatch):
    def table(tiles):
        monkeypatch.setattr(stream, "_TILES_PER_BLOCK", tiles)
        return pd.read_parquet(simulate(tmp_path / f"{tiles}.parquet", n_subjects=1100, n_features=20, n_pairs=100))

    pd.testing.assert_frame_equal(table(1), table(3), check_exact=True)


def test_memory_does_not_grow_with_the_cohort(tmp_path):
    def peak(n_subjects):
        tracemalloc.start()
        simulate(tmp_path / "cohort.parquet", n_subjects=n_subjects, n_features=40, n_pairs=n_subjects // 8)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(300)  # imports
    assert peak(12_000) < 1.3 * peak(3_000)


def test_numbers_of_subjects_visits_and_gaps_are_as_asked():
    cohort = simulate(n_subjects=3000, n_features=4, n_pairs=1500, n_visits=4, missing=0.1, seed=2)
    assert (cohort.n_subjects, cohort.is_paired.sum()) == (3000, 1500)
    assert set(cohort.observed_visits) == {1, 2, 3, 4}
    gap = pairs(cohort).gap
    assert gap.mean() == pytest.approx(2.67, abs=0.08)
    assert gap.std() == pytest.approx(1.17, abs=0.08)
    assert np.isnan(cohort.features).mean() == pytest.approx(0.1, abs=0.01)
    assert not cohort.is_request.any()
    age = cohort.visit_labels["age"].to_numpy()
    np.testing.assert_allclose(age - cohort.years, age[first_visits(cohort)][cohort.subject_of], atol=1e-9)


def test_first_visits_have_the_moments_of_the_law():
    cohort = simulate(n_subjects=6000, n_features=8, n_pairs=0, world="hard", seed=9)
    law = load_law(cohort.law)
    y = labels_at_first_visit(cohort, np.arange(6000), law.standard)
    residual = (cohort.features - law.centre) / law.scale - y @ law.level
    want = law.loading.T @ law.loading + np.diag(law.specific_variance + law.noise_variance)
    assert np.abs(residual.mean(axis=0)).max() < 4 / np.sqrt(6000)
    assert np.abs(np.cov(residual.T) - want).max() < 0.07
    np.testing.assert_allclose(want.diagonal(), 1)


@pytest.mark.parametrize("world", ["linear", "hard"])
def test_values_are_positive_and_move_like_measurements(world):
    cohort = simulate(n_subjects=2000, n_features=60, n_pairs=2000, world=world, seed=7)
    assert cohort.features.min() > 0
    found = pairs(cohort)
    first, second = cohort.features[found.context], cohort.features[found.target]
    again = [np.corrcoef(first[:, j], second[:, j])[0, 1] for j in range(60)]
    assert 0.55 < np.mean(again) < 0.85
    grows = np.array([region.grows for region in regions(60)])
    change = (second - first).mean(axis=0)
    assert ((change > 0) == grows).mean() > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_subjects": 0}, "n_subjects >= 1"),
        ({"n_pairs": 11}, "0 <= n_pairs <= n_subjects"),
        ({"n_visits": 1}, "n_visits >= 2"),
        ({"missing": 1.0}, "0 <= missing < 1"),
        ({"world": "flat"}, "no world named flat; there are linear, hard"),
        ({"world": "hard", "n_visits": 3}, "exact law for 2 visits only"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        simulate(**{"n_subjects": 10, "n_features": 5, "n_pairs": 5} | settings)


def test_nothing_is_left_where_writing_fails(tmp_path):
    with pytest.raises(OutputError):
        simulate(tmp_path / "nowhere" / "cohort.parquet", n_subjects=5, n_features=3, n_pairs=1)
    with pytest.raises(SettingError, match="choose one of these endings"):
        simulate(tmp_path / "cohort.xlsx", n_subjects=5, n_features=3, n_pairs=1)
    assert not list(tmp_path.iterdir())

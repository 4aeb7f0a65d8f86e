"""Reading as a whole: real tables, and cohorts written and read again."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextscan.cohort import Cohort
from nextscan.errors import CohortError, NextscanWarning
from nextscan.reading import read_cohort
from samples import tiny_cohort

# -- real tables ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables(shared_data: Path) -> Path:
    return shared_data / "features"


def pool_of(tables: Path) -> list[Path]:
    openneuro = [tables / "openneuro" / f"OpenNeuroTransfer_ct_{part}.csv" for part in ("te", "tr")]
    return [*openneuro, tables / "fcon1000" / "fcon1000.csv"]


def test_a_longitudinal_table(tables: Path) -> None:
    cohort = read_cohort(tables / "nimh_cz" / "LNM_data.csv")
    assert (cohort.n_subjects, cohort.n_visits, cohort.n_features) == (165, 330, 185)
    assert cohort.is_paired.all()
    gap = cohort.years[1::2]
    assert (gap.mean().round(2), gap.min().round(2), gap.max().round(2)) == (1.19, 0.86, 2.99)
    assert list(cohort.labels) == ["sex", "site", "group"]
    assert cohort.labels["group"].value_counts().tolist() == [98, 67]


def test_a_pool_of_three_tables(tables: Path) -> None:
    with pytest.warns(NextscanWarning) as told:
        cohort = read_cohort(tables / "nimh_cz" / "LNM_data.csv", unpaired=pool_of(tables))
    said = [str(warning.message) for warning in told]
    assert any("te.csv: 19 rows of 19 subjects" in line and "upstream repeat" in line for line in said)
    assert any("tr.csv: 9 scans are in an earlier table too" in line for line in said)
    assert any("subject ICBM_sub41546 has the same imaging as subject ICBM_sub10582" in line for line in said)
    assert any("label sex is coded differently" in line for line in said)
    filled = [line for line in said if "columns with one value for everybody" in line]
    assert len(filled) == 2
    assert all("Left-Thalamus-Proper = 0" in line for line in filled)
    assert (cohort.n_subjects, cohort.n_features, cohort.is_paired.sum()) == (165 + 518 + 1077, 185, 165)
    origin = pd.Series(cohort.subjects[cohort.subject_of])
    thalamus = cohort.features[:, cohort.feature_names.index("Left-Thalamus-Proper")]
    assert np.isnan(thalamus).sum() == 518
    assert origin[np.isnan(thalamus)].str.startswith("sub-ds").all()


def test_sex_of_the_pool_can_be_mapped(tables: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.toml"
    schema.write_text(
        '[labels.site]\n[labels.group]\n[labels.sex]\ncodes = { M = "M", F = "F" }\n'
        '[files."fcon1000.csv".labels.sex]\ncodes = { 1 = "M", 0 = "F" }\n'
        '[files."OpenNeuro*".labels.sex]\ncodes = { 1 = "M", 0 = "F" }\n'
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NextscanWarning)
        cohort = read_cohort(tables / "nimh_cz" / "LNM_data.csv", schema, unpaired=pool_of(tables)[2:])
    assert sorted(cohort.labels["sex"].unique()) == ["F", "M"]
    assert cohort.labels["sex"].notna().all()


def test_repeats_of_a_table_read_alone(tables: Path) -> None:
    with pytest.warns(NextscanWarning, match="19 rows of 19 subjects"):
        cohort = read_cohort(pool_of(tables)[0])
    assert (cohort.n_subjects, cohort.n_visits) == (417, 417)
    assert any("left out as identifiers: sitenum" in note for note in cohort.notes)


def test_freesurfer_tables_with_participants(tables: Path) -> None:
    cohort = read_cohort(tables / "aomic_piop2" / "fs_stats")
    assert (cohort.n_subjects, cohort.n_visits, cohort.n_features) == (226, 226, 1124)
    first = pd.read_csv(tables / "aomic_piop2" / "participants.tsv", sep="\t").set_index("participant_id")
    np.testing.assert_array_equal(cohort.visit_labels["age"], first.loc[cohort.subjects, "age"])
    assert cohort.units["lh_insula_thickness"] == "mm"
    assert cohort.units["Left-Hippocampus"] == "mm3"
    volume = pd.read_csv(
        tables / "aomic_piop2" / "fs_stats" / "data-subcortical_type-aseg_measure-volume_hemi-both.tsv",
        sep="\t",
    ).set_index("Measure:volume")
    column = cohort.features[:, cohort.feature_names.index("Left-Hippocampus")]
    assert column.tolist() == volume.loc[cohort.subjects, "Left-Hippocampus"].tolist()


@pytest.mark.parametrize(("name", "n_visits", "n_features"), [("alzheimer", 1975, 2), ("parkinson-putamen", 1997, 1)])
def test_irregular_visits_timed_by_age(tables: Path, name: str, n_visits: int, n_features: int) -> None:
    cohort = read_cohort(tables / "leaspy_synthetic" / f"{name}.csv")
    assert (cohort.n_subjects, cohort.n_visits, cohort.n_features) == (200, n_visits, n_features)
    assert cohort.visit_labels["age"].between(30, 110).all()
    np.testing.assert_allclose(cohort.years[:2], [0, 0.6 if name == "alzheimer" else 0.2], atol=1e-4)


# -- written and read again -----------------------------------------------------------------------


def same(first: Cohort, second: Cohort) -> None:
    assert second.subjects.tolist() == first.subjects.tolist()
    assert second.visits.tolist() == first.visits.tolist()
    assert second.feature_names == first.feature_names
    np.testing.assert_array_equal(second.subject_of, first.subject_of)
    np.testing.assert_allclose(second.years, first.years, rtol=1e-12)
    np.testing.assert_array_equal(second.features, first.features)
    pd.testing.assert_frame_equal(second.labels, first.labels, check_dtype=False)
    pd.testing.assert_frame_equal(second.visit_labels, first.visit_labels, check_dtype=False)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_cohort_survives_its_long_table(cohort: Cohort, tmp_path: Path, suffix: str) -> None:
    path, frame = tmp_path / f"study{suffix}", cohort.to_frame()
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="," if suffix == ".csv" else "\t")
    same(cohort, read_cohort(path))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_order_of_rows_gives_the_same_visits(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    cohort = tiny_cohort(n_paired=data.draw(st.integers(1, 5)), n_single=3, seed=data.draw(st.integers(0, 99)))
    frame = cohort.to_frame()
    order = data.draw(st.permutations(range(len(frame))))
    delimiter = data.draw(st.sampled_from([",", ";", "\t", "|"]))
    gaps = data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=6))
    for row, column in gaps:
        frame.loc[row, f"feature-{column}"] = np.nan
    path = tmp_path_factory.mktemp("order") / "study.csv"
    frame.iloc[list(order)].to_csv(path, index=False, sep=delimiter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NextscanWarning)
        read = read_cohort(path)
    back = read.to_frame().set_index(["subject", "visit"]).sort_index()
    wanted = frame.dropna(how="all", subset=list(cohort.feature_names)).set_index(["subject", "visit"]).sort_index()
    pd.testing.assert_frame_equal(back.loc[wanted.index, wanted.columns], wanted, check_dtype=False, rtol=1e-12)


# -- choices --------------------------------------------------------------------------------------


def test_features_can_be_excluded(tmp_path: Path) -> None:
    (tmp_path / "study.csv").write_text("id,lh_a,lh_b,eTIV\n1,2,3,4\n2,3,4,5\n")
    assert read_cohort(tmp_path / "study.csv", exclude=["eTIV", "/_b$/"]).feature_names == ("lh_a",)
    assert read_cohort(tmp_path / "study.csv", exclude="lh_*").feature_names == ("eTIV",)
    with pytest.raises(CohortError, match=r"study.csv, exclude: no column fits etiv; did you mean eTIV\?"):
        read_cohort(tmp_path / "study.csv", exclude="etiv")
    with pytest.raises(CohortError, match="exclude: no feature is left"):
        read_cohort(tmp_path / "study.csv", exclude="*")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"no\.csv: cannot be read: No such file or directory$"):
        read_cohort(tmp_path / "no.csv")

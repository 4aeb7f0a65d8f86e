from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nextscan.cohort import Cohort
from nextscan.errors import CohortError, NextscanWarning

Read = Callable[..., Cohort]

NAMES = "abcdef"
MAIN = "id,age,sex,site," + ",".join(NAMES) + "\n"


def scan(seed: int) -> str:
    return ",".join(f"{value:.3f}" for value in np.random.default_rng(seed).normal(size=len(NAMES)))


TABLE = MAIN + f"s,60,M,X,{scan(0)}\ns,61,M,X,{scan(1)}\nt,70,F,X,{scan(2)}\n"


def pool(folder: Path, content: str, name: str = "pool.csv") -> Path:
    (folder / name).write_text(content)
    return folder / name


def test_shared_features_and_known_labels_are_kept(read: Read, tmp_path: Path) -> None:
    other = "sub,age,sex,site,iq,f,x,y,d,a\nu,20,M,Y,100,1,2,3,4,5\nv,30,F,Z,110,6,7,8,9,10\n"
    cohort = read(TABLE, unpaired=pool(tmp_path, other))
    assert cohort.feature_names == ("a", "d", "f")
    assert cohort.subjects.tolist() == ["s", "t", "u", "v"]
    np.testing.assert_array_equal(cohort.features[3:], [[5, 4, 1], [10, 9, 6]])
    assert cohort.years.tolist() == [0, 1, 0, 0, 0]
    assert cohort.labels["site"].tolist() == ["X", "X", "Y", "Z"]
    assert "iq" not in cohort.labels
    text = "\n".join(cohort.notes)
    assert "3 features shared by 2 tables" in text
    assert "pool.csv lacks 3 features, left out: b, c, e" in text
    assert "columns that are no features of" in text
    assert "iq, x, y" in text


def test_a_column_filled_upstream_is_missing(read: Read, tmp_path: Path) -> None:
    other = "id," + ",".join(NAMES) + "\nu,0,1,2,3,4,5\nv,0,2,3,4,5,6\n"
    with pytest.warns(
        NextscanWarning, match=r"pool.csv: columns with one value for everybody \(a = 0\) vary in .*study.csv"
    ):
        cohort = read(TABLE, unpaired=[pool(tmp_path, other)])
    assert np.isnan(cohort.features[3:]).sum(axis=0).tolist() == [2, 0, 0, 0, 0, 0]


def test_labels_coded_differently_are_dropped(read: Read, tmp_path: Path) -> None:
    other = pool(tmp_path, MAIN + f"u,20,1,Y,{scan(5)}\nv,30,0,Y,{scan(6)}\n")
    with pytest.warns(
        NextscanWarning,
        match=r"pool.csv: label sex is coded differently than in .*study.csv \(F/M against 0/1\)",
    ):
        cohort = read(TABLE, unpaired=other)
    assert list(cohort.labels) == ["site"]
    codes = """
    [labels.site]
    [labels.sex]
    codes = { M = "male", F = "female" }
    [files."pool.csv".labels.sex]
    codes = { 1 = "male", 0 = "female" }
    """
    mapped = read(TABLE, unpaired=other, schema=codes)
    assert mapped.labels["sex"].tolist() == ["male", "female", "male", "female"]
    assert mapped.labels["site"].tolist() == ["X", "X", "Y", "Y"]


def test_later_visits_of_a_pool_are_left_out(read: Read, tmp_path: Path) -> None:
    other = pool(tmp_path, MAIN + f"u,22,M,Y,{scan(5)}\nu,20,M,Y,{scan(6)}\n")
    with pytest.warns(NextscanWarning, match="pool.csv: 1 further visits left out: a table of unpaired subjects"):
        cohort = read(TABLE, unpaired=other)
    assert cohort.visit_labels["age"].tolist() == [60, 61, 70, 20]


def test_scans_that_an_earlier_table_has_are_left_out(read: Read, tmp_path: Path) -> None:
    first = pool(tmp_path, MAIN + f"u,20,M,Y,{scan(5)}\n")
    second = pool(tmp_path, MAIN + f"u,25,M,Y,{scan(5)}\nw,30,F,Y,{scan(7)}\nalias,60,M,X,{scan(0)}\n", "more.csv")
    with pytest.warns(
        NextscanWarning,
        match=r"more.csv: 2 scans are in an earlier table too and left out \(u, alias; u in .*pool.csv\)",
    ):
        cohort = read(TABLE, unpaired=[first, second])
    assert cohort.subjects.tolist() == ["s", "t", "u", "w"]


def test_one_name_for_two_people_needs_a_prefix(read: Read, tmp_path: Path) -> None:
    other = pool(tmp_path, MAIN + f"s,20,M,Y,{scan(5)}\n")
    with pytest.raises(
        CohortError,
        match=r"pool.csv: 1 subjects are in .*study.csv too, with other scans: s; .*subject_prefix",
    ):
        read(TABLE, unpaired=other)
    cohort = read(TABLE, unpaired=other, schema='[files."pool.csv"]\nsubject_prefix = "pool-"')
    assert cohort.subjects.tolist() == ["s", "t", "pool-s"]


def test_nothing_shared_or_other_units_is_an_error(read: Read, tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"pool.csv: no column of numbers is left.* none is a feature of .*study.csv"):
        read(TABLE, unpaired=pool(tmp_path, "id,q\nu,1\n"))
    with pytest.raises(CohortError, match=r"pool.csv: no row has any feature of the main table"):
        read(TABLE, unpaired=pool(tmp_path, "id,a\nu,\nv,NA\n"))
    units = '[units]\na = "mm"\n[files."pool.csv".units]\na = "cm"'
    other = pool(tmp_path, MAIN + f"u,20,M,Y,{scan(5)}\n")
    with pytest.raises(CohortError, match=r"pool.csv: feature a is in cm, in .*study.csv it is in mm"):
        read(TABLE, unpaired=other, schema=units)


def test_names_of_several_tables_that_may_be_one_persons(read: Read, tmp_path: Path) -> None:
    main = TABLE.replace("s,", "sub-07,").replace("t,", "sub-08,")
    other = pool(tmp_path, MAIN + f"7,20,M,Y,{scan(5)}\n19,20,M,Y,{scan(6)}\n")
    with pytest.warns(NextscanWarning, match="names are equal but for how they are written: sub-07 = 7; if they are"):
        cohort = read(main, unpaired=other)
    assert cohort.n_subjects == 4

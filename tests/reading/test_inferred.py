from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from image_samples import bids
from nextscan.cohort import Cohort
from nextscan.errors import OutputError
from nextscan.reading import read_cohort, write_schema

pytestmark = pytest.mark.filterwarnings("ignore::nextscan.NextscanWarning")

LONG = """\
RID,VISCODE,EXAMDATE,AGE,PTGENDER,SITE,DX,MMSE,Hippocampus,Hippocampus_bl,"odd ""name"" [1]*",/x/
1,bl,2010-05-02,70.1,Male,101,CN,29,3900.5,3900.5,2.1,7.25
1,m12,2011-05-12,70.1,Male,101,MCI,27,3850.1,3900.5,2.2,7.5
2,bl,2010-07-02,68.5,Female,114,MCI,26,4000.2,4000.2,2.4,8.25
2,m12,2011-08-01,68.5,female,114,MCI,25,3950.7,4000.2,2.3,8.5
3,bl,2010-08-03,66.0,Female,114,CN,30,4100.9,4100.9,2.8,9.25
3,m12,2011-09-01,66.0,Female,114,CN,30,4090.3,4100.9,2.7,9.5
"""
MONTHS = "src_subject_id,eventname,interview_age,site_id_l,thick\na,base,120,7,2.5\na,y2,144,7,2.4\nb,base,130,8,2.6\n"
ENTRY = "id;wave;age;group;vol\na;1;60;HC;10.5\na;2;60;HC;10.1\nb;1;71;AD;9.5\nb;2;71;AD;9.1\n"
EXPORT = (
    "eid,31-0.0,53-2.0,53-3.0,54-2.0,54-3.0,25005-2.0,25005-3.0,25006-2.0,25006-3.0,20252-2.0\n"
    "11,0,2015-01-01,2018-01-01,11025,11025.0,10.5,10.4,3.5,,a.zip\n"
    "12,1,2015-02-01,,11026,,11.5,,3.6,,b.zip\n"
)


def same(first: Cohort, second: Cohort) -> None:
    assert second.feature_names == first.feature_names
    assert second.units == first.units
    np.testing.assert_array_equal(second.features, first.features)
    np.testing.assert_array_equal(second.years, first.years)
    assert second.subjects.tolist() == first.subjects.tolist()
    assert second.visits.tolist() == first.visits.tolist()
    columns = sorted(first.labels), sorted(first.visit_labels)
    pd.testing.assert_frame_equal(second.labels[columns[0]], first.labels[columns[0]])
    pd.testing.assert_frame_equal(second.visit_labels[columns[1]], first.visit_labels[columns[1]])
    assert (sorted(second.labels), sorted(second.visit_labels)) == columns


WIDE = "ID,Age_T1,Age_T2,Hippo_T1,Hippo_T2,Amyg_T1,Amyg_T2\na,60,62,3900,3850,1500,1490\nb,66,69,4100,4000,1700,1650\n"


@pytest.mark.parametrize(
    "table",
    [LONG, MONTHS, ENTRY, EXPORT, WIDE, WIDE.lower(), WIDE.replace(",", ";")],
    ids=["long", "months", "entry", "export", "capitals", "wide", "semicolons"],
)
def test_reading_with_what_was_inferred_gives_the_same_cohort(tmp_path: Path, table: str) -> None:
    path = tmp_path / "study.csv"
    path.write_text(table)
    first = read_cohort(path)
    written = write_schema(tmp_path / "written.toml", path)
    same(first, read_cohort(path, written))


def test_what_a_schema_said_is_kept(tmp_path: Path) -> None:
    path, own = tmp_path / "study.csv", tmp_path / "study.toml"
    path.write_text(LONG)
    own.write_text(
        'name = "Mine"\nmissing = [-4, "unknown"]\nexclude = ["DX"]\nallow = ["impossible-gap"]\n'
        '[units]\n"Hippo*" = "mm3"\n[labels]\nsex = { column = "PTGENDER", codes = { Male = "m", Female = "f" } }\n'
        '[files."pool*.csv"]\nmissing = [-9]\n'
    )
    first = read_cohort(path)
    written = write_schema(tmp_path / "written.toml", path)
    again = read_cohort(path, written)
    same(first, again)
    assert again.name == "Mine"
    text = written.read_text()
    assert 'missing = [-4, "unknown"]' in text
    assert '[files."pool*.csv"]\nmissing = [-9]' in text
    assert 'sex = { column = "PTGENDER", codes = { Male = "m", Female = "f" }, kind = "category" }' in text


@pytest.mark.parametrize("name", ["subject_names = 'as written'", "scan_name = '(?P<subject>.+)_mr(?P<visit>\\d+)'"])
def test_how_names_are_understood_is_kept(tmp_path: Path, name: str) -> None:
    path = tmp_path / "study.csv"
    rows = "".join(f"P{i}_mr{v},{60 + i + v},{3900 - 9 * i - v}\n" for i in range(4) for v in (1, 2))
    path.write_text("subject,age,volume\n" + rows)
    (tmp_path / "study.toml").write_text(name)
    first = read_cohort(path)
    same(first, read_cohort(path, write_schema(tmp_path / "written.toml", path)))
    assert first.n_subjects == 4


def test_that_pairs_are_no_visits_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    path.write_text(WIDE.replace("Age_T1,Age_T2", "Age,size"))
    (tmp_path / "study.toml").write_text("wide = []")
    first = read_cohort(path)
    assert first.feature_names == ("size", "Hippo_T1", "Hippo_T2", "Amyg_T1", "Amyg_T2")
    same(first, read_cohort(path, write_schema(tmp_path / "written.toml", path)))


def test_suspected_codes_and_doubts_are_comments(tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    rows = "".join(
        f"s{i},{v},{-9 if i == 3 else 12 + i % 4},{1.3 * i + v},{90 + i - v}\n" for i in range(6) for v in (0, 1)
    )
    path.write_text("id,visit,education,sleep_score,volume\n" + rows)
    text = write_schema(tmp_path / "s.toml", path).read_text()
    assert "missing = [-9]" in next(line for line in text.splitlines() if line.startswith("# if so"))
    assert "# " + str(path) + ": doubtful columns: score in its name: sleep_score" in text


def test_tables_of_freesurfer_with_participants(tmp_path: Path) -> None:
    (tmp_path / "aseg.tsv").write_text(
        "Measure:volume\tLeft-Hippocampus\tLeft-Caudate\nsub-1_ses-1\t4000\t3000\nsub-1_ses-2\t3900\t3100\n"
        "sub-2_ses-1\t4100\t3300\n"
    )
    (tmp_path / "participants.tsv").write_text("participant_id\tAge\tGender\tsite\n1\t60\tM\t7\n2\t66\tf\t9\n")
    first = read_cohort(tmp_path / "aseg.tsv", exclude="Left-Caudate")
    written = write_schema(tmp_path / "aseg.toml", tmp_path / "aseg.tsv", exclude=["Left-Caudate"])
    assert 'sex = { column = "Gender", kind = "category" }' in written.read_text()
    same(first, read_cohort(tmp_path / "aseg.tsv", written))


def test_a_folder_of_images(tmp_path: Path) -> None:
    root = bids(tmp_path / "study")
    first = read_cohort(root)
    written = write_schema(tmp_path / "study.toml", root)
    again = read_cohort(root, written)
    same(first, again)
    assert again.files["volume"].tolist() == first.files["volume"].tolist()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "study.csv").write_text(ENTRY)
    (tmp_path / "s.toml").write_text("")
    with pytest.raises(OutputError, match="is there already"):
        write_schema(tmp_path / "s.toml", tmp_path / "study.csv")

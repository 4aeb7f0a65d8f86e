from collections.abc import Callable
from pathlib import Path

import pytest

from nextscan.cohort import Cohort
from nextscan.errors import CohortError, SchemaError
from nextscan.reading import read_cohort
from nextscan.reading.layouts.freesurfer_names import as_freesurfer, renamed

Read = Callable[..., Cohort]


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("X4th.Ventricle", "4th-Ventricle"),
        ("Left.Thalamus.Proper", "Left-Thalamus-Proper"),
        ("Brain.Stem", "Brain-Stem"),
        ("WM.hypointensities", "WM-hypointensities"),
        ("BrainSegVol.to.eTIV", "BrainSegVol-to-eTIV"),
        ("lh_G.S_frontomargin_thickness", "lh_G&S_frontomargin_thickness"),
        ("rh_Lat_Fis.ant.Horizont_area", "rh_Lat_Fis-ant-Horizont_area"),
        ("rh_cuneus_volume.1", "rh_cuneus_volume"),
        ("eTIV.2", "eTIV"),
        ("Left.Amygdala.1", "Left-Amygdala"),
        ("Left-Hippocampus", "Left-Hippocampus"),
        ("body.mass.index", "body.mass.index"),
        ("netmat.1", "netmat.1"),
        ("Left.handed", "Left.handed"),
        ("lh_bankssts_thickness", "lh_bankssts_thickness"),
    ],
)
def test_names_that_r_has_changed(column: str, name: str) -> None:
    assert as_freesurfer(column) == name


def test_no_two_columns_get_one_name() -> None:
    both = ["eTIV", "eTIV.1", "Left.Putamen"]
    assert renamed(both, both) == {"eTIV": "eTIV", "eTIV.1": "eTIV.1", "Left.Putamen": "Left-Putamen"}
    twice = ["CSF.1", "CSF.2"]
    assert renamed(twice, twice) == {name: name for name in twice}


@pytest.mark.filterwarnings("ignore:.*counts as cross-sectional")
def test_tables_of_r_and_of_freesurfer_share_their_features(tmp_path: Path) -> None:
    (tmp_path / "main.csv").write_text("id,visit,Left.Putamen,X3rd.Ventricle\na,1,4100,900\na,2,4050,920\n")
    (tmp_path / "pool.csv").write_text("id,Left-Putamen,3rd-Ventricle\nb,4300,800\nc,4200,850\n")
    cohort = read_cohort(tmp_path / "main.csv", unpaired=tmp_path / "pool.csv")
    assert cohort.feature_names == ("Left-Putamen", "3rd-Ventricle")
    assert cohort.n_subjects == 3
    other_way = read_cohort(tmp_path / "pool.csv", unpaired=tmp_path / "main.csv", exclude="3rd-Ventricle")
    assert other_way.feature_names == ("Left-Putamen",)


@pytest.mark.parametrize(
    "table",
    [
        "rh.aparc.area\tsub-7_ses-1\tsub-7_ses-2\nrh_cuneus_area\t1510\t1500\nrh_fusiform_area\t3010\t3000\n",
        "lh.aparc.a2009s.volume\t100\t101\nlh_G_cuneus_volume\t15\t16\nBrainSegVolNotVent\t1e6\t1.1e6\neTIV\t1\t2\n",
        "Measure:volume\tP01\tP02\nRight-Putamen\t4100\t4200\n4th-Ventricle\t900\t950\nCSF\t1000\t1010\n",
        "Measure:mean\tP01\tP02\nLeft.Caudate\t41\t42\nX3rd.Ventricle\t9\t9.5\n",
    ],
)
def test_a_turned_table_is_refused_with_the_command_that_turns_it(tmp_path: Path, table: str) -> None:
    (tmp_path / "stats.tsv").write_text(table)
    with pytest.raises(CohortError, match=r"is transposed: .*without --transpose, or turn it: python -c") as raised:
        read_cohort(tmp_path / "stats.tsv")
    command = str(raised.value).split("turn it: ")[1]
    code = command.removeprefix('python -c "').removesuffix('"').replace("stats", str(tmp_path / "stats"))
    exec(code, {})  # what the message says works
    assert read_cohort(tmp_path / "stats.turned.tsv").n_subjects >= 1


@pytest.mark.parametrize(
    "table",
    [
        "Measure:volume\tLeft-Putamen\tCSF\nP01\t4100\t1000\nP02\t4200\t1010\n",
        "Measure:volume\tmine\tyours\nLeft01\t4100\t1000\nLeft02\t4200\t1010\n",
        "lh.aparc.thickness\tlh_cuneus_thickness\nlh_study_01\t2.1\nlh_study_02\t2.2\n",
    ],
)
def test_tables_with_scans_in_rows_are_read(tmp_path: Path, table: str) -> None:
    (tmp_path / "stats.tsv").write_text(table)
    assert read_cohort(tmp_path / "stats.tsv").n_subjects == 2


def test_a_pattern_that_fits_nothing_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "stats.tsv").write_text("Measure:volume\tLeft-Putamen\tCSF\nP01\t4100\t1000\nP02\t4200\t1010\n")
    (tmp_path / "stats.toml").write_text('exclude = ["Left-Putamem"]\n')
    with pytest.raises(SchemaError, match="did you mean Left-Putamen"):
        read_cohort(tmp_path / "stats.tsv")

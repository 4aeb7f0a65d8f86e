"""What is said of films: frames, phases, volumes over the beat, what is missing; and what is not asked of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cine_samples import AFFINE, acdc, acdc_patient, film, mnms, plain
from nextscan.cohort import Cohort
from nextscan.describing import describe
from nextscan.images.files import write_image
from nextscan.reading import read_cohort
from nextscan.report.description.page import description_page, without_people

pytest.importorskip("nibabel")
pytestmark = pytest.mark.filterwarnings("ignore::nextscan.errors.NextscanWarning")
VOXEL = 2 * 2 * 8 / 1000  # mL


@pytest.fixture
def hearts(tmp_path: Path) -> Cohort:
    return read_cohort(acdc(tmp_path / "hearts"))


def codes(description) -> set[str]:
    return {finding.code for finding in description.findings}


def test_volumes_are_those_of_the_label_maps(hearts: Cohort) -> None:
    found = describe(hearts)
    table = found.tables["films"].set_index("subject")
    _, maps = film(10)
    for name, value in (("LV", 3), ("MYO", 2), ("RV", 1)):
        for phase, frame in (("ED", 0), ("ES", 3)):
            want = np.count_nonzero(maps[..., frame] == value) * VOXEL
            assert table.loc["patient001", f"{name}_{phase}_ml"] == pytest.approx(want)
    row = table.loc["patient002"]
    assert row["ejection"] == pytest.approx(1 - row["LV_ES_ml"] / row["LV_ED_ml"])
    assert row["muscle_ratio"] == pytest.approx(row["MYO_ES_ml"] / row["MYO_ED_ml"])
    assert (row["frames"], row["maps"], row["ed"], row["es"], row["es_after_ed"]) == (
        10,
        2,
        "frame-01",
        "frame-04",
        0.3,
    )
    assert (row["shape"], row["slices"], row["slice_mm"], row["pixel_mm"]) == ("20×22×4", 4, 8, 2)
    assert codes(found) == {"few-pairs"}


def test_the_text_tells_films_phases_and_volumes(hearts: Cohort) -> None:
    text = str(describe(hearts))
    assert "Films      3 of 10 frames; 4 slices of 8.0 mm; pixels of 2.00 mm" in text
    assert "Phases     ES 0.30 after ED (median 0.30)" in text
    assert "ejection fraction" in text
    for other in ("Gap", "follow-up", "Alignment", "thick"):
        assert other not in text


@pytest.mark.minutes
def test_nothing_is_asked_that_belongs_to_years(hearts: Cohort) -> None:
    found = describe(replace(hearts, period=None, time_unit="years"))
    assert {"thick-slices", "label-change"} & codes(found)  # of visits of years it is asked
    assert "films" not in found.facts
    rng = np.random.default_rng(0)
    features = replace(
        hearts, files={}, features=rng.normal(100, 9, (hearts.n_visits, 3)).round(1), feature_names=("a", "b", "c")
    )
    found = describe(features)
    assert found.facts["films"]["count"] == 3
    assert not {"repeatability", "shift"} & set(found.tables)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    root = acdc(tmp_path / "hearts")
    for path in (root / "training" / "patient001").glob("*_gt*"):
        path.unlink()
    found = describe(read_cohort(root))
    assert found.of("films-without-maps")[0].subjects == ("patient001",)
    assert found.facts["films"]["lacking"] == {"ED": 0, "ES": 0, "maps": 1}
    without = describe(read_cohort(plain(tmp_path / "films")))
    assert codes(without) == {"few-pairs", "no-phases"}
    assert without.facts["films"]["lacking"] == {"ED": 2, "ES": 2, "maps": 2}


def test_volumes_over_all_frames(tmp_path: Path) -> None:
    cohort = read_cohort(plain(tmp_path / "films", maps=True))
    found = describe(cohort)
    curves = found.plots["volume_curves"]
    _, maps = film(6)
    want = [np.count_nonzero(maps[..., k] == 3) * VOXEL for k in range(6)]
    np.testing.assert_allclose(curves["volumes"]["label 3"][:6], want)
    np.testing.assert_allclose(curves["time"][:6], np.arange(6) / 6)


def test_regions_of_another_data_set_are_found_out(tmp_path: Path) -> None:
    root = acdc(tmp_path / "hearts", 2)
    (tmp_path / "hearts.toml").write_text("[sequences]\nregions = { LV = 1, MYO = 2, RV = 3 }\n")
    assert describe(read_cohort(root)).of("regions-exchanged")[0].subjects == ("patient001", "patient002")
    assert not describe(read_cohort(mnms(tmp_path / "mnms"))).of("regions-exchanged")


def test_exchanged_phases_and_lost_slices(tmp_path: Path) -> None:
    place = acdc_patient(tmp_path / "hearts", 1, ed=1, es=4)
    _, maps = film(10, 3)
    write_image(place / "patient001_frame01_gt.nii.gz", maps[..., 6], AFFINE)
    less = maps[..., 3].copy()
    less[:, :, 2:] = 0
    acdc_patient(tmp_path / "hearts", 2)
    write_image(tmp_path / "hearts" / "patient002" / "patient002_frame04_gt.nii.gz", less, AFFINE)
    write_image(place / "patient001_frame04_gt.nii.gz", maps[..., 3], AFFINE)
    found = describe(read_cohort(tmp_path / "hearts"))
    assert found.of("no-ejection")[0].subjects == ("patient001",)
    assert found.of("muscle-volume-differs")[0].subjects == ("patient002",)


def test_a_missing_frame_leaves_a_gap(hearts: Cohort) -> None:
    keep = np.ones(hearts.n_visits, bool)
    keep[[5, 6, 29]] = False
    found = describe(hearts.select_visits(keep)).of("uneven-frames")[0]
    assert found.subjects == ("patient001", "patient003")  # the last of the third: its film stops early
    assert "patient001 from 0.40 by 0.30" in found.text
    assert "patient003 from 0.80 by 0.20" in found.text


def test_the_page_has_films_and_hides_people(hearts: Cohort) -> None:
    description = describe(hearts).to_dict()
    page = description_page(description)
    assert "Visits are frames of a beat" in page
    assert "patient002" in page
    hidden = description_page(without_people(description, hearts.subjects.tolist()))
    assert "Ejection fraction" in hidden
    assert "patient002" not in hidden


def test_volumes_of_real_hearts_are_those_of_their_table(shared_data: Path) -> None:
    cohort = read_cohort(shared_data / "sequences" / "chd_hearts" / "hearts.csv")
    found = describe(cohort)
    table = found.tables["films"]
    told = cohort.visit_labels["lv_volume_ml"].to_numpy(float).reshape(-1, 2)
    np.testing.assert_allclose(table[["label 1_ED_ml", "label 1_ES_ml"]].to_numpy(float), told, atol=0.06)
    assert {finding.code for finding in found.findings if finding.level == "warning"} == set()

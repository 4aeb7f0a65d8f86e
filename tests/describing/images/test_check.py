"""Checks of cohorts of images, and their description."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from image_samples import AFFINE, bids, head, transform
from nextscan.describing import describe
from nextscan.describing.images.check import UNUSABLE, check_images, require_usable
from nextscan.errors import ImageError
from nextscan.images.files import read_image, write_image
from nextscan.reading import read_cohort
from nextscan.report import write_description

pytestmark = pytest.mark.minutes


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bids(tmp_path_factory.mktemp("data") / "heads")


def test_progress_counts_images(heads: Path) -> None:
    events: list[dict[str, object]] = []
    assert check_images(read_cohort(heads), progress=lambda event: events.append(dict(event))) == []
    assert [event["done"] for event in events] == [1, 2, 3, 4, 5]
    assert {event["total"] for event in events} == {5}


def test_every_unusable_image_is_named_and_the_others_are_still_described(tmp_path: Path) -> None:
    root = bids(tmp_path / "heads")
    for session in (1, 2):
        (root / f"sub-01/ses-{session}/anat/sub-01_ses-{session}_T1w.nii.gz").write_bytes(b"x")
    description = describe(read_cohort(root))
    wrong = description.of(UNUSABLE)
    assert [finding.subjects for finding in wrong] == [("sub-01",), ("sub-01",)]
    assert "sub-01 ses-2" in wrong[1].text
    assert description.facts["images"]["unusable"] == 2
    assert description.tables["images"]["subject"].tolist() == ["sub-02", "sub-02", "sub-03"]
    with pytest.raises(ImageError, match="1 more problem"):
        require_usable(description.findings)


def test_counts_beyond_those_listed_are_right(tmp_path: Path) -> None:
    root = bids(tmp_path / "heads", {f"{n:02d}": ("1", "2") for n in range(1, 14)})
    for path in root.glob("sub-*/ses-*/anat/*.nii.gz"):
        path.write_bytes(b"x")
    description = describe(read_cohort(root))
    assert description.facts["images"]["unusable"] == 26
    assert len(description.of(UNUSABLE)) == 20
    (rest,) = description.of("unusable-images")
    assert rest.text == "6 more images cannot be used, of sub-11, sub-12, sub-13"
    with pytest.raises(ImageError, match=r"\(and 19 more problems; 6 more images cannot be used, of sub-11"):
        require_usable(description.findings)
    assert "26; 26 cannot be used" in str(description)


def test_nibabel_that_is_missing_is_told_once(heads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = read_cohort(heads)
    monkeypatch.setitem(sys.modules, "nibabel", None)
    (finding,) = check_images(cohort)
    assert finding.text == "images are read with nibabel, which is not installed: install nextscan[volumes]"
    assert finding.subjects == ("sub-01", "sub-02", "sub-03")
    description = describe(cohort)
    assert description.facts["images"]["unusable"] == 5
    assert str(description).count("nibabel") == 1


def test_images_with_transforms_are_compared_where_itk_puts_them(tmp_path: Path) -> None:
    """Headers say qform 1 and sform 2, 20 degrees apart: transforms of ITK act on the qform."""
    import nibabel

    away = AFFINE.copy()
    away[:3, :3] = Rotation.from_euler("z", 20, degrees=True).as_matrix() @ AFFINE[:3, :3]
    rows = []
    for visit in range(2):
        image = nibabel.Nifti1Image(head(0, visit), None)
        image.header.set_qform(AFFINE, 1)
        image.header.set_sform(away if visit else AFFINE, 2)
        nibabel.Nifti1Image(head(0, visit), None, image.header).to_filename(tmp_path / f"{visit}.nii.gz")
        transform(tmp_path / f"{visit}.txt")
        rows.append({"subject": "s", "visit": f"v{visit}", "volume": f"{visit}.nii.gz", "transform": f"{visit}.txt"})
    pd.DataFrame(rows).assign(years=[0, 1]).to_csv(tmp_path / "with.csv", index=False)
    pd.DataFrame(rows).assign(years=[0, 1]).drop(columns="transform").to_csv(tmp_path / "without.csv", index=False)
    found = {finding.code: finding for finding in check_images(read_cohort(tmp_path / "with.csv"))}
    assert {code: finding.level for code, finding in found.items()} == {
        "forms-disagree": "note",
        "placed-by-itk": "note",
    }
    assert "1 (s v1)" in found["placed-by-itk"].text
    assert "not-registered" in {finding.code for finding in check_images(read_cohort(tmp_path / "without.csv"))}


def test_a_file_that_belongs_to_an_image_is_counted_as_what_it_is(tmp_path: Path) -> None:
    root = bids(tmp_path / "heads")
    folder = root / "sub-01/ses-2/anat"
    (folder / "sub-01_ses-2_desc-brain_mask.nii.gz").write_bytes(b"x")
    (folder / "sub-01_ses-2_from-T1w_to-MNI_mode-image_xfm.txt").write_text("of another program")
    description = describe(read_cohort(root))
    assert description.facts["images"]["unusable"] == 0
    assert len(description.tables["images"]) == 5
    assert [finding.subjects for finding in description.of("unusable-mask")] == [("sub-01",)]
    (unreadable,) = description.of("unusable-transform")
    assert "xfm.txt (sub-01 ses-2): is no affine transform in ITK's text format" in unreadable.text
    with pytest.raises(ImageError, match=r"mask\.nii\.gz \(mask of sub-01 ses-2\)"):
        require_usable(description.findings)


def test_all_images_unusable_can_still_be_told(tmp_path: Path) -> None:
    root = bids(tmp_path / "heads")
    for path in root.glob("sub-*/ses-*/anat/*.nii.gz"):
        path.write_bytes(b"")
    text = str(describe(read_cohort(root)))
    assert "5; 5 cannot be used" in text


def test_the_page_and_the_json_hold_images(heads: Path, tmp_path: Path) -> None:
    description = describe(read_cohort(heads))
    plain = json.loads(json.dumps(description.to_dict()))
    assert plain["facts"]["images"]["count"] == 5
    assert plain["tables"]["grids"]["rows"] == [["T1w", "24×28×22", "6×6×6 mm", "RAS", "float32", 5]]
    page = write_description(plain, tmp_path / "page.html", individuals=True).read_text()
    assert "data:image/png;base64," in page
    assert "24×28×22" in page
    assert "sub-03" in page
    assert "5 images" in page
    text = str(description)
    assert "Grid       24×28×22, 6×6×6 mm, RAS, float32, T1w: 5 images" in text


def test_features_beside_images_are_described_too(heads: Path, tmp_path: Path) -> None:
    cohort = read_cohort(heads)
    table = cohort.to_frame().assign(area=np.linspace(2, 3, cohort.n_visits))
    table["volume"] = [str(Path(path).absolute()) for path in table["volume"]]
    table.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "t.toml").write_text('features = ["area"]\n')
    both = read_cohort(tmp_path / "t.csv")
    assert (both.feature_names, both.has_volume.sum()) == (("area",), 5)
    description = describe(both)
    assert {"images", "missing"} <= set(description.facts)
    assert "Features   1; no cell missing" in str(description)
    assert len(write_description(description.to_dict(), tmp_path / "p.html").read_text()) > 10_000


def test_real_images_are_found_apart_without_their_transforms(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "volumes" / "open_ms"
    rows = [
        {
            "subject": patient,
            "visit": n,
            "years": years if n == 2 else 0,
            "volume": folder / patient / f"study{n}_FLAIR.nii.gz",
            "transform": folder / patient / f"study{n}_FLAIR_to_common_space.txt",
        }
        for patient, years in (("patient01", 203 / 365.25), ("patient12", 81 / 365.25))
        for n in (1, 2)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "with.csv", index=False)
    pd.DataFrame(rows).drop(columns="transform").to_csv(tmp_path / "without.csv", index=False)
    codes = {finding.code for finding in check_images(read_cohort(tmp_path / "with.csv"))}
    assert codes == {"thick-slices", "spacing-differs", "shape-differs"}
    (apart,) = [f for f in check_images(read_cohort(tmp_path / "without.csv")) if f.level == "warning"]
    assert (apart.code, apart.subjects) == ("not-registered", ("patient01", "patient12"))


def test_a_subject_of_another_contrast_is_named(tmp_path: Path) -> None:
    root = bids(tmp_path / "heads", {f"{n:02d}": ("1", "2") for n in range(1, 7)})
    assert "contrast-differs" not in {finding.code for finding in check_images(read_cohort(root))}
    for path in root.glob("sub-03/ses-*/anat/*.nii.gz"):
        data = read_image(path).data
        write_image(path, np.where(data > 100, 1100 - data, data), AFFINE)
    found = {finding.code: finding for finding in check_images(read_cohort(root))}
    assert found["contrast-differs"].subjects == ("sub-03",)
    assert "than those of the others: 1 (sub-03 ses-1 (" in found["contrast-differs"].text


@pytest.mark.parametrize("entity", ["acq-3d", "ce-gadolinium"])
def test_a_visit_of_another_protocol_is_named(tmp_path: Path, entity: str) -> None:
    root = bids(tmp_path / "heads")
    (path,) = root.glob("sub-02/ses-2/anat/*.nii.gz")
    path.rename(path.with_name(path.name.replace("_T1w", f"_{entity}_T1w")))
    (found,) = check_images(read_cohort(root))
    assert (found.level, found.code, found.subjects) == ("warning", "kind-differs", ("sub-02",))
    assert f"1 (sub-02 ses-2 ({entity}_T1w, first T1w))" in found.text

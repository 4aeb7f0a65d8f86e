"""Folders of BIDS, raw and derivative."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from image_samples import AFFINE, bids, head, transform
from nextscan.errors import NextscanWarning
from nextscan.images.files import write_image
from nextscan.images.names import parse
from nextscan.reading import read_cohort


def names(cohort, role: str) -> list[str]:
    return [Path(path).name for path in cohort.files_of(role)]


def test_visits_ages_and_labels(tmp_path: Path) -> None:
    cohort = read_cohort(bids(tmp_path / "heads"))
    assert cohort.name == "heads"
    assert cohort.subjects.tolist() == ["sub-01", "sub-02", "sub-03"]
    assert cohort.visits.tolist() == ["ses-1", "ses-2", "ses-1", "ses-2", "ses-1"]
    assert cohort.years.tolist() == [0, 1.5, 0, 1.5, 0]
    assert cohort.labels["sex"].tolist() == ["F", "M", "F"]
    assert cohort.visit_labels["age"].tolist() == [60, 61.5, 61, 62.5, 62]
    assert (cohort.n_features, cohort.has_volume.sum(), cohort.law) == (0, 5, "")
    assert names(cohort, "volume")[1] == "sub-01_ses-2_T1w.nii.gz"


def test_dates_of_the_whole_data_set_and_requests(tmp_path: Path) -> None:
    root = bids(tmp_path / "heads", sessions=False)
    lines = ["participant_id\tsession_id\tacq_time\tsite"]
    lines += ["sub-01\tses-1\t2001-01-01T10:00:00.000000\ta", "sub-01\tses-2\t2003-01-01T10:00:00\ta"]
    lines += ["sub-01\tses-3\t2006-01-01T10:00:00\tb", "sub-02\tses-2\t2004-07-01T09:00:00Z\tn/a"]
    (root / "sessions.tsv").write_text("\n".join(lines) + "\n")
    cohort = read_cohort(root)
    assert cohort.visits.tolist() == ["ses-1", "ses-2", "ses-3", "ses-1", "ses-2", "ses-1"]
    np.testing.assert_allclose(cohort.years[:3], [0, 730 / 365.25, 1826 / 365.25])
    assert cohort.is_request.tolist() == [False, False, True, False, False, False]
    assert cohort.visit_labels["site"].tolist()[:3] == ["a", "a", "b"]
    assert np.isnan(cohort.years[4])


def test_dates_of_scans_where_no_table_of_sessions_is(tmp_path: Path) -> None:
    root = bids(tmp_path / "heads", sessions=False)
    for session, date in ((1, "2010-05-01T08:00:00"), (2, "2012-05-01T08:00:00")):
        text = f"filename\tacq_time\nfunc/x.nii.gz\t1999-01-01\nanat/sub-01_ses-{session}_T1w.nii.gz\t{date}\n"
        (root / f"sub-01/ses-{session}/sub-01_ses-{session}_scans.tsv").write_text(text)
    cohort = read_cohort(root)
    np.testing.assert_allclose(cohort.years[:2], [0, 731 / 365.25])


def test_sessions_without_times_are_in_order_of_their_names(tmp_path: Path) -> None:
    root = bids(tmp_path / "heads", {"01": ("m12", "bl", "m6")}, sessions=False)
    with pytest.warns(NextscanWarning, match="years are unknown"):
        cohort = read_cohort(root)
    assert cohort.visits.tolist() == ["ses-bl", "ses-m6", "ses-m12"]
    assert cohort.years.tolist() == [0, 0.5, 1]


def test_subjects_without_sessions_have_the_age_of_the_participant(tmp_path: Path) -> None:
    root = tmp_path / "cross"
    for i in range(3):
        (root / f"sub-{i}" / "anat").mkdir(parents=True)
        write_image(root / f"sub-{i}/anat/sub-{i}_T1w.nii.gz", head(i), AFFINE)
    (root / "participants.tsv").write_text("participant_id\tage\nsub-0\t30\nsub-1\t40.5\nsub-2\tn/a\n")
    cohort = read_cohort(root)
    assert cohort.visits.tolist() == ["1", "1", "1"]
    np.testing.assert_array_equal(cohort.visit_labels["age"], [30, 40.5, np.nan])


def test_ages_of_participants_fill_single_visits_beside_sessions_with_ages(tmp_path: Path) -> None:
    root = bids(tmp_path / "heads")
    (root / "sub-03/sub-03_sessions.tsv").unlink()
    people = "participant_id\tage\nsub-01\t60\nsub-02\t61\nsub-03\t77\n"
    (root / "participants.tsv").write_text(people)
    cohort = read_cohort(root)
    assert cohort.visit_labels["age"].tolist() == [60, 61.5, 61, 62.5, 77]


def test_what_belongs_to_an_image_is_found_beside_it_and_in_derivatives(tmp_path: Path) -> None:
    root = bids(tmp_path / "heads")
    beside, truth = root / "sub-01/ses-2/anat", root / "derivatives/truth/sub-01/ses-2/anat"
    truth.mkdir(parents=True)
    write_image(beside / "sub-01_ses-2_desc-brain_mask.nii.gz", head() > 50, AFFINE)
    write_image(beside / "sub-01_ses-2_space-MNI_desc-brain_mask.nii.gz", head() > 50, AFFINE)
    write_image(truth / "sub-01_ses-2_dseg.nii.gz", head() > 50, AFFINE)
    write_image(truth / "sub-01_ses-2_desc-aseg_dseg.nii.gz", head() > 50, AFFINE)
    write_image(truth / "sub-01_ses-2_desc-noisefree_T1w.nii.gz", head(), AFFINE)
    for n in (1, 2):
        transform(root / f"sub-01/ses-{n}/anat/sub-01_ses-{n}_from-T1w_to-common_mode-image_xfm.txt")
    own = root / "derivatives/nextscan/sub-02/ses-1/anat"
    own.mkdir(parents=True)
    write_image(own / "sub-02_ses-1_desc-brain_mask.nii.gz", head() > 50, AFFINE)
    (root / "derivatives/truth/brains.law.npz").write_bytes(b"law")
    cohort = read_cohort(root)
    assert names(cohort, "mask") == ["", "sub-01_ses-2_desc-brain_mask.nii.gz", "", "", ""]
    assert names(cohort, "segmentation") == ["", "sub-01_ses-2_dseg.nii.gz", "", "", ""]
    assert names(cohort, "noise_free") == ["", "sub-01_ses-2_desc-noisefree_T1w.nii.gz", "", "", ""]
    assert [bool(name) for name in names(cohort, "transform")] == [True, True, False, False, False]
    assert cohort.law == str(root / "derivatives/truth/brains.law.npz")
    assert any("segmentation: 1 files, derivatives/truth" in note for note in cohort.notes)


def test_a_derivative_with_several_spaces_and_a_schema_beside_it(tmp_path: Path) -> None:
    root = bids(tmp_path / "raw/derivatives/prep", suffix="desc-preproc_FLAIR")
    for path in list(root.glob("sub-*/ses-*/anat/*_FLAIR.nii.gz")):
        stem = path.name.removesuffix("_desc-preproc_FLAIR.nii.gz")
        write_image(path.with_name(f"{stem}_space-MNI_desc-preproc_FLAIR.nii.gz"), head(5), AFFINE)
        write_image(path.with_name(f"{stem}_space-MNI_desc-brain_mask.nii.gz"), head(5) > 50, AFFINE)
    native = read_cohort(root, suffix="desc-preproc_FLAIR")
    assert names(native, "volume")[0] == "sub-01_ses-1_desc-preproc_FLAIR.nii.gz"
    assert "mask" not in native.files
    (root.parent / "prep.toml").write_text('[images]\nsuffix = "space-MNI_FLAIR"\n')
    moved = read_cohort(root)
    assert names(moved, "volume")[4] == "sub-03_ses-1_space-MNI_desc-preproc_FLAIR.nii.gz"
    assert names(moved, "mask")[4] == "sub-03_ses-1_space-MNI_desc-brain_mask.nii.gz"


def test_a_folder_serves_as_pool_and_prefixes_keep_names_apart(tmp_path: Path) -> None:
    main, pool = bids(tmp_path / "main"), bids(tmp_path / "pool", {"01": ("1",), "02": ("1", "2")})
    (tmp_path / "main.toml").write_text('[files.pool]\nsubject_prefix = "p-"\n')
    with pytest.warns(NextscanWarning, match="1 further visits left out"):
        cohort = read_cohort(main, unpaired=pool)
    assert cohort.subjects.tolist() == ["sub-01", "sub-02", "sub-03", "p-sub-01", "p-sub-02"]
    assert (cohort.has_volume.all(), cohort.is_paired.sum()) == (True, 2)


def test_a_cohort_of_images_survives_its_table(tmp_path: Path) -> None:
    root = bids(tmp_path / "heads")
    (root / "sub-01/sub-01_sessions.tsv").write_text("session_id\tage\nses-1\t60\nses-2\t61.5\nses-3\t65\n")
    cohort = read_cohort(root)
    table = cohort.to_frame()
    table["volume"] = [path and str(Path(path).relative_to(tmp_path)) for path in table["volume"]]
    table.to_csv(tmp_path / "table.csv", index=False)
    again = read_cohort(tmp_path / "table.csv")
    assert again.subjects.tolist() == cohort.subjects.tolist()
    np.testing.assert_array_equal(again.files_of("volume"), cohort.files_of("volume"))
    np.testing.assert_allclose(again.years, cohort.years)
    assert again.is_request.sum() == 1
    assert (again.n_features, list(again.labels), list(again.visit_labels)) == (0, ["sex"], ["age"])


def test_a_column_of_brain_volumes_is_a_feature(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("subject,visit,volume,mask\ns1,1,1200.5,1.5\ns1,2,1190,1.25\ns2,1,1300,1.75\n")
    cohort = read_cohort(tmp_path / "t.csv")
    assert (cohort.feature_names, dict(cohort.files)) == (("volume", "mask"), {})


def test_columns_named_by_a_schema(tmp_path: Path) -> None:
    bids(tmp_path / "heads")
    first = "heads/sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"
    (tmp_path / "t.csv").write_text(f"subject,visit,t1,t2,score\ns1,1,{first},other.nii.gz,3\ns2,1,{first},,4\n")
    (tmp_path / "t.toml").write_text('[images]\nvolume = "t1"\n')
    cohort = read_cohort(tmp_path / "t.csv")
    assert cohort.files_of("volume").tolist() == [str(tmp_path / first)] * 2
    assert (list(cohort.labels), cohort.n_features) == (["score"], 0)
    assert any("paths of other images than the roles" in note and "t2" in note for note in cohort.notes)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sub-1_ses-2_run-3_T1w.nii.gz", "T1w"),
        ("sub-1_desc-preproc_acq-3d_T1w.nii", "acq-3d_desc-preproc_T1w"),
        ("sub-1_from-T1w_to-MNI152_mode-image_xfm.txt", "from-T1w_mode-image_to-MNI152_xfm"),
    ],
)
def test_kinds_of_files(name: str, kind: str) -> None:
    found = parse(Path(name))
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize("name", ["README", "T1.mgz", "sub-01 T1w.nii.gz", "sub-01_T1w"])
def test_other_names_are_none_of_bids(name: str) -> None:
    found = parse(Path(name))
    assert found is None or "sub" not in found.entities


def test_ancpbids_finds_the_same_images(tmp_path: Path) -> None:
    ancpbids = pytest.importorskip("ancpbids")
    root = bids(tmp_path / "heads")
    write_image(root / "sub-01/ses-2/anat/sub-01_ses-2_desc-brain_mask.nii.gz", head() > 50, AFFINE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layout = ancpbids.BIDSLayout(str(root))
        theirs = layout.get(suffix="T1w", extension=".nii.gz", return_type="filename")
    assert sorted(Path(path).name for path in theirs) == sorted(names(read_cohort(root), "volume"))

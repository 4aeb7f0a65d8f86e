"""Imputed images as a BIDS derivative: names, sidecars, resuming, and what validators say."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from bids_validator import judged, judged_as_derivative
from nextscan.cohort import PredictedVolume, VolumeImputation, targets
from nextscan.errors import CohortError, NextscanWarning, OutputError, SettingError
from nextscan.images.files import write_image
from nextscan.reading import read_cohort
from nextscan.writing.derivative import write_derivative

AFFINE = np.array([[-2.0, 0, 0, 10], [0, 2, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1]])
SHAPE = (9, 8, 7)


@pytest.fixture
def raw(tmp_path):
    """Return a raw BIDS folder: two subjects, the second with a follow-up that is asked for."""
    root = tmp_path / "study"
    generator = np.random.default_rng(0)
    for subject, rows in {"01": "ses-1\t60\n", "02": "ses-1\t70\nses-2\t72.5\n"}.items():
        anat = root / f"sub-{subject}" / "ses-1" / "anat"
        anat.mkdir(parents=True)
        write_image(anat / f"sub-{subject}_ses-1_acq-3d_T1w.nii.gz", generator.uniform(0, 100, SHAPE), AFFINE)
        (anat / f"sub-{subject}_ses-1_acq-3d_T1w.json").write_text(json.dumps({"MagneticFieldStrength": 3}))
        (root / f"sub-{subject}" / f"sub-{subject}_sessions.tsv").write_text("session_id\tage\n" + rows)
    (root / "dataset_description.json").write_text(
        json.dumps({"Name": "study", "BIDSVersion": "1.10.0", "DatasetType": "raw", "Authors": ["A", "B"]})
    )
    (root / "README").write_text("A study of two people, made for tests of what is written beside it. " * 3)
    (root / "participants.tsv").write_text("participant_id\tsex\nsub-01\tF\nsub-02\tM\n")
    return root


def faked(cohort, *, n_draws=3, seed=0, at_years=None, calls=None):
    """Predict the source plus its number, with draws around it."""
    wanted = targets(cohort, at_years)
    paths = cohort.files_of("volume")

    def predict(i):
        if calls is not None:
            calls.append(i)
        path = paths[wanted.context[i]]
        image = nibabel.load(path)
        source = image.get_fdata(dtype=np.float32)
        draws = np.stack([source + i + draw for draw in range(n_draws)])
        return PredictedVolume(
            subject=str(wanted.subject[i]),
            visit=str(wanted.visit[i]),
            years=float(wanted.years[i]),
            gap=float(wanted.gap[i]),
            source=path,
            affine=image.affine,
            mean=draws.mean(axis=0),
            draws=draws,
        )

    return VolumeImputation("fake", wanted, seed, n_draws, predict)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_files_of_a_visit_are_named_and_say_where_they_come_from(raw):
    cohort = read_cohort(raw)
    done = write_derivative(faked(cohort), cohort, raw, save_draws=True, level=0.5, provenance={"model": "abc"})
    assert done.folder == done.draws_folder == raw / "derivatives" / "nextscan"
    assert (done.made, done.kept) == (2, 0)
    assert [path.name.split("_")[0] for path in (*done.means, *done.sds)] == 2 * ["sub-01", "sub-02"]
    assert all(path.is_file() for path in (*done.means, *done.sds))
    first = "sub-01/ses-imputed/anat/sub-01_ses-imputed_acq-3d_desc-{}_T1w.{}"
    second = "sub-02/ses-2/anat/sub-02_ses-2_acq-3d_desc-{}_T1w.{}"
    images = {
        name.format(desc, end)
        for name in (first, second)
        for desc in ("imputed", "sd", "low", "high", "draw01", "draw02", "draw03")
        for end in ("nii.gz", "json")
    }
    own = {f"sub-{i}/sub-{i}_sessions.{end}" for i in ("01", "02") for end in ("tsv", "json")}
    root = {"dataset_description.json", "README.md", "participants.tsv", "participants.json"}
    assert files(done.folder) == images | own | root
    sidecar = json.loads((done.folder / second.format("imputed", "json")).read_text())
    assert sidecar["Sources"] == ["bids:source:sub-02/ses-1/anat/sub-02_ses-1_acq-3d_T1w.nii.gz"]
    assert sidecar["SkullStripped"] is False
    said = sidecar["NextscanProvenance"]
    expected = {"model": "abc", "method": "fake", "seed": 0, "draws": 3, "gap": 2.5, "years": 2.5, "time_unit": "years"}
    assert expected.items() <= said.items()
    assert json.loads((done.folder / first.format("imputed", "json")).read_text())["NextscanProvenance"]["gap"] is None
    assert json.loads((done.folder / first.format("low", "json")).read_text())["Level"] == 0.5
    description = json.loads((done.folder / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "nextscan"
    assert (done.folder / description["DatasetLinks"]["source"]).resolve() == raw.resolve()
    assert (done.folder / "participants.tsv").read_text().splitlines()[0] == "participant_id\tsubject"
    rows = (done.folder / "sub-02" / "sub-02_sessions.tsv").read_text().splitlines()
    assert rows[0] == "session_id\tsubject\tvisit\tyears\tgap\tsource_visit\tmethod"
    assert rows[1].split("\t")[3:5] == ["2.5", "2.5"]


def test_images_hold_mean_spread_interval_and_draws_in_the_sources_grid(raw):
    cohort = read_cohort(raw)
    done = write_derivative(faked(cohort), cohort, raw, save_draws=True, level=0.5)
    source = nibabel.load(raw / "sub-02/ses-1/anat/sub-02_ses-1_acq-3d_T1w.nii.gz")
    start = source.get_fdata()
    for desc, change in {"imputed": 2, "sd": None, "low": 1, "high": 3, "draw01": 1, "draw03": 3}.items():
        image = nibabel.load(done.folder / f"sub-02/ses-2/anat/sub-02_ses-2_acq-3d_desc-{desc}_T1w.nii.gz")
        np.testing.assert_array_equal(image.affine, source.affine)
        for field in ("sform_code", "qform_code", "xyzt_units", "pixdim"):
            np.testing.assert_array_equal(image.header[field], source.header[field])
        expected = np.ones(SHAPE) if change is None else start + change
        np.testing.assert_allclose(image.get_fdata(), expected, rtol=1e-5)


def test_an_interrupted_run_goes_on_where_it_stopped(raw):
    cohort = read_cohort(raw)
    imputation = faked(cohort, at_years=[1, 2])
    predict = imputation.predict

    def dying(i):
        if i == 2:
            raise KeyboardInterrupt
        return predict(i)

    with pytest.raises(KeyboardInterrupt):
        write_derivative(replace(imputation, predict=dying), cohort, raw)
    folder = raw / "derivatives" / "nextscan"
    whole = {path: (folder / path).stat().st_mtime_ns for path in files(folder) if path.endswith(".nii.gz")}
    assert len(whole) == 4
    assert len((folder / "participants.tsv").read_text().splitlines()) == 2
    calls = []
    done = write_derivative(faked(cohort, at_years=[1, 2], calls=calls), cohort, raw)
    assert calls == [2, 3]
    assert (done.made, done.kept) == (2, 2)
    assert all((folder / path).stat().st_mtime_ns == changed for path, changed in whole.items())
    assert len((folder / "participants.tsv").read_text().splitlines()) == 3
    again = []
    assert write_derivative(faked(cohort, at_years=[1, 2], calls=again), cohort, raw).made == 0
    assert again == []


@pytest.mark.parametrize("lost", ["desc-sd_T1w.nii.gz", "desc-sd_T1w.json", "desc-imputed_T1w.json"])
def test_a_visit_that_lacks_a_file_is_made_again_alone(raw, lost):
    cohort = read_cohort(raw)
    write_derivative(faked(cohort), cohort, raw)
    anat = raw / "derivatives/nextscan/sub-02/ses-2/anat"
    (anat / f"sub-02_ses-2_acq-3d_{lost}").unlink()
    half = anat / ".0a1b2c3d-sub-02_ses-2_acq-3d_desc-imputed_T1w.nii.gz"  # what a killed writer leaves
    half.write_bytes(b"half")
    calls = []
    write_derivative(faked(cohort, calls=calls), cohort, raw)
    assert calls == [1]
    assert not half.exists()
    assert (anat / f"sub-02_ses-2_acq-3d_{lost}").is_file()


def test_results_of_other_settings_are_not_mixed(raw):
    cohort = read_cohort(raw)
    write_derivative(faked(cohort), cohort, raw, provenance={"model": "abc"})
    before = files(raw)
    for imputation, given, key in [
        (faked(cohort, seed=1), {"model": "abc"}, r"another seed \(0, now 1\)"),
        (faked(cohort, n_draws=4), {"model": "abc"}, r"another draws \(3, now 4\)"),
        (faked(cohort), {"model": "xyz"}, r"another model \('abc', now 'xyz'\)"),
    ]:
        with pytest.raises(OutputError, match=key):
            write_derivative(imputation, cohort, raw, provenance=given)
    assert files(raw) == before


def test_draws_may_go_elsewhere(raw, tmp_path):
    cohort = read_cohort(raw)
    done = write_derivative(faked(cohort), cohort, tmp_path / "means", save_draws=tmp_path / "draws")
    assert done.draws_folder == tmp_path / "draws" / "derivatives" / "nextscan"
    assert not [name for name in files(done.folder) if "desc-draw" in name]
    assert len([name for name in files(done.draws_folder) if "desc-draw" in name]) == 2 * 3 * 2
    assert not [name for name in files(done.draws_folder) if "desc-imputed" in name]


def test_progress_counts_and_tells_what_is_left(raw):
    cohort = read_cohort(raw)
    events = []
    write_derivative(faked(cohort), cohort, raw, progress=events.append)
    assert [(event["done"], event["total"]) for event in events] == [(0, 2), (1, 2), (2, 2)]
    assert events[1]["phase"] == "estimate"
    assert events[1]["remaining_seconds"] > 0
    assert events[2]["remaining_seconds"] == 0


def test_folders_of_others_are_left_alone(raw, tmp_path):
    cohort = read_cohort(raw)
    place = tmp_path / "other" / "derivatives" / "nextscan"
    place.mkdir(parents=True)
    (place / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"is not empty and has no dataset_description\.json"):
        write_derivative(faked(cohort), cohort, tmp_path / "other")
    (place / "dataset_description.json").write_text(json.dumps({"GeneratedBy": [{"Name": "fmriprep"}]}))
    with pytest.raises(OutputError, match="nextscan has not written"):
        write_derivative(faked(cohort), cohort, tmp_path / "other")
    assert files(place) == {"notes.txt", "dataset_description.json"}


def test_too_few_draws_for_an_interval_are_refused_before_the_work(raw):
    cohort = read_cohort(raw)
    calls = []
    with pytest.raises(SettingError, match="a 90% interval needs at least 19 draws"):
        write_derivative(faked(cohort, calls=calls), cohort, raw, level=0.9)
    assert calls == []
    assert not (raw / "derivatives").exists()


def test_one_draw_has_no_spread(raw):
    cohort = read_cohort(raw)
    done = write_derivative(faked(cohort, n_draws=1), cohort, raw)
    assert not [name for name in files(done.folder) if "desc-sd" in name]


def table_of(tmp_path, subjects, name="scan_T1.nii.gz"):
    rows = ["subject,visit,years,volume"]
    for subject in subjects:
        folder = tmp_path / "images" / subject
        folder.mkdir(parents=True)
        write_image(folder / name, np.random.default_rng(0).uniform(0, 9, SHAPE), AFFINE)
        rows.append(f"{subject},first visit,0,images/{subject}/{name}")
    (tmp_path / "cohort.csv").write_text("\n".join(rows) + "\n")
    return read_cohort(tmp_path / "cohort.csv")


def test_names_of_a_table_become_labels_of_bids(tmp_path):
    cohort = table_of(tmp_path, ["site_A-7", "B 8"])
    done = write_derivative(faked(cohort, at_years=[0.5]), cohort, tmp_path / "out")
    place = "sub-siteA7/ses-imputed0p5y/anat/sub-siteA7_ses-imputed0p5y_desc-imputed_T1w"
    assert f"{place}.nii.gz" in files(done.folder)
    assert json.loads((done.folder / f"{place}.json").read_text())["Sources"] == [
        "../../../images/site_A-7/scan_T1.nii.gz"
    ]
    table = (done.folder / "participants.tsv").read_text()
    assert "sub-siteA7\tsite_A-7\n" in table
    assert "sub-B8\tB 8\n" in table
    assert (
        "ses-imputed0p5y\tB 8\timputed+0.5\t0.5\t0.5\tfirst visit\tfake\n"
        in (done.folder / "sub-B8" / "sub-B8_sessions.tsv").read_text()
    )


def test_subjects_that_bids_cannot_tell_apart_are_refused(tmp_path):
    cohort = table_of(tmp_path, ["a-1", "a_1"])
    with pytest.raises(CohortError, match="subjects 'a-1' and 'a_1' would both be called a1"):
        write_derivative(faked(cohort), cohort, tmp_path / "out")


def test_images_of_unknown_contrast_are_named_as_they_are_with_a_warning(tmp_path):
    cohort = table_of(tmp_path, ["a"], name="srr.nii.gz")
    with pytest.warns(NextscanWarning, match="but in srr"):
        done = write_derivative(faked(cohort), cohort, tmp_path / "out")
    assert "sub-a/ses-imputed/anat/sub-a_ses-imputed_desc-imputed_srr.nii.gz" in files(done.folder)


def test_names_are_those_of_the_bids_schema(raw):
    ancpbids = pytest.importorskip("ancpbids")
    cohort = read_cohort(raw)
    done = write_derivative(faked(cohort, at_years=[1, 2.5]), cohort, raw, save_draws=True)
    report = ancpbids.validate_dataset(ancpbids.load_dataset(str(done.folder)))
    # of the rules it knows only those about names hold for derivatives: others ask a README for its space
    naming = {"NOT_INCLUDED", "INVALID_ENTITY_LABEL", "INVALID_LOCATION", "ENTITY_ORDER"}
    assert [message for message in report.messages if message["code"] in naming] == []
    anat = done.folder / "sub-01" / "ses-imputed1y" / "anat"
    shutil.copy(next(anat.glob("*_desc-imputed_*.nii.gz")), anat / "sub-01_ses-imputed1y_desc-x_noSuchThing.nii.gz")
    report = ancpbids.validate_dataset(ancpbids.load_dataset(str(done.folder)))
    assert [message["code"] for message in report.messages if message["code"] in naming] == ["NOT_INCLUDED"]


def test_the_bids_validator_sees_and_accepts_every_file(raw):
    cohort = read_cohort(raw)
    done = write_derivative(faked(cohort, at_years=[1, 2.5]), cohort, raw, save_draws=True)
    summary, errors = judged_as_derivative(done.folder)
    assert errors == []
    assert summary["totalFiles"] == len(files(done.folder)) == 48
    assert sorted(summary["subjects"]) == ["01", "02"]
    (done.folder / "sub-01" / "ses-imputed1y" / "anat" / "surprise.nii.gz").write_bytes(b"")
    assert judged_as_derivative(done.folder)[1]


def test_the_bids_validator_accepts_the_study_around_it_and_names_of_raw_data(raw):
    cohort = read_cohort(raw)
    done = write_derivative(faked(cohort, at_years=[1, 2.5]), cohort, raw, save_draws=True)
    assert judged(raw)[1] == []
    # it does not know names of derivatives; by names of raw data it judges headers and sidecars, too
    plain = raw.parent / "plain"
    shutil.copytree(done.folder, plain)
    for path in plain.rglob("*_desc-*"):
        path.rename(
            path.with_name(path.name.replace("_desc-imputed", ""))
        ) if "imputed_T1w" in path.name else path.unlink()
    summary, errors = judged(plain)
    assert errors == []
    assert summary["subjects"] == ["01", "02"]
    assert summary["sessions"] == ["imputed1y", "imputed2p5y"]
    assert summary["modalities"] == ["MRI"]


def test_the_bids_validator_would_have_complained(raw):
    cohort = read_cohort(raw)
    done = write_derivative(faked(cohort), cohort, raw)
    (done.folder / "sub-01" / "ses-imputed" / "anat" / "surprise.nii.gz").write_bytes(b"")
    assert judged(done.folder)[1]

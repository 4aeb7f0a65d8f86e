"""Two patients scanned twice with other settings, and an atlas of fetuses, through the whole chain of commands.

The patients (openMS, Lesjak et al. 2016, CC BY) have thick slices, other grids at the two visits and transforms into a
common space; the atlas (Fidon et al. 2021, CC0) is of people scanned once. With so few images this shows that the parts
fit together, not that anything is predicted well: no score is looked at.
"""

import json
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import label

import nextscan
from nextscan.cli.main import run
from nextscan.images.files import write_image

pytestmark = pytest.mark.minutes

PATIENTS = ("patient01", "patient12")
WEEKS = ("21_notoperated", "34_operated")  # the youngest and the oldest of fifteen; the others take the same way
GRID = ["--set", "shape=96,112,72", "--set", "spacing=2,2,2.5"]
SMALL = [
    "--set",
    "shape=32,38,28",
    "--set",
    "spacing=6,6,7",
    "--set",
    "channels=8,16",
    "--set",
    "attention=false,false",
]
SHORT = ["--set", "epochs=1", "--set", "examples_per_epoch=4"]
MARKED = np.array([20.0, -5.0, 15.0])  # mm in the common space of the first patient: white matter above the ventricle
RADIUS = 6.0  # mm
HEADER = ("dim", "sform_code", "qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "srow_x", "srow_z")


def from_common(path: Path) -> np.ndarray:
    """Read what ITK stored without the code under test: x -> A (x - c) + t + c, in LPS."""
    lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if line[0] != "#")
    numbers, centre = (np.array(lines[name].split(), float) for name in ("Parameters", "FixedParameters"))
    turn, matrix = np.diag([-1.0, -1.0, 1.0]), np.eye(4)
    linear = numbers[:9].reshape(3, 3)
    matrix[:3, :3] = turn @ linear @ turn
    matrix[:3, 3] = turn @ (numbers[9:] + centre - linear @ centre)
    return matrix


def marked(source: Path, transform: Path, out: Path) -> np.ndarray:
    """Write an image with a bright ball in it; return the middle of the ball in the common space, in mm."""
    image = nibabel.load(source)
    data = image.get_fdata(dtype=np.float32)
    index = np.stack(np.indices(data.shape), -1).reshape(-1, 3)
    to_common = np.linalg.inv(from_common(transform)) @ image.affine
    places = index @ to_common[:3, :3].T + to_common[:3, 3]
    ball = np.linalg.norm(places - MARKED, axis=1) < RADIUS
    data[tuple(index[ball].T)] = data.max()
    write_image(out, data, image.affine, like=source)
    middle: np.ndarray = places[ball].mean(axis=0)
    return middle


@pytest.fixture(scope="module")
def folder(shared_data, tmp_path_factory):
    """Return a folder with tables of all images and of what to impute, and with a model of each of two methods."""
    real = shared_data / "volumes"
    if not real.is_dir():
        pytest.skip("real volumes are not here")
    place = tmp_path_factory.mktemp("real")
    people = pd.read_csv(real / "open_ms" / "demographics.csv").set_index("patient_id")
    rows = []
    for patient in PATIENTS:
        who = people.loc[int(patient[-2:])]
        for study, days in (("study1", 0), ("study2", who["days_between_studies"])):
            stem = real / "open_ms" / patient / f"{study}_FLAIR"
            row = {"subject": patient, "visit": study, "age": who["patient_age_at_first_study"] + days / 365.25}
            files = {"volume": f"{stem}.nii.gz", "transform": f"{stem}_to_common_space.txt"}
            rows.append(row | {"sex": who["sex"]} | files)
    rows[1]["volume"] = str(place / "study2_marked_FLAIR.nii.gz")
    middle = marked(
        real / "open_ms" / "patient01" / "study2_FLAIR.nii.gz", Path(rows[1]["transform"]), Path(rows[1]["volume"])
    )
    np.save(place / "middle.npy", middle)
    once = [
        {
            "subject": f"GA{week}",
            "visit": "atlas",
            "volume": str(real / "fetal_atlas" / f"fetal_SB_atlas_GA{week}" / "srr.nii.gz"),
        }
        for week in WEEKS
    ]
    pd.DataFrame(rows + once).to_csv(place / "cohort.csv", index=False)
    hidden = rows[1] | {"volume": "", "transform": ""}  # the marked visit is to be imputed
    pd.DataFrame([rows[0], hidden, *rows[2:], once[1]]).to_csv(place / "asked.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert run(["fit", "cohort.csv", "--out", "diffusion", *SMALL, *SHORT]) == 0
        assert run(["fit", "cohort.csv", "--method", "volume-mean-change", "--out", "change", *GRID]) == 0
    return place


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


def imputed(place, desc="imputed"):
    """Return imputed images by subject and session."""
    found = Path(place, "derivatives", "nextscan").rglob(f"*_desc-{desc}_*.nii.gz")
    return {tuple(path.name.split("_")[:2]): path for path in found}


def assert_in_the_grid_of(path, source):
    """Compare headers field by field: shape, place, codes, voxels and units."""
    image, expected = nibabel.load(path), nibabel.load(source)
    np.testing.assert_array_equal(image.affine, expected.affine)
    np.testing.assert_array_equal(image.header["pixdim"][:4], expected.header["pixdim"][:4])
    for field in HEADER:
        np.testing.assert_array_equal(image.header[field], expected.header[field], err_msg=field)
    assert image.header.get_xyzt_units() == expected.header.get_xyzt_units()


def test_describe_knows_what_is_odd_and_finds_the_visits_on_each_other(capsys):
    assert run(["describe", "cohort.csv", "--html", "cohort.html", "--individuals"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Subjects 4, 2 with a follow-up" in told
    assert "Images 6; with 4 transform files" in told
    assert "slices more than 2.5 times as thick as voxels are wide: 4" in told
    assert "visits with other voxels than the subject's first: 1 (patient01 study2" in told
    assert "do not lie on" not in told
    assert Path("cohort.html").stat().st_size > 50_000


def test_the_models_learned_from_two_pairs_and_say_so():
    for name in ("diffusion", "change"):
        record = nextscan.load(name).record_
        assert (record["n_pairs"], record["n_paired_subjects"], record["n_subjects"]) == (2, 2, 4)
        assert record["gap_range"] == pytest.approx([81 / 365.25, 203 / 365.25])


def test_what_is_imputed_overlays_its_source(capsys):
    command = ["impute", "diffusion", "asked.csv", "--at-years", "0", "--draws", "2", "--out", "diffused"]
    assert run(command) == 0
    table = pd.read_csv("asked.csv").dropna(subset="volume").drop_duplicates("subject", keep="last")
    sources = {f"sub-{row.subject}".replace("_", ""): row.volume for row in table.itertuples()}
    means, spreads = imputed("diffused"), imputed("diffused", "sd")
    assert set(means) == set(spreads) == {(subject, "ses-imputed0y") for subject in sources}
    for (subject, session), path in means.items():
        assert_in_the_grid_of(path, sources[subject])
        assert_in_the_grid_of(spreads[subject, session], sources[subject])
        data, source = (nibabel.load(p).get_fdata(dtype=np.float32) for p in (path, sources[subject]))
        brain = source > 0.3 * np.quantile(source, 0.99)
        assert np.corrcoef(data[brain], source[brain])[0, 1] > 0.98
        spread = nibabel.load(spreads[subject, session]).get_fdata(dtype=np.float32)
        assert spread[brain].mean() > spread[~brain].mean()
        said = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
        assert Path("diffused/derivatives/nextscan", said["Sources"][0]).resolve() == Path(sources[subject]).resolve()
        told = said["NextscanProvenance"]
        assert (told["method"], told["draws"], told["gap"]) == ("volume-diffusion", 2, 0.0)
        assert told["source_file"] == Path(sources[subject]).name


def test_a_landmark_comes_back_at_its_voxel(shared_data):
    """What only the second visit shows, in thinner slices and another position, appears in the first one's grid.

    The ball is 8 voxels in radius within slices, and one and a half slices across them. Where its middle must lie
    follows from the stored transforms alone. "The same voxel" means half a voxel; the visits lie 8 mm apart otherwise.
    """
    assert run(["impute", "change", "asked.csv", "--draws", "2", "--out", "changed"]) == 0
    path = imputed("changed")["sub-patient01", "ses-study2"]
    first = shared_data / "volumes" / "open_ms" / "patient01" / "study1_FLAIR.nii.gz"
    assert_in_the_grid_of(path, first)
    image, source = nibabel.load(path), nibabel.load(first)
    change = image.get_fdata() - source.get_fdata()
    middle = np.append(np.load("middle.npy"), 1.0)
    to_first = from_common(first.with_name("study1_FLAIR_to_common_space.txt"))
    expected = (np.linalg.inv(source.affine) @ to_first @ middle)[:3]
    here = tuple(np.round(expected).astype(int))
    assert change[here] > 50  # a fifth of what white matter has
    parts, _ = label(change > change[here] / 2)
    ball = np.argwhere(parts == parts[here])
    assert len(ball) < 1000
    found = np.average(ball, axis=0, weights=change[tuple(ball.T)])
    print(f"landmark expected at voxel {np.round(expected, 2)}, found at {np.round(found, 2)}")
    assert (np.abs(found - expected) < 0.5).all()


def test_two_pairs_are_too_few_to_compare_methods_but_copying(capsys):
    cohort = pd.read_csv("cohort.csv")
    for row, path in enumerate(cohort["volume"]):  # every second voxel within slices will do: scores are not looked at
        cohort.loc[row, "volume"] = coarse = f"coarse-{row}.nii.gz"
        nibabel.load(path).slicer[::2, ::2].to_filename(coarse)
    cohort.to_csv("coarse.csv", index=False)
    plug = ["--segmenter", "cli.regions_of_any_contrast:segment", "--folds", "2", "--draws", "2", "--individuals"]
    assert run(["evaluate", "coarse.csv", "--methods", "copy-source,volume-diffusion", *plug, "--out", "study"]) == 0
    said = capsys.readouterr().err
    assert "volume-diffusion needs at least 2 pairs of images to learn from, there are 1" in said
    assert "no row for volume-mean-change" in said
    assert Path("study/report.html").stat().st_size > 100_000

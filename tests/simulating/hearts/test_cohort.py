import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nextscan.errors import OutputError, SettingError
from nextscan.images.files import read_header, read_image
from nextscan.simulating import load_heart_law, simulate_hearts
from nextscan.simulating.hearts import cohort as hearts
from nextscan.simulating.hearts.cohort import heart_of
from nextscan.simulating.hearts.folder import LAW
from nextscan.simulating.hearts.scanner import NOISE, bias

SHAPE = (20, 20, 6)
TINY = {"n_subjects": 1, "n_frames": 2, "shape": (16, 16, 4)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return simulate_hearts(tmp_path_factory.mktemp("hearts") / "hearts", n_subjects=6, n_frames=5, shape=SHAPE, seed=5)


@pytest.fixture(scope="module")
def acdc(tmp_path_factory):
    place = tmp_path_factory.mktemp("acdc") / "acdc"
    return simulate_hearts(place, n_subjects=6, n_frames=5, shape=SHAPE, seed=5, layout="acdc")


def contents(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and path.suffix != ".npz"  # archives hold the time of writing
    }


def test_a_heart_is_a_subject_and_a_frame_a_visit(made):
    assert (made.n_subjects, made.n_visits, made.time_unit, made.period) == (6, 30, "cycle", 1.0)
    assert list(made.visits[:5]) == ["frame-01", "frame-02", "frame-03", "frame-04", "frame-05"]
    np.testing.assert_allclose(made.years[:5], [0, 0.2, 0.4, 0.6, 0.8])
    assert list(made.labels) == ["group", "sex", "height", "weight", "heart_rate"]
    assert made.visit_labels["phase"][0] == "ED"
    assert (made.visit_labels["phase"] == "ES").sum() == 6
    for paths in made.files.values():
        assert [path[-2:] for path in paths[:6]] == ["#0", "#1", "#2", "#3", "#4", "#0"]


def test_the_table_says_what_the_cohort_is(made):
    table = pd.read_csv(made.source)
    folder = Path(made.source).parent
    assert list(table["subject"]) == list(made.subject_names(np.arange(30)))
    assert list(table["visit"]) == list(made.visits)
    np.testing.assert_allclose(table["cycle"], made.years)
    for role in ("volume", "segmentation", "noise_free"):
        assert [str(folder / path) for path in table[role]] == list(made.files_of(role))
    pd.testing.assert_frame_equal(table[list(made.labels)][::5].reset_index(drop=True), made.labels, check_dtype=False)


def test_images_are_films_with_their_frame_time(made):
    import nibabel

    law = load_heart_law(made.law)
    for i in (0, 3):
        film = nibabel.load(made.files_of("volume")[5 * i].removesuffix("#0"))
        assert film.shape == (*SHAPE, 5)
        assert film.header.get_xyzt_units() == ("mm", "sec")
        np.testing.assert_allclose(film.header.get_zooms(), [9, 9, 140 / 6, 60 / law.heart_rate[i] / 5], rtol=1e-6)
        header = read_header(made.files_of("volume")[5 * i])
        np.testing.assert_allclose(header.affine @ [9.5, 9.5, 2.5, 1], [0, 0, 0, 1], atol=1e-5)


def test_the_truth_is_the_frame_without_noise_and_its_volumes(made):
    folder, law = Path(made.source).parent, load_heart_law(made.law)
    table = pd.read_csv(folder / "derivatives/truth/frames.csv")
    row = 7  # the third frame of the second subject
    seen, clean, labels = (
        read_image(made.files_of(role)[row]).data for role in ("volume", "noise_free", "segmentation")
    )
    images, maps = heart_of(law, "sub-002").labelled_frames(law.beat("sub-002"))
    np.testing.assert_allclose(clean, images[..., 2] * bias("sub-002", SHAPE, seed=5), rtol=1e-5)
    assert np.array_equal(labels, maps[..., 2])
    assert (seen - clean)[clean > 60].std() == pytest.approx(NOISE, rel=0.1)
    voxel = 9 * 9 * 140 / 6 / 1000
    for label, column in ((1, "rv_ml"), (2, "myocardium_ml"), (3, "lv_ml")):
        assert (labels == label).sum() * voxel == pytest.approx(table[column][row], abs=1.01 * voxel)
    assert table["lv_ml"][row] == pytest.approx(law.beat("sub-002").lv[0, 2], rel=1e-5)
    assert table["lv_length_mm"][row] == pytest.approx(law.beat("sub-002").length[0, 2], rel=1e-5)
    people = pd.read_csv(folder / "derivatives/truth/hearts.csv")
    np.testing.assert_allclose(people["ef"], 100 * (1 - people["esv_ml"] / people["edv_ml"]), rtol=1e-4)
    assert people["edv_ml"][1] == pytest.approx(table["lv_ml"][5], rel=1e-4)
    assert people["rv_edv_ml"][1] == pytest.approx(table["rv_ml"][5], rel=1e-4)


def test_acdc_holds_the_same_hearts_in_its_own_files(made, acdc):
    folder = Path(acdc.source)
    law, es = load_heart_law(acdc.law), int(np.flatnonzero(acdc.visit_labels["phase"][:5] == "ES")[0]) + 1
    assert list(acdc.subjects[:2]) == ["patient001", "patient002"]
    assert sorted(path.name for path in (folder / "patient001").iterdir()) == [
        "Info.cfg",
        "patient001_4d.nii.gz",
        "patient001_frame01.nii.gz",
        "patient001_frame01_gt.nii.gz",
        f"patient001_frame{es:02d}.nii.gz",
        f"patient001_frame{es:02d}_gt.nii.gz",
    ]
    assert (folder / "patient001" / "Info.cfg").read_text().splitlines() == [
        "ED: 1",
        f"ES: {es}",
        f"Group: {acdc.labels['group'][0]}",
        f"Height: {law.height[0]:.1f}",
        "NbFrame: 5",
        f"Weight: {law.weight[0]:.1f}",
    ]
    for role in ("volume", "segmentation", "noise_free"):
        one, other = (read_image(cohort.files_of(role)[8]).data for cohort in (made, acdc))
        assert np.array_equal(one, other), role
    end = read_image(folder / "patient001" / f"patient001_frame{es:02d}_gt.nii.gz").data
    assert np.array_equal(end, read_image(acdc.files_of("segmentation")[es - 1]).data)
    assert law.predict("patient001", [0.0], [0.4]).mean == pytest.approx(
        load_heart_law(made.law).predict("sub-001", [0.0], [0.4]).mean
    )


def test_the_same_seed_gives_the_same_files_and_another_one_others(made, tmp_path):
    simulate_hearts(tmp_path / "hearts", n_subjects=3, n_frames=5, shape=SHAPE, seed=5)
    few, many = contents(tmp_path / "hearts"), contents(Path(made.source).parent)
    images = [name for name in few if name.endswith(".nii.gz")]
    assert len(images) == 9
    assert all(few[name] == many[name] for name in images)
    simulate_hearts(tmp_path / "hearts", n_subjects=1, n_frames=5, shape=SHAPE, seed=6)
    assert contents(tmp_path / "hearts")["images/sub-001_cine.nii.gz"] != many["images/sub-001_cine.nii.gz"]


def test_a_cohort_is_replaced_and_nothing_else(tmp_path):
    place = tmp_path / "hearts"
    place.mkdir()
    simulate_hearts(place, **TINY)
    assert simulate_hearts(place, **TINY, layout="acdc").n_subjects == 1
    assert [path.name for path in tmp_path.iterdir()] == ["hearts"]
    (place / "derivatives" / "nextscan").mkdir()
    before = contents(place)
    with pytest.raises(OutputError, match="holds derivatives/nextscan, which was not simulated"):
        simulate_hearts(place, **TINY)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all I have")
    with pytest.raises(OutputError, match="is not a cohort of simulated hearts"):
        simulate_hearts(tmp_path / "mine", **TINY)
    with pytest.raises(OutputError, match="is a file"):
        simulate_hearts(tmp_path / "mine" / "thesis.txt", **TINY)
    assert contents(place) == before
    assert (place / LAW).is_file()


def test_nothing_is_left_where_it_stops_half_way(tmp_path, monkeypatch):
    def fail(*_args, **_others):
        raise KeyboardInterrupt

    monkeypatch.setattr(hearts, "noisy", fail)
    with pytest.raises(KeyboardInterrupt):
        simulate_hearts(tmp_path / "hearts", **TINY)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_subjects(tmp_path):
    events = []
    simulate_hearts(tmp_path / "hearts", **{**TINY, "n_subjects": 3}, progress=events.append)
    assert [(event["done"], event["total"]) for event in events] == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_subjects": 0}, "at least 1 subject, got 0"),
        ({"n_frames": 1}, "a beat has 2 to 500 frames, got 1"),
        ({"shape": (32, 40)}, "a shape is three numbers from 4 to 512, as in 32,32,8; got 32,40"),
        ({"shape": (2, 40, 32)}, "a shape is three numbers"),
        ({"spacing": (5, 5, 0)}, "a spacing is three numbers of mm above 0, got 5,5,0"),
        ({"spacing": (2, 2, 2)}, "the heart of sub-001 does not fit into images of 16×16×4 voxels of 2×2×2 mm"),
        ({"groups": {"ARV": 1}}, "no group ARV; there are NOR, DCM, HCM, MINF, RV"),
        ({"groups": {"NOR": 0}}, "shares of groups are not negative, and one is above 0"),
        ({"groups": {"NOR": 2, "DCM": -1}}, "shares of groups are not negative"),
        ({"layout": "bids"}, "a layout of simulated hearts is table or acdc, got bids"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, settings, message):
    with pytest.raises(SettingError, match=message):
        simulate_hearts(tmp_path / "hearts", **{**TINY, **settings})
    assert list(tmp_path.iterdir()) == []

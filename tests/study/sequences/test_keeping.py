"""What a study of films keeps for the report: films of a few, curves of volumes, and that it goes on where it was."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Cohort
from nextscan.study import evaluate
from nextscan.study.plan import QUANTILES
from nextscan.study.sequences import keeping
from nextscan.study.sequences.keeping import Cut
from nextscan.study.sequences.truth import real_film
from study.film_world import AFFINE, TIMES, VOXEL_ML, ToldFilm, image_of, labels_of, make_films, radii

pytestmark = pytest.mark.minutes

pytest.importorskip("nibabel")

SETTINGS: dict[str, Any] = {"n_folds": 2, "shown": "first:2", "segmenter": "study.film_world:segment"}
METHODS = {"copy": ToldFilm(spread=0.0), "perfect": ToldFilm(answers="truth", spread=20.0)}
NEAREST = [0, 1, 1, 1, 0]


def evaluated(cohort: Cohort, out: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nextscan.study.plan.SEQUENCE_BASELINES", ())
        return evaluate(cohort, METHODS, out=out, save_draws=True, **SETTINGS)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make_films(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def run(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run; do not change it."""
    return evaluated(cohort, tmp_path_factory.mktemp("runs") / "films")


def index(run: Path) -> dict[str, Any]:
    return json.loads((run / "films" / "index.json").read_text())


def native(codes: np.ndarray, entry: dict[str, Any]) -> np.ndarray:
    low, high = entry["window"]
    return low + (high - low) * codes / 255


def test_films_of_subjects_of_all_sizes_of_change_are_kept(run: Path) -> None:
    told = index(run)
    assert (told["period"], told["unit"]) == (1.0, "cycle")
    assert len(told["subjects"]) == 6
    entry = told["subjects"][0]
    assert entry["frames"] == [f"frame-0{k}" for k in range(1, 6)]
    assert entry["times"] == TIMES.tolist()
    assert entry["given"] == [True, True, False, False, False]
    assert entry["nearest"] == NEAREST
    assert entry["methods"] == ["copy", "perfect"]  # a ridge of volumes has no images


def test_kept_images_are_those_of_the_film_to_a_255th_of_the_window(run: Path) -> None:
    for entry in index(run)["subjects"]:
        subject = int(entry["subject"][1:])
        with np.load(run / entry["folder"] / "real.npz") as file:
            real = {name: file[name] for name in file.files}
        with np.load(run / entry["folder"] / "copy.npz") as file:
            copy = {name: file[name] for name in file.files}
        with np.load(run / entry["folder"] / "perfect.npz") as file:
            perfect = {name: file[name] for name in file.files}
        clean = np.stack([image_of(labels_of(radius)) for radius in radii(subject)])
        start = np.rint(np.linalg.solve(AFFINE, real["affine"])[:3, 3]).astype(int)
        box = tuple(slice(a, a + n) for a, n in zip(start, real["real"].shape[1:], strict=True))
        step = (entry["window"][1] - entry["window"][0]) / 255
        np.testing.assert_allclose(native(real["noise_free"], entry), clean[:, *box], atol=0.51 * step)
        np.testing.assert_array_equal(copy["mean"], real["real"][NEAREST][2:])
        np.testing.assert_array_equal(copy["draw"], copy["mean"])
        assert copy["sd_high"] == 0.0
        assert not copy["sd"].any()
        np.testing.assert_allclose(native(perfect["mean"], entry), clean[2:, *box], atol=0.51 * step)
        assert perfect["sd"].max() == 255
        assert np.mean(perfect["sd"] / 255 * perfect["sd_high"]) == pytest.approx(20.0, rel=0.05)


def test_curves_hold_what_was_said_and_the_quantiles_of_draws(run: Path) -> None:
    curves = pd.read_parquet(run / "curves.parquet")
    assert list(curves.columns) == ["method", *keeping.COLUMNS]
    draws = pd.read_parquet(run / "draws" / "perfect.parquet")
    ef = curves[(curves["frame"] == "ef") & (curves["method"] == "perfect")].set_index("subject")
    assert len(ef) == 8
    for subject in range(8):
        volumes = VOXEL_ML * np.array([(labels_of(radius) == 3).sum() for radius in radii(subject)])
        name = f"s{subject:02d}"
        assert ef.loc[name, "truth"] == pytest.approx(100 * (1 - volumes.min() / volumes.max()))
        mine = draws[draws["subject"] == name]
        expected = np.quantile(mine["ef"], QUANTILES, method="weibull")
        np.testing.assert_allclose(ef.loc[name, [f"q{q:g}" for q in QUANTILES]].to_numpy(float), expected, rtol=1e-6)
        of_copy = curves[(curves["method"] == "copy") & (curves["subject"] == name)].set_index("frame")
        if len(of_copy) == 1:  # only the ejection fraction of those who are not shown
            continue
        rows = of_copy.loc[[f"frame-0{k}" for k in range(1, 6)]]
        np.testing.assert_allclose(rows["truth"], volumes)
        np.testing.assert_allclose(rows["value"], volumes[NEAREST])
        np.testing.assert_allclose(rows["time"], TIMES)
        assert rows["given"].tolist() == [True, True, False, False, False]
        assert rows["q0.5"].isna().tolist() == rows["given"].tolist()
        np.testing.assert_allclose(rows["q0.5"][2:], volumes[NEAREST][2:])
    shown = curves[(curves["frame"] != "ef") & (curves["method"] == "perfect")]
    assert shown["subject"].nunique() == 6
    name = shown["subject"].iloc[0]
    row = shown[(shown["subject"] == name) & (shown["frame"] == "frame-04")].iloc[0]
    mine = draws.loc[draws["subject"] == name, "lv@frame-04"]
    assert row["q0.1"] == pytest.approx(np.quantile(mine, 0.1, method="weibull"), rel=1e-6)
    assert set(curves.loc[curves["method"] == "volume-ridge", "frame"]) == {"ef", *(f"frame-0{k}" for k in range(1, 6))}


def test_a_study_that_goes_on_keeps_what_jobs_kept(cohort: Cohort, run: Path) -> None:
    kept = sorted(run.glob("films/*/*.npz"))
    before = [path.read_bytes() for path in kept]
    fits = len(ToldFilm.fits)
    evaluated(cohort, run)
    assert len(ToldFilm.fits) == fits
    assert [path.read_bytes() for path in kept] == before


def test_jobs_of_before_films_were_kept_stay_good(cohort: Cohort, tmp_path: Path) -> None:
    run = evaluated(cohort, tmp_path / "run")
    for path in [*(run / "jobs").glob("*.film-*"), *(run / "jobs").glob("copy*.curves.parquet")]:
        path.unlink()
    evaluated(cohort, run)
    assert {tuple(entry["methods"]) for entry in index(run)["subjects"]} == {()}
    assert set(pd.read_parquet(run / "curves.parquet")["method"]) == {"perfect", "volume-ridge"}


def test_films_are_averaged_over_blocks_until_they_are_small(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.arange(5)
    real = real_film(cohort, rows, rows < 2, {"myo": 2, "lv": 3})
    whole = Cut.of(real)
    assert whole.blocks == (1, 1, 1)
    monkeypatch.setattr(keeping, "MOST", 5000)
    cut = Cut.of(real)
    assert cut.blocks == (2, 2, 1)  # slices are thick: first within the slice
    small = cut.image(real.images[0])
    assert 3 * 3 * small.size <= 5000
    fine = real.images[0][whole.box]
    expected = fine[2:4, 4:6, 3].mean()
    at_low, at_high = cut.low, cut.high
    assert at_low + (at_high - at_low) * small[1, 2, 3] / 255 == pytest.approx(
        expected, abs=0.51 * (at_high - at_low) / 255
    )
    middle = whole.affine @ [2.5, 4.5, 3, 1]
    np.testing.assert_allclose(cut.affine @ [1, 2, 3, 1], middle)

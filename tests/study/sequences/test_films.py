"""Whole evaluations of tiny films: values that were constructed, resuming, and that nothing leaks."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nextscan.cli.scores import print_scores
from nextscan.cohort import Cohort
from nextscan.errors import CohortError, SettingError
from nextscan.images.files import read_image, write_image
from nextscan.imputers.registry import SEQUENCE_BASELINES
from nextscan.report import write_report
from nextscan.report.metric_catalogue import metric
from nextscan.study import evaluate
from nextscan.study.plan import Plan, holds_films
from nextscan.study.sequences.films import course_of
from nextscan.study.sequences.jobs import OF_FRAMES
from nextscan.study.sequences.scoring import CURVE_SCORES, FRAME_SCORES, dice_cavity
from nextscan.study.sequences.truth import real_film, true_volumes
from study.film_world import AFFINE, TIMES, VOXEL_ML, ToldFilm, image_of, labels_of, make_films, radii

pytestmark = pytest.mark.minutes

pytest.importorskip("nibabel")

SETTINGS: dict[str, Any] = {"n_folds": 2, "shown": "first:2", "segmenter": "study.film_world:segment"}
SCORES = {*FRAME_SCORES, *CURVE_SCORES, "ef_correlation"} - set(OF_FRAMES)
METHODS = {"copy": ToldFilm(), "perfect": ToldFilm(answers="truth")}


@pytest.fixture(autouse=True)
def forget() -> None:
    ToldFilm.fits.clear()
    ToldFilm.seen.clear()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the rows that are always there and are looked at elsewhere."""
    monkeypatch.setattr("nextscan.study.plan.SEQUENCE_BASELINES", ())


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make_films(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="session")
def run(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run; do not change it."""
    return evaluate(cohort, METHODS, out=tmp_path_factory.mktemp("runs") / "films", save_draws=True, **SETTINGS)


def pooled(run: Path) -> pd.DataFrame:
    scores = pd.read_csv(run / "scores.csv", dtype={"seed": str, "repeat": str, "fold": str})
    whole = (scores[["seed", "repeat", "fold", "group"]] == "all").all(axis=1)
    return scores[whole].pivot(index="method", columns="metric", values="value")


def volumes(subject: int) -> np.ndarray:
    """Return the volume of a subject's ball in each frame, mL."""
    return VOXEL_ML * np.array([(labels_of(radius) == 3).sum() for radius in radii(subject)])


def ejected(curve: np.ndarray) -> float:
    return float(100 * (curve.max() - curve.min()) / curve.max())


NEAREST = [0, 1, 1, 1, 0]  # of the first two of five frames around a circle; of two as near the one before


def test_every_score_of_every_row(run: Path) -> None:
    table = pooled(run)
    assert list(table.index) == sorted([*METHODS, *SEQUENCE_BASELINES, "segmenter", "volume-ridge"])
    assert set(table.columns) >= SCORES - {"dice_cavity"} | {"energy_score", "crps", "rmse", "coverage_80", "sd_ratio"}
    assert table.loc[["copy", "perfect"], list(SCORES - {"dice_cavity", "ef_correlation"})].notna().all(axis=None)
    assert np.isnan(table.loc["volume-ridge", "ssim"])
    assert np.isnan(table.loc["segmenter", "energy_score"])
    assert all(metric(name).better for name in SCORES)  # the catalogue knows them
    record = json.loads((run / "run.json").read_text())
    assert record["kind"] == "sequences"
    assert record["settings"]["shown"] == "first:2"
    assert record["regions"]["truth"] == "label maps"
    assert record["image_truth"] == "noise_free"
    assert not (run / "images").exists()


def test_a_copy_errs_by_what_was_constructed(run: Path) -> None:
    """Hidden frames 3 to 5 are copied from the nearest of the first two, around the circle."""
    copy = pooled(run).loc["copy"]
    errors, efs = [], []
    for subject in range(8):
        true = volumes(subject)
        copied = true[NEAREST]
        errors.append(np.abs(copied - true)[2:].mean())
        efs.append(ejected(copied) - ejected(true))
    assert copy["volume_error"] == pytest.approx(np.mean(errors))
    assert copy["ef_bias"] == pytest.approx(np.mean(efs))
    assert copy["ef_error"] == pytest.approx(np.mean(np.abs(efs)))
    assert copy["curve_change_error"] == 1.0
    assert np.isnan(copy["change_correlation"])
    row = pooled(run).loc["copy-nearest"]
    assert row[["volume_error", "curve_change_error"]].tolist() == copy[["volume_error", "curve_change_error"]].tolist()


def test_the_truth_scores_best(run: Path) -> None:
    table = pooled(run)
    best = table.loc["perfect"]
    zero = ["volume_error", "muscle_error", "ef_error", "ef_bias", "curve_change_error", "nrmse", "nrmse_heart"]
    assert best[zero].abs().max() < 1e-6
    assert best[["ssim", "ssim_heart"]].tolist() == pytest.approx([1.0, 1.0])
    assert best["psnr_heart"] == pytest.approx(120.0)
    assert best["ef_correlation"] == pytest.approx(1.0)
    assert best["change_correlation"] == pytest.approx(1.0)
    assert best["roughness_ratio"] == pytest.approx(1.0, abs=0.1)
    assert table["energy_score"].idxmin() == "perfect"
    assert table.loc["segmenter", "volume_error"] == pytest.approx(0.0, abs=1e-6)
    assert table.loc["segmenter", "ef_error"] == pytest.approx(0.0, abs=1e-6)


def test_the_table_of_frames_says_how_far_each_is_from_what_was_shown(run: Path) -> None:
    frames = pd.read_csv(run / "frame_scores.csv")
    assert list(frames.columns) == [
        *("method", "metric", "frame", "time", "horizon", "n_before", "value", "low", "high", "n"),
    ]
    copy = frames[(frames["method"] == "copy") & (frames["metric"] == "volume_error")]
    assert copy["frame"].tolist() == ["frame-03", "frame-04", "frame-05"]
    np.testing.assert_allclose(copy["time"], TIMES[2:])
    np.testing.assert_allclose(copy["horizon"], [0.2, 0.4, 0.2])
    np.testing.assert_allclose(copy["n_before"], [1, 2, 3])
    expected = np.mean([np.abs(volumes(s)[NEAREST] - volumes(s))[2:] for s in range(8)], axis=0)
    np.testing.assert_allclose(copy["value"], expected, rtol=1e-6)
    assert (copy["n"] == 8).all()
    assert (copy["low"] <= copy["value"]).all()
    assert (copy["value"] <= copy["high"]).all()
    biased = frames[(frames["method"] == "copy") & (frames["metric"] == "volume_bias")]
    np.testing.assert_allclose(biased["value"], np.mean([(volumes(s)[NEAREST] - volumes(s))[2:] for s in range(8)], 0))
    ridge = frames[frames["method"] == "volume-ridge"]
    assert set(ridge["metric"]) == {"volume_error", "volume_bias", "muscle_error", "volume_coverage_80"}
    assert set(frames.loc[frames["method"] == "segmenter", "metric"]) >= {"volume_error", "muscle_error"}


def test_one_follow_up_per_subject_holds_the_curve_and_the_ejection_fraction(run: Path) -> None:
    predictions = pd.read_parquet(run / "predictions.parquet")
    truth = predictions[predictions["kind"] == "truth"].set_index("subject")
    assert len(truth) == 8
    names = [f"{region}@frame-0{k}" for region in ("lv", "myo") for k in (3, 4, 5)]
    assert [name for name in truth.columns if "@" in name or name == "ef"] == [*names, "ef"]
    for subject in range(8):
        row = truth.loc[f"s{subject:02d}"]
        np.testing.assert_allclose(row[names[:3]].to_numpy(float), volumes(subject)[2:], rtol=1e-6)
        assert row["ef"] == pytest.approx(ejected(volumes(subject)), rel=1e-6)
    context = predictions[predictions["kind"] == "context"].set_index("subject")
    np.testing.assert_allclose(context.loc["s03", names[:3]].to_numpy(float), volumes(3)[NEAREST][2:], rtol=1e-6)
    assert len(pd.read_parquet(run / "draws" / "perfect.parquet")) == 8 * 10


def test_the_report_is_written(run: Path) -> None:
    page = write_report(run).read_text()
    assert "Ejection fraction" in page
    assert "SSIM, inside the heart" in page


def test_scores_are_printed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_scores(run)
    lines = capsys.readouterr().out.splitlines()
    assert any("mL ↓" in line for line in lines[:2])
    assert next(line for line in lines if line[:1].strip()).split()[0] == "perfect"
    assert any(line.startswith("segmenter") and " – " in line for line in lines)


def test_methods_see_images_of_frames_shown_alone(cohort: Cohort, tmp_path: Path, few: None) -> None:
    evaluate(cohort, {"copy": ToldFilm()}, out=tmp_path / "run", **SETTINGS)
    trained, asked = ToldFilm.seen[0], ToldFilm.seen[1]
    assert trained.has_volume.all()
    assert "noise_free" not in trained.files
    assert trained.n_features == 0
    assert not set(trained.subjects) & set(asked.subjects)
    np.testing.assert_array_equal(asked.has_volume, np.tile([True, True, False, False, False], asked.n_subjects))
    assert (asked.files_of("segmentation")[~asked.has_volume] == "").all()


def test_hidden_truth_changes_no_prediction(cohort: Cohort, run: Path, tmp_path: Path, few: None) -> None:
    """Other frames behind those shown, in test subjects and the training ones of the other fold alike."""
    other = make_films(tmp_path / "films")
    for subject in range(8):
        path = tmp_path / "films" / f"s{subject:02d}_volume.nii.gz"
        film = np.stack([read_image(f"{path}#{k}").data for k in range(len(TIMES))], axis=-1)
        film[..., 2:] = image_of(labels_of(1.0))[..., None]
        write_image(path, film, AFFINE)
    again = evaluate(other, {"copy": ToldFilm()}, out=tmp_path / "run", **SETTINGS)
    before, after = (pd.read_parquet(folder / "predictions.parquet") for folder in (run, again))
    before, after = (t[(t["method"] == "copy") & (t["kind"] == "mean")].sort_values("subject") for t in (before, after))
    names = [name for name in before.columns if "@" in name]
    np.testing.assert_array_equal(before[names], after[names])


def test_an_interrupted_evaluation_goes_on(cohort: Cohort, run: Path, tmp_path: Path, few: None) -> None:
    with pytest.MonkeyPatch.context() as patch, suppress(KeyboardInterrupt):
        patch.setattr(ToldFilm, "fail_from", 1)
        evaluate(cohort, {"told": ToldFilm()}, out=tmp_path / "run", **SETTINGS)
    kept = (tmp_path / "run" / "jobs").glob("told-*.npz")
    done = sorted(path for path in kept if "." not in path.stem)  # without the films that a job keeps
    assert len(done) == 1
    when = done[0].stat().st_mtime_ns
    evaluate(cohort, {"told": ToldFilm()}, out=tmp_path / "run", **SETTINGS)
    assert len(ToldFilm.fits) == 2
    assert done[0].stat().st_mtime_ns == when
    assert pooled(tmp_path / "run").loc["told", "volume_error"] == pooled(run).loc["copy", "volume_error"]


def test_what_is_shown_is_part_of_the_plan(cohort: Cohort, run: Path) -> None:
    settings: dict[str, Any] = {"n_folds": 2, "repeats": 1, "seeds": 1, "draws": 4, "seed": 0, "save_draws": False}
    plans = [Plan.of(cohort, METHODS, shown=rule, **settings) for rule in (None, "", "first:2", "first:3")]
    keys = [plan.job("copy", 1, 0, 0).key for plan in plans]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert "shown" not in plans[0].identity
    assert [plan.of_films for plan in plans] == [False, False, True, True]
    with pytest.raises(SettingError, match="holds an evaluation of shown=first:2, not first:3"):
        evaluate(cohort, METHODS, out=run, **{**SETTINGS, "shown": "first:3"})
    with pytest.raises(SettingError, match="holds an evaluation of"):
        evaluate(cohort, METHODS, out=run, **{**SETTINGS, "shown": None})
    with pytest.raises(SettingError, match="an extractor is for single images"):
        Plan.of(cohort, METHODS, shown="first:2", extractor="math:hypot", **settings)


def test_frames_without_label_maps_are_scored_as_images(tmp_path: Path, few: None) -> None:
    """As of ACDC: two frames are labelled, and the ejection fraction is that of these."""
    cohort = make_films(tmp_path / "films", labelled=(0, 3))
    run = evaluate(cohort, METHODS, out=tmp_path / "run", **SETTINGS)
    table, frames = pooled(run), pd.read_csv(run / "frame_scores.csv")
    copy = frames[frames["method"] == "copy"].set_index(["metric", "frame"])["value"]
    assert set(copy["volume_error"].index) == {"frame-04"}
    assert set(copy["ssim_heart"].index) == {"frame-03", "frame-04", "frame-05"}
    of_two = [ejected(volumes(s)[[0, 3]]) for s in range(8)]
    truth = pd.read_parquet(run / "predictions.parquet").query("kind == 'truth'").sort_values("subject")
    np.testing.assert_allclose(truth["ef"], of_two, rtol=1e-6)
    of_copy = [ejected(volumes(s)[[0, 1]]) for s in range(8)]  # frame 4 copied from frame 2
    assert table.loc["copy", "ef_bias"] == pytest.approx(np.mean(of_copy) - np.mean(of_two))


def test_what_cannot_be_measured_is_refused(cohort: Cohort, tmp_path: Path, few: None) -> None:
    blind = replace(cohort, files={role: paths for role, paths in cohort.files.items() if role != "segmentation"})
    with pytest.raises(CohortError, match="no frame has a label map, from which measuring volumes is learned"):
        evaluate(blind, METHODS, out=tmp_path / "a", n_folds=2, shown="first:2")
    other = replace(cohort, reading={"regions": {"ventricle": 3}})
    with pytest.raises(CohortError, match="none of the regions ventricle is called LV"):
        evaluate(other, METHODS, out=tmp_path / "b", n_folds=2, shown="first:2")
    # a segmenter of the user's own needs no label maps: truth is what it finds in the real frames
    run = evaluate(blind, {"perfect": METHODS["perfect"]}, out=tmp_path / "c", **SETTINGS)
    assert json.loads((run / "run.json").read_text())["regions"]["truth"] == "segmenter"
    assert pooled(run).loc["perfect", "volume_error"] == pytest.approx(0.0, abs=1e-6)


def test_distances_on_a_line_and_on_a_circle(cohort: Cohort) -> None:
    rows = np.arange(5)
    given = np.array([False, True, False, True, False])
    circle = course_of(cohort, rows, given)
    np.testing.assert_array_equal(circle.nearest, [1, 1, 1, 3, 3])
    np.testing.assert_allclose(circle.horizon, [0.2, 0, 0.2, 0, 0.2])
    np.testing.assert_array_equal(circle.n_before, [2, 0, 1, 0, 1])
    line = course_of(replace(cohort, period=None), rows, given)
    np.testing.assert_array_equal(line.n_before, [np.nan, 0, 1, 0, 1])


def test_frames_are_those_of_one_file_or_of_a_circle(cohort: Cohort) -> None:
    line = replace(cohort, period=None)
    apart = np.array([path.replace(".nii.gz#", "_frame") for path in cohort.files_of("volume")])
    assert holds_films(cohort)
    assert holds_films(line)
    assert not holds_films(replace(line, files={"volume": apart}))
    assert holds_films(replace(cohort, files={"volume": apart}))


def test_dice_of_the_true_cavity_is_one(cohort: Cohort) -> None:
    films, rows = SimpleNamespace(regions={"myo": 2, "lv": 3}), np.arange(5)
    real = real_film(cohort, rows, rows < 2, films.regions)
    labels = labels_of(radii(0)[3])
    assert dice_cavity(films, real, 3, labels == 3) == 1.0
    assert dice_cavity(films, real, 3, labels_of(radii(0)[0]) == 3) < 1.0
    assert np.isnan(dice_cavity(films, real, 3, None))


def test_the_heart_is_what_is_labelled_or_else_what_moves(cohort: Cohort, tmp_path: Path) -> None:
    rows = np.arange(5)
    labelled = real_film(cohort, rows, rows < 2, {"myo": 2, "lv": 3})
    assert labelled.heart[labels_of(radii(0)[0]) > 0].all()
    assert 0.2 < labelled.heart.mean() < 0.9
    blind = replace(cohort, files={"volume": cohort.files["volume"]})
    moving = real_film(blind, rows, rows < 2, {})
    assert 0.08 < moving.heart.mean() < 0.15
    changed = labels_of(radii(0)[0]) != labels_of(radii(0)[2])
    assert moving.heart[changed].mean() > 5 * moving.heart[~changed].mean()
    assert moving.target is moving.images
    assert labelled.target is labelled.clean


def test_volumes_of_simulated_hearts_are_read_from_their_table(cohort: Cohort, tmp_path: Path) -> None:
    table = pd.DataFrame({"subject": cohort.subject_names(np.arange(40)), "visit": cohort.visits})
    table["lv_ml"], table["myocardium_ml"] = np.arange(40.0), 100.0
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "frames.csv", index=False)
    known, origin = true_volumes(replace(cohort, law=str(tmp_path / "hearts.law.npz")), {"myo": 2, "lv": 3})
    assert origin == "frames.csv"
    np.testing.assert_array_equal(known, np.stack([np.full(40, 100.0), np.arange(40.0)], axis=1))
    counted, origin = true_volumes(cohort, {"myo": 2, "lv": 3, "atrium": -1})
    assert origin == "label maps"
    np.testing.assert_allclose(counted[:5, 1], volumes(0))
    assert np.isnan(counted[:, 2]).all()

"""Whole evaluations of tiny images: what they write, that nothing leaks, and that perfection scores best."""

import json
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Cohort
from nextscan.errors import ImageError, NextscanWarning, SettingError
from nextscan.images.files import read_image, write_image
from nextscan.report.metric_catalogue import metric
from nextscan.study import evaluate
from nextscan.study.plan import Plan
from nextscan.study.volumes.measures import Volumes
from nextscan.study.volumes.regions import Regions
from samples import tiny_cohort
from study.volume_world import AFFINE, Told, answers_of, make_world, segment

pytestmark = pytest.mark.minutes

pytest.importorskip("nibabel")

SETTINGS: dict[str, Any] = {"n_folds": 2, "segmenter": "study.volume_world:segment"}
IMAGE_SCORES = {
    *("ssim", "ssim_mask", "psnr", "psnr_mask", "nrmse", "nrmse_mask"),
    *("voxel_change_correlation", "direction_auroc", "voxel_coverage_80", "fid"),
    *("roi_volume_error", "roi_change_error", "roi_change_correlation"),
}


@pytest.fixture(autouse=True)
def forget() -> None:
    Told.fits.clear()
    Told.seen.clear()


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def run(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run; do not change it."""
    methods = {"perfect": Told(answers=answers_of(cohort), spread=18.0)}  # of the noise in the images
    return evaluate(cohort, methods, out=tmp_path_factory.mktemp("runs") / "images", save_draws=True, **SETTINGS)


def pooled(run: Path) -> pd.DataFrame:
    scores = pd.read_csv(run / "scores.csv", dtype={"seed": str, "repeat": str, "fold": str})
    whole = (scores[["seed", "repeat", "fold", "group"]] == "all").all(axis=1)
    return scores[whole].pivot(index="method", columns="metric", values="value")


def test_every_score_of_every_row(run: Path) -> None:
    table = pooled(run)
    assert list(table.index) == ["copy-source", "perfect", "volume-mean-change"]
    assert set(table.columns) >= IMAGE_SCORES | {"rmse", "crps", "energy_score", "coverage_80", "change_correlation"}
    assert table[list(IMAGE_SCORES)].notna().all(axis=None)
    assert all(metric(name).better for name in IMAGE_SCORES)  # the catalogue knows them
    scores = pd.read_csv(run / "scores.csv")
    ssim = scores[(scores["metric"] == "ssim") & (scores["fold"].astype(str) == "all")]
    assert (ssim["low"] <= ssim["value"]).all()
    assert (ssim["value"] <= ssim["high"]).all()
    assert (ssim["n"] == 8).all()


def test_a_copy_knows_nothing_of_change(run: Path) -> None:
    copy = pooled(run).loc["copy-source"]
    assert copy["voxel_change_correlation"] == 0.0
    assert copy["roi_change_correlation"] == 0.0
    assert copy["direction_auroc"] == 0.5
    assert np.isnan(copy["change_correlation"])
    predictions = pd.read_parquet(run / "predictions.parquet")
    said = predictions[(predictions["kind"] == "mean") & (predictions["method"] == "copy-source")]
    before = predictions[predictions["kind"] == "context"].set_index("subject").loc[said["subject"]]
    np.testing.assert_array_equal(said[["ventricle", "tissue"]], before[["ventricle", "tissue"]])


def test_a_perfect_prediction_scores_best(run: Path) -> None:
    table = pooled(run)
    for name in (*IMAGE_SCORES - {"voxel_coverage_80"}, "rmse", "crps", "energy_score", "change_correlation"):
        bad = table[name].map(metric(name).badness)
        assert bad.idxmin() == "perfect", name
    assert table.loc["perfect", "ssim"] == pytest.approx(1.0)
    assert table.loc["perfect", "psnr"] == pytest.approx(120.0)
    assert table.loc["perfect", "direction_auroc"] > 0.99  # the source it is counted from has noise
    assert table.loc["perfect", "voxel_coverage_80"] == pytest.approx(0.8, abs=0.02)
    against = pd.read_csv(run / "differences.csv")
    best = against[against["role"] == "best"].set_index("metric")["against"]
    assert set(best[["ssim", "psnr_mask", "roi_change_correlation", "voxel_change_correlation"]]) == {"perfect"}
    baseline = against[against["role"] == "best baseline"]
    assert set(baseline["against"]) <= {"copy-source", "volume-mean-change"}


def test_true_volumes_are_the_features(run: Path, cohort: Cohort) -> None:
    known = pd.read_csv(Path(cohort.files_of("segmentation")[0]).parent / "regions.tsv", sep="\t")
    predictions = pd.read_parquet(run / "predictions.parquet")
    truth = predictions[predictions["kind"] == "truth"].sort_values("subject")
    expected = known[known["session_id"] == "ses-2"]
    np.testing.assert_allclose(truth[["ventricle", "tissue"]], expected[["ventricle", "tissue"]], rtol=1e-6)
    record = json.loads((run / "run.json").read_text())
    assert record["kind"] == "volumes"
    assert record["image_truth"] == "noise_free"
    assert record["regions"]["truth"] == "regions.tsv"
    assert record["settings"]["draws"] == 10
    assert record["descriptor"] == {"extractor": "nextscan.metrics:volume_descriptor", "dimension": 4, "n_images": 8}
    draws = pd.read_parquet(run / "draws" / "perfect.parquet")
    assert len(draws) == 8 * 10


def test_the_segmenters_bias_cancels(run: Path) -> None:
    """The segmenter finds 50 mm³ too much ventricle everywhere, and more in noise."""
    predictions = pd.read_parquet(run / "predictions.parquet")
    truth = predictions[predictions["kind"] == "truth"].set_index("subject")["ventricle"]
    said = predictions[(predictions["kind"] == "mean") & (predictions["method"] == "perfect")]
    off = said.set_index("subject")["ventricle"] - truth
    assert off.abs().max() < 0.05 * truth.mean()


def test_what_the_segmenter_misses_of_every_change_is_given_back(cohort: Cohort) -> None:
    """It sees 0.7 of what changes in ventricles; with many pairs the slope is found, without truth it stays 1."""
    volume, features = cohort.files_of("volume"), np.random.default_rng(1).normal(1000, 50, (16, 2))
    shown = dict(zip(volume.tolist(), features * [0.7, 1.0] + [50.0, 0.0], strict=True))
    regions = Regions(("ventricle", "tissue"), features, shown, "label maps", "study.volume_world:segment")
    train = replace(cohort, features=features, feature_names=regions.names, units={})
    calibrated = regions.calibrated(train)
    np.testing.assert_allclose(calibrated.slope, [(8 * 0.7 + 2) / 10, 1.0])  # two pairs' worth of doubt, eight pairs
    image = read_image(volume[0])
    told = np.array(list(segment(image.data, image.affine).values()))
    known = {"source": str(volume[0]), "context": np.array([2000.0, 2000.0])}
    change = calibrated.predicted(image.data, image.affine, **known) - 2000
    np.testing.assert_allclose(change, (told - shown[str(volume[0])]) / calibrated.slope)
    assert replace(regions, origin="segmenter").calibrated(train).slope is None
    assert regions.calibrated(train.select_visits(np.arange(16) % 2 == 0)).slope is None


def test_images_for_the_report(run: Path, cohort: Cohort) -> None:
    subjects = json.loads((run / "images" / "index.json").read_text())["subjects"]
    assert len(subjects) == 6
    assert all(entry["methods"] == ["perfect", "copy-source", "volume-mean-change"] for entry in subjects)
    assert [bool(entry["series"]) for entry in subjects] == [True, *[False] * 5]
    assert set(subjects[0]["series"]) == {"perfect", "volume-mean-change"}  # a copy does not use time
    entry = subjects[0]
    low, high = entry["window"]
    row = int(np.flatnonzero(cohort.subject_names(np.arange(16)) == entry["subject"])[0])
    with np.load(run / entry["folder"] / "real.npz") as real:
        start = np.linalg.solve(AFFINE, real["affine"][:, 3])[:3].round().astype(int)
        box = tuple(slice(s, s + n) for s, n in zip(start, real["source"].shape, strict=True))
        native = read_image(cohort.files_of("volume")[row]).data[box]
        np.testing.assert_allclose(real["source"].astype(float) * (high - low) + low, native, atol=1.0)
        clean = read_image(cohort.files_of("noise_free")[row + 1]).data[box]
        np.testing.assert_allclose(real["noise_free"].astype(float) * (high - low) + low, clean, atol=1.0)
        shape = real["mask"].shape
    with np.load(run / entry["folder"] / "perfect.npz") as kept:
        assert kept["mean"].shape == kept["sd"].shape == kept["draw"].shape == shape
        assert kept["series"].shape == kept["series_sd"].shape == (6, *shape)
        assert kept["series_sd"].dtype == kept["sd"].dtype == np.float16
        spread = kept["series_sd"].astype(float).mean(axis=(1, 2, 3)) * (high - low)
        np.testing.assert_allclose(spread, 0.9727 * 18, rtol=0.02)  # what 10 draws of sd 18 show on average
        assert kept["series_gap"][0] == 0
        assert (np.diff(kept["series_regions"][:, 0]) > 0).all()  # the ventricle grows
        assert list(kept["regions_names"]) == ["ventricle", "tissue"]
        assert kept["draw_regions"].shape == (10, 2)
        scores = dict(zip(kept["score_names"], kept["scores"], strict=True))
    assert scores["ssim"] == pytest.approx(1.0)


def test_a_method_sees_images_and_nothing_else(cohort: Cohort, tmp_path: Path) -> None:
    evaluate(cohort, {"told": Told()}, out=tmp_path / "run", draws=2, **SETTINGS)
    hidden = set(cohort.files_of("volume")[1::2])
    for seen in Told.seen:
        assert seen.n_features == 0
        assert "noise_free" not in seen.files
    for seen in Told.seen[1::2]:  # to impute
        assert not hidden & set(seen.files_of("volume"))
        assert not (seen.files_of("segmentation")[seen.is_request] != "").any()


def test_hidden_images_change_no_prediction(tmp_path: Path) -> None:
    """Other follow-ups of the test subjects: predictions stay, scores do not."""
    folder = tmp_path / "world"
    cohort = make_world(folder)
    settings = SETTINGS | {"draws": 3}
    before = evaluate(cohort, [], out=tmp_path / "before", **settings)
    results = [np.load(path) for path in sorted((before / "jobs").glob("*fold0*.npz")) if "images" not in path.name]
    held = set(np.concatenate([result["subject"] for result in results]))
    for row in range(1, cohort.n_visits, 2):
        if cohort.subject_names(np.array([row]))[0] in held:
            path = cohort.files_of("volume")[row]
            write_image(path, read_image(path).data[::-1] + np.float32(100), AFFINE)
    after = evaluate(cohort, [], out=tmp_path / "after", **settings)
    same = [np.load(path) for path in sorted((after / "jobs").glob("*fold0*.npz")) if "images" not in path.name]
    assert len(same) == len(results) == 2
    for one, other in zip(results, same, strict=True):
        np.testing.assert_array_equal(one["draw"], other["draw"])
        np.testing.assert_array_equal(one["mean"], other["mean"])
        np.testing.assert_array_equal(one["descriptor"], other["descriptor"])
        assert (one["real_descriptor"] != other["real_descriptor"]).any()


def test_a_killed_run_goes_on_to_the_same_result(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = {"mine": Told(answers=answers_of(cohort))}
    settings = SETTINGS | {"draws": 3}
    whole = evaluate(cohort, methods, out=tmp_path / "whole" / "run", **settings)
    Told.fits.clear()
    fit = Told._fit

    def killed(self: Told, *given: Any) -> None:
        if len(Told.fits) == 1:
            raise KeyboardInterrupt
        fit(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Told, "_fit", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluate(cohort, methods, out=tmp_path / "run", **settings)
    assert not (tmp_path / "run" / "scores.csv").exists()
    Told.fits.clear()
    run = evaluate(cohort, methods, out=tmp_path / "run", **settings)
    assert len(Told.fits) == 1  # the first fold was kept
    for name in ("scores.csv", "differences.csv", "images/index.json"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    evaluate(cohort, methods, out=run, **settings)
    assert len(Told.fits) == 1


def test_images_are_segmented_once(cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nextscan.study.volumes import regions as volume_regions

    folder = tmp_path / "kept"
    events: list[Any] = []
    first = volume_regions.measure_regions(cohort, SETTINGS["segmenter"], folder, progress=events.append)
    assert [event["done"] for event in events] == list(range(1, 17))
    assert {event["total"] for event in events} == {16}
    monkeypatch.setattr("study.volume_world.segment", None)
    monkeypatch.setattr(volume_regions, "load_function", lambda name, what: None)
    again = volume_regions.measure_regions(cohort, SETTINGS["segmenter"], folder)
    np.testing.assert_array_equal(first.truth, again.truth)
    assert all((first.segmented[path] == again.segmented[path]).all() for path in first.segmented)


def test_without_known_truth_the_segmenter_and_the_follow_up_are_it(tmp_path: Path) -> None:
    cohort = make_world(tmp_path / "world", known=False)
    run = evaluate(cohort, {"real": Told(answers=answers_of(cohort, "volume"))}, out=tmp_path / "run", **SETTINGS)
    record = json.loads((run / "run.json").read_text())
    assert (record["image_truth"], record["regions"]["truth"]) == ("volume", "segmenter")
    table = pooled(run)
    assert table.loc["real", "ssim"] == pytest.approx(1.0)
    assert table.loc["real", "voxel_change_correlation"] == pytest.approx(1.0)
    assert table.loc["real", "rmse"] == pytest.approx(0.0, abs=1e-2)


def test_label_maps_are_counted(tmp_path: Path) -> None:
    from nextscan.study.volumes.regions import measure_regions

    cohort = make_world(tmp_path / "world", n_subjects=2)
    truth = tmp_path / "world" / "derivatives" / "truth"
    (truth / "regions.tsv").unlink()
    for path in cohort.files_of("segmentation"):
        labels = np.zeros((16, 16, 16), np.int16)
        labels[:2], labels[2:5], labels[5] = 1, 2, 3
        write_image(path, labels, AFFINE)
    table = pd.DataFrame({"index": [0, 1, 2, 3], "name": ["background", "ventricle", "tissue", "tissue"]})
    table.to_csv(truth / "desc-truth_dseg.tsv", sep="\t", index=False)
    regions = measure_regions(cohort, SETTINGS["segmenter"], tmp_path / "kept")
    assert regions.origin == "label maps"
    np.testing.assert_allclose(regions.truth, np.tile([2 * 256 * 64.0, 4 * 256 * 64.0], (4, 1)))
    # One visit without a map: nobody's counts, so that change is not the difference of two ways to measure.
    some = replace(cohort, files={**cohort.files, "segmentation": np.array([*cohort.files["segmentation"][:3], ""])})
    assert measure_regions(some, SETTINGS["segmenter"], tmp_path / "kept").origin == "segmenter"


def test_processes_do_not_change_scores(cohort: Cohort, tmp_path: Path) -> None:
    settings = SETTINGS | {"draws": 3}
    one = evaluate(cohort, [], out=tmp_path / "one" / "run", **settings)
    two = evaluate(cohort, [], out=tmp_path / "two" / "run", n_jobs=2, **settings)
    pd.testing.assert_frame_equal(pooled(one), pooled(two))


def test_few_images_have_no_frechet_distance(tmp_path: Path) -> None:
    cohort = make_world(tmp_path / "world", n_subjects=4)
    with pytest.warns(NextscanWarning, match="no Fréchet distance of images: .* needs more than 4 images"):
        run = evaluate(cohort, [], out=tmp_path / "run", draws=3, **SETTINGS)
    assert "fid" not in pooled(run)
    assert json.loads((run / "run.json").read_text())["descriptor"] is None


def three_numbers(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Describe an image in three numbers."""
    return np.array([image.mean(), image.std(), abs(np.linalg.det(affine))])


def many_numbers(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Describe an image in as many numbers as it has voxels."""
    return image.ravel()


def test_extractors_of_ones_own(cohort: Cohort, tmp_path: Path) -> None:
    mine = {"extractor": "study.volumes.test_measures:three_numbers", "draws": 3}
    run = evaluate(cohort, [], out=tmp_path / "run", **SETTINGS, **mine)
    assert json.loads((run / "run.json").read_text())["descriptor"]["dimension"] == 3
    assert pooled(run)["fid"].notna().all()
    with pytest.raises(SettingError, match=r"4096 numbers for 8 test images; .* needs fewer"):
        evaluate(cohort, [], out=tmp_path / "more", extractor="study.volumes.test_measures:many_numbers", **SETTINGS)
    with pytest.raises(SettingError, match="holds an evaluation of extractor="):
        evaluate(cohort, [], out=run, draws=3, **SETTINGS)


def test_what_cannot_work_is_refused(cohort: Cohort, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(SettingError, match="ridge imputes features and copy-source images"):
        evaluate(cohort, ["ridge", "copy-source"], out=out, **SETTINGS)
    with pytest.raises(SettingError, match="world: holds no features, which ridge imputes"):
        evaluate(cohort, ["ridge"], out=out, n_folds=2)
    with pytest.raises(SettingError, match="holds no images, which copy-source imputes"):
        evaluate(tiny_cohort(), ["copy-source"], out=out)
    with pytest.raises(SettingError, match="are for images"):
        evaluate(tiny_cohort(), ["ridge"], out=out, segmenter="a:b")
    with pytest.raises(SettingError, match="segmenter nowhere:f: cannot be imported"):
        evaluate(cohort, [], out=out, n_folds=2, segmenter="nowhere:f")
    with pytest.raises(SettingError, match="give it as module:function"):
        evaluate(cohort, [], out=out, n_folds=2, segmenter="synthseg")
    with pytest.raises(SettingError, match="math has no segment"):
        evaluate(cohort, [], out=out, n_folds=2, segmenter="math:segment")
    with pytest.raises(ImageError, match=r"sub-00_ses-1_T1w.nii.gz \(sub-00 ses-1\): math:hypot cannot segment it"):
        evaluate(cohort, [], out=out, n_folds=2, segmenter="math:hypot")


@pytest.mark.parametrize(("suffix", "warned"), [("T1w", False), ("FLAIR", True), ("brain", False)])
def test_images_of_another_contrast_are_warned_of(tmp_path: Path, suffix: str, warned: bool) -> None:
    cohort = make_world(tmp_path)
    paths = np.array([path.replace(".nii.gz", f"_{suffix}.nii.gz") for path in cohort.files["volume"]])
    for old, new in zip(cohort.files["volume"], paths, strict=True):
        Path(old).rename(new)
    named = replace(cohort, files=dict(cohort.files) | {"volume": paths})
    plan = Plan.of(named, ["copy-source"], n_folds=2, repeats=1, seeds=1, draws=2, seed=0, save_draws=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with suppress(ImageError):  # these are no heads
            Volumes.of(named, plan, tmp_path / "jobs")
    told = [str(warning.message) for warning in caught if "knows T1 contrast" in str(warning.message)]
    assert len(told) == warned
    assert not warned or "images of kind FLAIR" in told[0]

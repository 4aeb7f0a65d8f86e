"""Scores of predicted images and regions by hand."""

import numpy as np
import pytest

from nextscan import metrics
from nextscan.cohort import PredictedVolume
from nextscan.study.volumes.scoring import image_scores, regional_scores
from nextscan.study.volumes.truth import RealImages

CONTEXT = np.array([[100.0, 50.0], [200.0, 80.0], [150.0, 60.0], [120.0, 90.0]])
TRUTH = CONTEXT * np.array([[1.10, 0.98], [1.20, 0.95], [1.05, 0.99], [1.15, 0.90]])


def test_regional_scores_by_hand() -> None:
    copy = regional_scores(TRUTH, CONTEXT, CONTEXT)
    np.testing.assert_allclose(copy["roi_change_error"], [6.0, 12.5, 3.0, 12.5])
    np.testing.assert_allclose(copy["roi_volume_error"][0], 100 * (0.10 / 1.10 + 0.02 / 0.98) / 2)
    np.testing.assert_array_equal(copy["roi_change_correlation"], np.zeros(4))
    perfect = regional_scores(TRUTH, TRUTH, CONTEXT)
    np.testing.assert_allclose(perfect["roi_change_error"], 0.0, atol=1e-12)
    np.testing.assert_allclose(perfect["roi_change_correlation"], 1.0)


def test_a_region_of_equal_predicted_change_counts_as_zero() -> None:
    half = np.column_stack([TRUTH[:, 0], 0.95 * CONTEXT[:, 1]])
    assert regional_scores(TRUTH, half, CONTEXT)["roi_change_correlation"].mean() == pytest.approx(0.5)
    noisy = TRUTH + np.random.default_rng(0).normal(0, 3, TRUTH.shape)
    expected = np.mean([np.corrcoef(TRUTH[:, i] / CONTEXT[:, i], noisy[:, i] / CONTEXT[:, i])[0, 1] for i in (0, 1)])
    assert regional_scores(TRUTH, noisy, CONTEXT)["roi_change_correlation"].mean() == pytest.approx(expected)
    stays = regional_scores(CONTEXT, noisy, CONTEXT)["roi_change_correlation"]
    assert np.isnan(stays).all()  # nothing really changed


def test_empty_regions_are_left_out() -> None:
    truth, context = TRUTH.copy(), CONTEXT.copy()
    truth[0, 0] = context[0, 0] = 0.0
    scores = regional_scores(truth, context, context)
    assert scores["roi_change_error"][0] == pytest.approx(2.0)
    assert scores["roi_volume_error"][0] == pytest.approx(100 * 0.02 / 0.98)
    scores = regional_scores(np.zeros((2, 1)), np.ones((2, 1)), np.zeros((2, 1)))
    assert np.isnan(scores["roi_change_error"]).all()


def real_images(*, clean: bool) -> RealImages:
    generator = np.random.default_rng(0)
    source = generator.uniform(0, 100, (8, 8, 8))
    truth = source + generator.normal(0, 10, source.shape)
    mask = np.zeros(source.shape, bool)
    mask[2:6] = True
    noise = generator.normal(0, 5, (2, *source.shape))
    return RealImages(
        source=(source + noise[0]).astype(np.float32),
        truth=(truth + noise[1]).astype(np.float32),
        clean_source=source.astype(np.float32) if clean else None,
        clean_truth=truth.astype(np.float32) if clean else None,
        affine=np.eye(4),
        mask=mask,
        head=np.ones(source.shape, bool),
        low=0.0,
        high=100.0,
    )


def predicted(mean: np.ndarray, noise: float = 5.0) -> PredictedVolume:
    draws = mean + np.random.default_rng(1).normal(0, noise, (10, *mean.shape))
    return PredictedVolume("a", "2", 1.0, 1.0, "a.nii", np.eye(4), mean.astype(np.float32), draws.astype(np.float32))


def test_images_are_compared_with_the_follow_up_without_noise() -> None:
    real = real_images(clean=True)
    assert real.clean_truth is not None
    assert real.clean_source is not None
    scores = image_scores(predicted(real.clean_truth), real)
    assert scores["ssim"] == pytest.approx(1.0)
    assert scores["nrmse_mask"] == 0.0
    # Whoever only takes the noise away wins in likeness, but is told that this is no change.
    denoised = image_scores(predicted(real.clean_source), real)
    copy = image_scores(predicted(real.source), real)
    assert denoised["psnr"] > copy["psnr"]
    assert abs(denoised["voxel_change_correlation"]) < 0.15
    assert copy["voxel_change_correlation"] == 0.0
    assert abs(denoised["direction_auroc"] - 0.5) < 0.1
    change = real.clean_truth - real.clean_source
    right = image_scores(predicted(real.source + change), real)
    assert right["voxel_change_correlation"] == pytest.approx(1.0, abs=1e-4)
    assert right["direction_auroc"] == 1.0


def test_coverage_is_that_of_the_measured_follow_up() -> None:
    real = real_images(clean=True)
    assert real.clean_truth is not None
    scores = image_scores(predicted(real.clean_truth, noise=5.0), real)  # as wide as the noise
    assert scores["voxel_coverage_80"] == pytest.approx(0.8, abs=0.06)


def test_inside_the_mask_means_inside_the_mask() -> None:
    real = real_images(clean=False)
    mean = real.truth.copy()
    mean[~real.mask] += 50
    scores = image_scores(predicted(mean), real)
    assert scores["nrmse_mask"] == 0.0
    assert scores["nrmse"] == pytest.approx(0.5 * np.sqrt(0.5), rel=1e-5)
    assert scores["voxel_change_correlation"] == pytest.approx(1.0, abs=1e-6)
    assert scores["psnr"] == pytest.approx(metrics.psnr(real.truth, mean, data_range=100.0))

"""Scores of images against slow direct evaluation and cases worked out by hand."""

from functools import partial

import numpy as np
import pytest

from nextscan.metrics import volumes
from nextscan.metrics.volumes import change_correlation_map, direction_auroc, nrmse, psnr, ssim, voxel_coverage

SHAPE = (7, 8, 6)


def images(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    source = generator.normal(100, 10, SHAPE)
    return source + generator.normal(0, 2, SHAPE), source + generator.normal(0, 2, SHAPE), source


def slow_ssim(a: np.ndarray, b: np.ndarray, data_range: float) -> np.ndarray:
    """Wang et al. 2004, eq. 13-16, one window at a time."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    out = np.zeros(a.shape)
    for centre in np.ndindex(*a.shape):
        box = tuple(slice(max(c - 5, 0), c + 6) for c in centre)
        at = np.meshgrid(
            *(np.arange(s.start, min(s.stop, n)) for s, n in zip(box, a.shape, strict=True)), indexing="ij"
        )
        apart = sum((axis - c) ** 2 for axis, c in zip(at, centre, strict=True))
        w = np.exp(-apart / (2 * 1.5**2))
        w /= w.sum()
        x, y = a[box], b[box]
        mx, my = (w * x).sum(), (w * y).sum()
        vx, vy = (w * (x - mx) ** 2).sum(), (w * (y - my) ** 2).sum()
        cov = (w * (x - mx) * (y - my)).sum()
        out[centre] = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return out


def test_ssim_is_that_of_the_paper_window_by_window() -> None:
    truth, predicted, _ = images()
    slow = slow_ssim(truth, predicted, 60.0)
    assert ssim(truth, predicted, data_range=60.0) == pytest.approx(slow.mean(), abs=1e-10)
    mask = np.zeros(SHAPE, bool)
    mask[2:4, 1:7, 3] = True
    assert ssim(truth, predicted, mask=mask, data_range=60.0) == pytest.approx(slow[mask].mean(), abs=1e-10)
    assert abs(slow[mask].mean() - slow.mean()) > 1e-4  # so the mask matters


def test_ssim_by_hand() -> None:
    flat, brighter = np.full(SHAPE, 1.0), np.full(SHAPE, 2.0)
    c1 = 1e-4
    assert ssim(flat, brighter, data_range=1.0) == pytest.approx((4 + c1) / (5 + c1), abs=1e-12)
    # Far from zero nothing cancels: single precision images of a scanner with an offset.
    assert ssim(flat + 30000, flat + 30000, data_range=1.0) == pytest.approx(1.0, abs=1e-12)
    truth, predicted, _ = images()
    assert ssim(truth, predicted, data_range=60.0) == pytest.approx(ssim(predicted, truth, data_range=60.0))


def test_psnr_and_nrmse_by_hand() -> None:
    truth = np.zeros((2, 2, 2))
    predicted = np.zeros((2, 2, 2))
    predicted[0, 0, 0] = 4.0
    assert nrmse(truth, predicted, data_range=8.0) == pytest.approx(np.sqrt(2.0) / 8)
    assert psnr(truth, predicted, data_range=8.0) == pytest.approx(10 * np.log10(64 / 2))
    mask = predicted > 0
    assert nrmse(truth, predicted, mask=mask, data_range=8.0) == 0.5
    assert psnr(truth, predicted, mask=~mask, data_range=8.0) == pytest.approx(120.0)


def test_change_correlation_over_voxels() -> None:
    truth, predicted, source = images()
    expected = np.corrcoef((truth - source).ravel(), (predicted - source).ravel())[0, 1]
    assert change_correlation_map(truth, predicted, source) == pytest.approx(expected)
    mask = truth > 100
    expected = np.corrcoef((truth - source)[mask], (predicted - source)[mask])[0, 1]
    assert change_correlation_map(truth, predicted, source, mask=mask) == pytest.approx(expected)
    assert change_correlation_map(truth, truth, source) == pytest.approx(1.0)
    assert change_correlation_map(truth, 2 * source - truth, source) == pytest.approx(-1.0)


def test_a_copy_knows_nothing_of_change() -> None:
    truth, _, source = images()
    assert change_correlation_map(truth, source, source) == 0.0
    single = source.astype(np.float32)
    assert change_correlation_map(truth, single + np.float32(1e-5), single) == 0.0  # rounding is no change
    assert change_correlation_map(truth, source + 3.0, source) == 0.0
    assert direction_auroc(truth, single + 1e-6 * np.sign(truth - source), single, threshold=1.0) == 0.5
    assert direction_auroc(truth, source, source, threshold=1.0) == 0.5
    assert np.isnan(change_correlation_map(source, truth, source))  # nothing changed: there is no answer
    assert np.isnan(direction_auroc(source, truth, source, threshold=1.0))


def test_taking_noise_away_is_no_change_where_the_clean_source_is_known() -> None:
    generator = np.random.default_rng(3)
    clean = generator.normal(100, 10, (12, 12, 12))
    noisy = clean + generator.normal(0, 5, clean.shape)
    truth = clean + generator.normal(0, 1, clean.shape)
    assert change_correlation_map(truth, clean, noisy) > 0.9  # denoising looks like foresight
    assert abs(change_correlation_map(truth, clean, noisy, true_source=clean)) < 0.1
    assert abs(direction_auroc(truth, clean, noisy, threshold=1.0, true_source=clean) - 0.5) < 0.1
    moved = noisy + truth - clean
    assert change_correlation_map(truth, moved, noisy, true_source=clean) == pytest.approx(1.0)


def test_whether_the_noise_of_the_source_is_kept_makes_no_difference() -> None:
    generator = np.random.default_rng(4)
    clean = generator.uniform(0, 100, (10, 10, 10))
    change = generator.normal(0, 2, clean.shape)
    expected = 0.5 * change + generator.normal(0, 1, clean.shape)
    noisy = clean + generator.normal(0, 6, clean.shape)
    truth = clean + change
    for score in (change_correlation_map, partial(direction_auroc, threshold=2.0)):
        kept, half, gone = (
            score(truth, start + expected, noisy, true_source=clean) for start in (noisy, (noisy + clean) / 2, clean)
        )
        assert kept == pytest.approx(half, abs=1e-9)
        assert kept == pytest.approx(gone, abs=1e-9)
        assert gone > score(truth, noisy + expected + generator.normal(0, 2, clean.shape), noisy, true_source=clean)
    perfect = change_correlation_map(truth, truth, noisy, true_source=clean)
    assert perfect == pytest.approx(1.0)  # of what is known without noise
    assert change_correlation_map(truth, clean, noisy, true_source=clean) == 0.0
    assert direction_auroc(truth, clean, noisy, threshold=2.0, true_source=clean) == 0.5


def test_direction_auroc_counts_pairs() -> None:
    truth, predicted, source = images(5)
    real, said = (truth - source).ravel(), (predicted - source).ravel()
    brighter, darker = said[real > 1.5], said[real < -1.5]
    pairs = brighter[:, None] - darker[None, :]
    expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    assert direction_auroc(truth, predicted, source, threshold=1.5) == pytest.approx(expected)
    assert direction_auroc(truth, truth, source, threshold=1.5) == 1.0
    assert direction_auroc(truth, 2 * source - truth, source, threshold=1.5) == 0.0
    assert direction_auroc(truth, np.where(truth > source, source + 1, source), source, threshold=1.5) == 1.0


def test_direction_where_all_change_is_one_way() -> None:
    source = np.zeros((2, 2, 2))
    truth, predicted = source.copy(), source.copy()
    truth[0] = -3.0
    predicted[0], predicted[1, 0] = [[-2.0, -1.0], [0.0, -4.0]], [-3.0, 0.0]
    # darkened -2 -1 0 -4, unchanged -3 0 0 0: 3 + 3 + 1.5 + 4 of 16 pairs are right
    assert direction_auroc(truth, predicted, source, threshold=1.0) == pytest.approx(11.5 / 16)
    assert direction_auroc(-truth, -predicted, source, threshold=1.0) == pytest.approx(11.5 / 16)
    assert direction_auroc(truth, source, source, threshold=1.0) == 0.5
    assert np.isnan(direction_auroc(source - 3.0, predicted, source, threshold=1.0))


def test_voxel_coverage_has_its_level_for_draws_of_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    truth, draws = generator.normal(size=(20, 20, 20)), generator.normal(size=(10, 20, 20, 20))
    assert voxel_coverage(truth, draws, 0.8) == pytest.approx(0.8, abs=0.015)
    assert voxel_coverage(truth, 0.5 * draws, 0.8) < 0.6
    low, high = np.quantile(draws, [0.1, 0.9], axis=0, method="weibull")
    mask = truth > 0
    whole = voxel_coverage(truth, draws, 0.8, mask=mask)
    assert whole == pytest.approx(((low <= truth) & (truth <= high))[mask].mean())
    monkeypatch.setattr(volumes, "_VOXELS_AT_ONCE", 7)
    assert voxel_coverage(truth, draws, 0.8, mask=mask) == whole
    assert np.isnan(voxel_coverage(truth, draws[:8], 0.8))
    assert voxel_coverage(truth, np.repeat(truth[None], 10, axis=0), 0.8) == 1.0
    assert voxel_coverage(truth, np.repeat(truth[None] + 1, 10, axis=0), 0.8) == 0.0


@pytest.mark.parametrize("score", [ssim, psnr, nrmse])
def test_mistakes_are_refused(score) -> None:
    truth, predicted, source = images()
    with pytest.raises(ValueError, match="cannot be compared"):
        score(truth, predicted[1:], data_range=1.0)
    with pytest.raises(ValueError, match="with 0 voxels"):
        score(truth, predicted, mask=np.zeros(SHAPE, bool), data_range=1.0)
    with pytest.raises(ValueError, match="must be above 0"):
        score(truth, predicted, data_range=0.0)
    predicted[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        score(truth, predicted, data_range=1.0)
    with pytest.raises(ValueError, match="not finite"):
        change_correlation_map(truth, predicted, source)
    with pytest.raises(ValueError, match="not finite"):
        voxel_coverage(truth, np.stack([source] * 9 + [predicted]), 0.8)


def test_inputs_stay_as_they_are() -> None:
    truth, predicted, source = images()
    copies = truth.copy(), predicted.copy(), source.copy()
    ssim(truth, predicted, data_range=60.0)
    change_correlation_map(truth, predicted, source)
    direction_auroc(truth, predicted, source, threshold=1.0)
    for before, after in zip(copies, (truth, predicted, source), strict=True):
        np.testing.assert_array_equal(before, after)

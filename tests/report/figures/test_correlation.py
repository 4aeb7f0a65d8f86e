"""Correlations against pandas, cluster order against planted blocks, the triptych against its matrices."""

import numpy as np
import pandas as pd
import pytest

from nextscan.report.figures.correlation import cluster_order, correlation_triptych, correlations


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_correlations_are_pairwise_complete(missing):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 5)) @ rng.normal(size=(5, 5)) + 1000
    values[rng.random(values.shape) < missing] = np.nan
    np.testing.assert_allclose(correlations(values), pd.DataFrame(values).corr(min_periods=3), atol=1e-9)


def test_a_constant_or_empty_feature_has_no_correlation():
    values = np.column_stack([np.arange(5.0), np.full(5, 0.1), np.full(5, np.nan), [0.0, 1, 4, 9, 16]])
    found = correlations(values)
    assert np.isnan(found[1:3]).all()
    assert np.isnan(found[:, 1:3]).all()
    assert found[0, 3] == pytest.approx(np.corrcoef(values[:, 0], values[:, 3])[0, 1])


def test_clustering_puts_blocks_together_and_unknown_features_last():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(200, 2))
    block = np.array([0, 1, 0, 1, 0, 1, 0])
    values = factors[:, block] + 0.3 * rng.normal(size=(200, 7))
    values[:, 3] = np.nan
    order = cluster_order(correlations(values))
    assert sorted(order) == list(range(7))
    assert order[-1] == 3
    assert (np.diff(block[order[:-1]]) != 0).sum() == 1


@pytest.mark.parametrize("d", [6, 80])
def test_the_triptych_shows_both_matrices_their_difference_and_every_pair(d):
    rng = np.random.default_rng(1)
    real, drawn = correlations(rng.normal(size=(40, d))), correlations(rng.normal(size=(40, d)))
    figure = correlation_triptych(real, drawn, generated_title="Drawn")
    images = [axes.images[0] for axes in figure.axes if axes.images and axes.get_title(loc="left")]
    for image, matrix in zip(images, (real, drawn, drawn - real), strict=True):
        np.testing.assert_array_equal(image.get_array(), matrix)
        assert image.norm.vmin == -image.norm.vmax
    pairs = next(axes for axes in figure.axes if axes.get_title(loc="left") == "Pair by pair")
    upper = np.triu_indices(d, 1)
    if d == 6:
        np.testing.assert_array_equal(pairs.lines[0].get_xydata(), np.column_stack([real[upper], drawn[upper]]))
    else:
        assert pairs.collections[0].get_array().sum() == pytest.approx(len(upper[0]))

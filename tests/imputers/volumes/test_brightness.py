"""Brightness of the scanner is told from change of tissue."""

import numpy as np
import pytest

from nextscan.imputers.contract.volume_world import head
from nextscan.imputers.volumes.brightness import as_bright_as, brightness
from nextscan.preprocess.volumes import Prepared

SHAPE = (24, 28, 24)


def prepared(native, low=0.0, high=1000.0):
    data = np.clip(2 * (native - low) / (high - low) - 1, -1, 1).astype(np.float32)
    return Prepared(data, np.eye(4), low, high, (0.0, 0.0), np.eye(4), data.shape, 0.0)


def image(ventricle=0.35):
    return 700 * head(SHAPE, np.zeros(3), 1.0, ventricle)


def bias():
    """A factor from 0.81 to 1.22 along two axes."""
    x, y, _ = np.meshgrid(*((np.arange(n) + 0.5) / n for n in SHAPE), indexing="ij")
    return np.exp(0.1 * np.cos(np.pi * x) - 0.1 * np.cos(2 * np.pi * y))


def test_a_smooth_factor_is_found_exactly():
    source, target = prepared(image()), prepared(image() * bias())
    weights = brightness(source, target)
    np.testing.assert_allclose(sorted(weights)[:1] + sorted(weights)[-1:], [-0.1, 0.1], atol=1e-4)
    np.testing.assert_allclose(as_bright_as(source, target, weights), source.data, atol=2e-3)
    np.testing.assert_allclose(as_bright_as(target, source, -weights), target.data, atol=2e-3)


@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_the_scale_of_the_source_is_taken(scale):
    source, target = prepared(image()), prepared(image() * scale, low=20.0 * scale, high=900.0 * scale)
    matched = as_bright_as(source, target, brightness(source, target))
    inside = target.data > -0.9
    np.testing.assert_allclose(matched[inside], source.data[inside], atol=2e-3)


def test_changed_tissue_is_left_changed():
    source, target = prepared(image(0.30)), prepared(image(0.45) * bias())
    matched = as_bright_as(source, target, brightness(source, target))
    changed = np.abs(image(0.45) - image(0.30)) > 100
    np.testing.assert_allclose(matched, prepared(image(0.45)).data, atol=0.03)
    assert (matched - source.data)[changed].mean() < -0.2


def test_what_tells_nothing_is_left_alone():
    dark, negative = prepared(np.zeros(SHAPE) + 10), prepared(image(), low=-50.0)
    assert not brightness(dark, dark).any()
    assert not brightness(negative, negative).any()
    clipped = prepared(image())
    assert (as_bright_as(clipped, clipped, brightness(clipped, clipped))[clipped.data == -1] == -1).all()

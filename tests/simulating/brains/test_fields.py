import numpy as np
import pytest

from nextscan.simulating.brains.fields import along, both, coverage, ellipsoid, union, without


def lattice(step, reach):
    axis = np.arange(-reach + step / 2, reach, step, dtype=np.float32)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij")).reshape(3, -1)


@pytest.mark.parametrize("radius", [6.0, 6.05, 6.1, 9.0])
def test_shares_sum_to_the_volume_of_a_ball(radius):
    inside = coverage(ellipsoid(lattice(1.0, 12), (0.2, -0.1, 0.3), (radius,) * 3), 1.0)
    curved = 1 + 1 / (4 * radius**2)  # what a soft edge adds to a ball
    assert inside.sum(dtype=float) == pytest.approx(4 / 3 * np.pi * radius**3 * curved, rel=0.001)


def test_shares_sum_to_the_volume_of_an_ellipsoid_and_of_a_tube():
    x = lattice(1.0, 24)
    found = coverage(ellipsoid(x, (0, 0, 0), (8, 12, 16)), 1.0).sum(dtype=float)
    assert found == pytest.approx(4 / 3 * np.pi * 8 * 12 * 16, rel=0.01)
    distance, share = along(x, (-6, -2, 1), (7, 5, 4))
    length, radius = np.linalg.norm([13, 7, 3]), 5.0
    found = coverage(distance - radius, 1.0).sum(dtype=float)
    assert found == pytest.approx(np.pi * radius**2 * length + 4 / 3 * np.pi * radius**3, rel=0.01)
    assert share.min() == 0
    assert share.max() == 1


@pytest.mark.parametrize("thickness", [0.1, 0.8, 3.3])
def test_a_sheet_thinner_than_a_cell_has_its_volume(thickness):
    z = np.arange(-20, 20, 2.5, dtype=np.float32)
    sheet = coverage(z - thickness - 0.7, 2.5) - coverage(z - 0.7, 2.5)
    assert 2.5 * sheet.sum() == pytest.approx(thickness, rel=1e-5)


def test_shapes_combine_as_sets():
    x = lattice(1.0, 10)
    a, b = ellipsoid(x, (2, 0, 0), (5, 5, 5)), ellipsoid(x, (-2, 0, 0), (5, 5, 5))
    assert np.array_equal(union(a, b) < 0, (a < 0) | (b < 0))
    assert np.array_equal(both(a, b) < 0, (a < 0) & (b < 0))
    assert np.array_equal(without(a, b) < 0, (a < 0) & ~(b < 0))
    assert (union(a, b, 3) <= union(a, b)).all()

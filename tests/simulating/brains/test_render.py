from functools import cache

import numpy as np
import pytest

from nextscan.simulating.brains.cohort import head_of
from nextscan.simulating.brains.fields import coverage
from nextscan.simulating.brains.law import SIZES
from nextscan.simulating.brains.people import draw_people
from nextscan.simulating.brains.render import BRAIN, REGIONS, TISSUES, affine_of

COARSE, FINE = (32, 40, 32), (64, 80, 64)
LAW = draw_people(3, COARSE, seed=0)


@cache
def head(subject="sub-001", shape=COARSE):
    return head_of(LAW, subject, shape)


def test_the_grid_covers_the_field_of_view():
    for shape in (COARSE, (128, 160, 128), (30, 41, 17)):
        corners = affine_of(shape) @ np.array([[-0.5, -0.5, -0.5, 1], [*(np.array(shape) - 0.5), 1]]).T
        np.testing.assert_allclose(corners[:3].T, [[-80, -100, -80], [80, 100, 80]], atol=1e-9)


def test_tissues_fill_the_skull_and_nothing_twice():
    shares = head().shares(LAW.states[0])
    assert tuple(sorted(shares)) == tuple(sorted(BRAIN))
    assert min(share.min() for share in shares.values()) > -1e-5
    cavity = coverage(head().anatomy.shell["cavity"][head().anatomy.near], 2.5)
    assert np.abs(sum(shares.values()) - cavity).max() < 1e-5
    image = head().image(LAW.states[0])
    assert image.shape == COARSE
    assert 0 <= image.min() < 0.01
    assert 0.99 < image.max() < 1.001


@pytest.mark.parametrize("shape", [(40, 50, 40), (48, 60, 48), (64, 80, 64), (96, 120, 96)])
def test_volumes_do_not_depend_on_the_grid(shape):
    state = LAW.states[0]
    coarse, fine = head().volumes(state), head(shape=shape).volumes(state)
    for region in REGIONS:
        assert fine[region] == pytest.approx(coarse[region], rel=0.02), region


def test_changes_of_volume_do_not_depend_on_the_grid():
    before, after = LAW.states[0], LAW.states[2]
    of = [
        {name: head(shape=shape).volumes(after)[name] - head(shape=shape).volumes(before)[name] for name in REGIONS}
        for shape in (COARSE, (96, 120, 96))
    ]
    for region in REGIONS:
        assert of[1][region] == pytest.approx(of[0][region], rel=0.08), region


def test_counting_labels_comes_near_the_exact_volumes():
    state = LAW.states[0]
    labels, exact = head(shape=FINE).label_map(state), head(shape=FINE).volumes(state)
    names = list(TISSUES)
    for region, tissues in REGIONS.items():
        count = np.isin(labels, [names.index(name) for name in tissues]).sum() * 2.5**3
        assert count == pytest.approx(exact[region], rel=0.15), region
    assert labels[0, 0, -1] == 0
    assert set(np.unique(labels)) == set(range(len(TISSUES)))


@pytest.mark.parametrize(
    ("size", "region"),
    [
        ("ventricles", "ventricles"),
        ("left_hippocampus", "left_hippocampus"),
        ("right_hippocampus", "right_hippocampus"),
    ],
)
def test_a_size_is_the_logarithm_of_a_volume(size, region):
    steps = np.linspace(-0.2, 0.6, 17) * (1 if size == "ventricles" else -1)
    states = np.tile(LAW.states[0], (len(steps), 1))
    states[:, SIZES.index(size)] = steps
    volumes = np.array([head().volumes(state)[region] for state in states])
    slope = np.diff(np.log(volumes)) / np.diff(steps)
    assert ((slope > 0.75) & (slope < 1.4)).all(), slope


def test_hardly_any_growth_is_seen_in_full():
    """A thousandth of a size is far below a voxel; ten of them are ten times as much."""
    at = [LAW.states[0] + step * np.eye(len(SIZES))[0] for step in (0, 0.001, 0.01)]
    volumes = [head().volumes(state)["ventricles"] for state in at]
    assert volumes[1] - volumes[0] == pytest.approx(0.001 * volumes[0], rel=0.2)
    assert volumes[2] - volumes[0] == pytest.approx(10 * (volumes[1] - volumes[0]), rel=0.02)
    images = [head().image(state) for state in at]
    assert 0 < np.abs(images[1] - images[0]).max() < 0.01


def test_loss_of_cortex_and_white_matter_shows_where_it_is():
    base = LAW.states[0]
    thin, small = base.copy(), base.copy()
    thin[SIZES.index("cortex")] -= 0.05
    small[SIZES.index("white_matter")] -= 0.05
    whole, thinner, smaller = (head().volumes(state) for state in (base, thin, small))
    assert 0.94 * whole["grey_matter"] < thinner["grey_matter"] < 0.98 * whole["grey_matter"]
    assert thinner["white_matter"] == pytest.approx(whole["white_matter"], rel=1e-3)
    assert smaller["white_matter"] == pytest.approx(whole["white_matter"] * np.exp(-0.05), rel=0.02)


def test_people_differ_in_shape():
    same = np.zeros(len(SIZES))
    one, other = (head(name).image(same) for name in ("sub-001", "sub-002"))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.7  # roughly aligned
    assert np.abs(one - other).mean() > 0.03
    left, right = (head().volumes(same)[f"{side}_hippocampus"] for side in ("left", "right"))
    assert left != pytest.approx(right, rel=0.005)

from functools import cache

import numpy as np
import pytest

from nextscan.metrics import REGIONS, segment
from nextscan.simulating.brains.cohort import head_of
from nextscan.simulating.brains.people import draw_people
from nextscan.simulating.brains.render import REGIONS as TRUE_REGIONS
from nextscan.simulating.brains.render import affine_of
from nextscan.simulating.brains.scanner import scan

SHAPE = (32, 40, 32)
AFFINE = affine_of(SHAPE)


@cache
def world():
    """Return true volumes, and volumes measured without and with noise, of all visits of some people."""
    law = draw_people(14, SHAPE, seed=0)
    true, clean, noisy = [], [], []
    for subject in range(len(law.subjects)):
        head = head_of(law, str(law.subjects[subject]))
        for number, row in enumerate(np.flatnonzero(law.subject_of == subject)):
            image = head.image(law.states[row])
            volumes = head.volumes(law.states[row])
            true.append([volumes[name] for name in REGIONS])
            seen = scan(image, str(law.subjects[subject]), number, seed=0)
            clean.append(list(segment(image, AFFINE).values()))
            noisy.append(list(segment(1000 * seen, AFFINE).values()))
    same = np.diff(law.subject_of) == 0
    return [np.diff(np.array(values), axis=0)[same] for values in (true, clean, noisy)], (true, clean)


def test_regions_are_those_of_the_truth():
    assert tuple(TRUE_REGIONS) == REGIONS
    assert list(segment(np.random.default_rng(0).uniform(size=(8, 8, 8)), np.eye(4))) == list(REGIONS)


@pytest.mark.minutes
@pytest.mark.parametrize(
    ("region", "without_noise", "with_noise"),
    [
        ("ventricles", 0.98, 0.96),
        ("left_hippocampus", 0.88, 0.75),
        ("right_hippocampus", 0.80, 0.65),
        ("grey_matter", 0.97, 0.95),
        ("white_matter", 0.97, 0.94),
    ],
)
def test_change_is_recovered(region, without_noise, with_noise):
    true, clean, noisy = (change[:, REGIONS.index(region)] for change in world()[0])
    assert np.corrcoef(true, clean)[0, 1] > without_noise
    assert np.corrcoef(true, noisy)[0, 1] > with_noise


def test_levels_are_of_the_right_size():
    true, clean = (np.array(values).mean(axis=0) for values in world()[1])
    assert (np.abs(np.log(clean / true)) < np.log(1.5)).all(), clean / true


@cache
def phantom():
    law = draw_people(1, SHAPE, seed=0)
    return law, head_of(law, "sub-001")


def test_ventricles_grow_with_their_size_and_hippocampi_shrink_with_theirs():
    law, head = phantom()
    found = []
    for step in np.linspace(0, 0.3, 7):
        state = law.states[0] + step * np.array([1, -1, 0, 0, 0])
        found.append(segment(head.image(state), AFFINE))
    ventricles, left, right = (np.array([each[name] for each in found]) for name in REGIONS[:3])
    assert (np.diff(ventricles) > 0).all()
    assert (np.diff(left) < 0).all()
    assert ventricles[-1] / ventricles[0] == pytest.approx(np.exp(0.3), rel=0.1)
    assert abs(right[-1] / right[0] - 1) < 0.03


def test_a_thin_joint_does_not_make_the_scalp_part_of_the_brain():
    law, head = phantom()
    image = head.image(law.states[0])
    joined = image.copy()
    beam = joined[16, 20:, 18]  # from the brain through fluid and bone to the forehead
    beam[beam < 0.6] = 0.6
    assert not np.array_equal(joined, image)
    found, want = (np.array(list(segment(each, AFFINE).values())) for each in (joined, image))
    np.testing.assert_allclose(found, want, rtol=0.05)


def test_neither_scale_nor_orientation_nor_place_matters():
    law, head = phantom()
    image = head.image(law.states[0])
    want = segment(image, AFFINE)
    assert segment(500 * image, AFFINE) == pytest.approx(want)
    turned = np.flip(np.transpose(image, (2, 0, 1)), (0, 2))
    matrix = np.zeros((4, 4))  # of the new axes: downward, right, backward
    matrix[2, 0], matrix[0, 1], matrix[1, 2], matrix[3, 3] = -5, 5, -5, 1
    assert segment(turned, matrix) == pytest.approx(want)
    moved = AFFINE.copy()
    moved[:3, 3] += [100, -7, 3]
    assert segment(image, moved) == pytest.approx(want)
    mirrored = segment(np.flip(image, 0), AFFINE)
    assert mirrored["left_hippocampus"] == pytest.approx(want["right_hippocampus"], rel=1e-6)


def test_a_brain_without_its_skull_is_measured_too():
    law, head = phantom()
    image = head.image(law.states[0])
    labels = head.label_map(law.states[0])
    bare = np.where((labels > 0) & (labels < 11), image, 0)
    want, found = segment(image, AFFINE), segment(bare, AFFINE)
    for region in REGIONS[:3]:
        assert found[region] == pytest.approx(want[region], rel=0.1), region
    for region in REGIONS[3:]:
        assert found[region] == pytest.approx(want[region], rel=0.15), region


@pytest.mark.parametrize("image", [np.zeros((8, 8, 8)), np.full((8, 8, 8), 3.0), -np.ones((8, 9, 8))])
def test_where_there_is_no_brain_nothing_is_measured(image):
    assert all(np.isnan(volume) for volume in segment(image, np.diag([5.0, 5, 5, 1])).values())


def test_measuring_changes_nothing():
    law, head = phantom()
    image = head.image(law.states[0])
    before = image.copy()
    segment(image, AFFINE)
    assert np.array_equal(image, before)

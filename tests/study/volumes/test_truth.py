"""Real images on the grid of the source, and the mask scores are taken in."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from image_samples import transform
from nextscan import metrics
from nextscan.cohort import Cohort, hide
from nextscan.errors import ImageError
from nextscan.images.files import read_image, write_image
from nextscan.study.volumes.truth import real_images
from study.volume_world import AFFINE, make_world

pytest.importorskip("nibabel")


@pytest.fixture
def world(tmp_path: Path) -> Cohort:
    return make_world(tmp_path, n_subjects=2, noise=0.0)


def test_what_is_read(world: Cohort) -> None:
    task = hide(world)
    real = real_images(task, 1)
    np.testing.assert_array_equal(real.source, read_image(world.files_of("volume")[2]).data)
    np.testing.assert_array_equal(real.truth, read_image(world.files_of("volume")[3]).data)
    np.testing.assert_array_equal(real.target, read_image(world.files_of("noise_free")[3]).data)
    np.testing.assert_array_equal(real.start, read_image(world.files_of("noise_free")[2]).data)
    low, high = np.quantile(real.source, [0.001, 0.999])
    assert real.width == pytest.approx(high - low)
    np.testing.assert_array_equal(real.mask, read_image(world.files_of("segmentation")[2]).data > 0)


def test_masks(world: Cohort, tmp_path: Path) -> None:
    path = tmp_path / "labels.nii.gz"
    labels = np.zeros((16, 16, 16), np.int16)
    labels[2], labels[3], labels[4] = 1, 2, 3
    write_image(path, labels, AFFINE)
    mapped = hide(replace(world, files={**world.files, "segmentation": np.full(4, str(path))}))
    assert real_images(mapped, 0).mask.sum() == 3 * 256
    np.testing.assert_array_equal(real_images(mapped, 0, labels=(1, 3)).mask, np.isin(labels, (1, 3)))
    masked = hide(replace(world, files={**mapped.shown.files, **world.files, "mask": np.full(4, str(path))}))
    assert real_images(masked, 0, labels=(1, 3)).mask.sum() == 3 * 256  # a mask goes first
    bare = hide(replace(world, files={"volume": world.files_of("volume")}))
    real = real_images(bare, 0)
    np.testing.assert_array_equal(real.mask, real.source > real.low + 0.1 * real.width)
    assert (real.clean_truth, real.clean_source) == (None, None)
    assert real.target is real.truth
    assert real.start is real.source


def test_a_follow_up_in_another_scale_of_intensity(world: Cohort, tmp_path: Path) -> None:
    """The scanner's gain is no change: a copy of the source scores alike whatever it was at the follow-up."""
    volume = world.files_of("volume")
    follow_up = read_image(volume[1])
    scores = []
    for gain in (1.0, 1.4):
        louder = tmp_path / f"gain-{gain}.nii.gz"
        write_image(louder, np.float32(gain) * follow_up.data, AFFINE)
        real = real_images(hide(replace(world, files={"volume": np.array([volume[0], str(louder), *volume[2:]])})), 0)
        assert real.gain == pytest.approx(1 / gain, rel=0.01)
        scores.append(metrics.psnr(real.truth, real.source, mask=real.mask, data_range=real.width))
    assert scores[0] == pytest.approx(scores[1], abs=0.01)
    assert real_images(hide(world), 0).gain == 1.0  # known without noise: nothing to guess
    below = tmp_path / "below.nii.gz"
    write_image(below, follow_up.data - 500, AFFINE)
    below_zero = replace(world, files={"volume": np.array([volume[0], str(below), *volume[2:]])})
    assert real_images(hide(below_zero), 0).gain == 1.0


def test_another_grid_and_a_transform(world: Cohort, tmp_path: Path) -> None:
    """The follow-up lies flipped on a grid of its own, in a scanner whose origin is elsewhere."""
    plain = real_images(hide(world), 0)
    follow_up = read_image(world.files_of("volume")[1])
    flipped = follow_up.affine @ np.array([[-1.0, 0, 0, 15], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    moved = flipped.copy()
    moved[:3, 3] += [10.0, -20.0, 30.0]  # in mm, RAS
    image = tmp_path / "moved.nii.gz"
    write_image(image, follow_up.data[::-1], moved)
    # ITK's points run to the left and the back: common space to image.
    there = transform(tmp_path / "there.txt", offset=(-10.0, 20.0, 30.0))
    files = {
        "volume": np.array([world.files_of("volume")[0], str(image), *world.files_of("volume")[2:]]),
        "transform": np.array(["", str(there), "", ""]),
    }
    real = real_images(hide(replace(world, files=files)), 0)
    np.testing.assert_allclose(real.truth / real.gain, plain.truth, atol=1e-3)
    assert real.mask.any()

    # Cut at one side: what it does not show is no part of the mask.
    cut = tmp_path / "cut.nii.gz"
    write_image(cut, follow_up.data[:8], follow_up.affine)
    files = {"volume": np.array([world.files_of("volume")[0], str(cut), *world.files_of("volume")[2:]])}
    real = real_images(hide(replace(world, files=files)), 0)
    assert not real.mask[8:].any()
    assert real.mask[:8].any()
    np.testing.assert_allclose(real.truth[:8] / real.gain, plain.truth[:8], atol=1e-3)


def test_what_is_wrong_is_named(world: Cohort, tmp_path: Path) -> None:
    small = tmp_path / "small.nii.gz"
    write_image(small, np.ones((4, 4, 4), np.int16), AFFINE)
    wrong = replace(world, files={**world.files, "mask": np.full(4, str(small))})
    with pytest.raises(ImageError, match=r"small.nii.gz \(sub-00 ses-1\): lies on another grid than .*ses-1_T1w"):
        real_images(hide(wrong), 0)
    empty = tmp_path / "empty.nii.gz"
    write_image(empty, np.zeros((16, 16, 16), np.int16), AFFINE)
    with pytest.raises(ImageError, match=r"empty.nii.gz \(sub-00 ses-1\): marks no voxel"):
        real_images(hide(replace(world, files={**world.files, "mask": np.full(4, str(empty))})), 0)
    far = tmp_path / "far.nii.gz"
    away = AFFINE.copy()
    away[:3, 3] = 1000.0
    write_image(far, read_image(world.files_of("volume")[1]).data, away)
    files = {"volume": np.array([world.files_of("volume")[0], str(far), *world.files_of("volume")[2:]])}
    with pytest.raises(ImageError, match=r"far.nii.gz \(sub-00 ses-2\): shows nothing of"):
        real_images(hide(replace(world, files=files)), 0)

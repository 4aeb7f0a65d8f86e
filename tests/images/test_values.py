"""What the numbers of an image tell, and what a thumbnail shows of them."""

import base64
from pathlib import Path

import numpy as np

from image_samples import AFFINE, head
from nextscan.images.files import read_image, write_image
from nextscan.images.values import summarise, thumbnail


def test_values_tell_a_scan_from_a_label_map(tmp_path: Path) -> None:
    scan = np.random.default_rng(0).poisson(np.maximum(head() / 4, 1)).astype(np.int16)
    patches = np.repeat(np.repeat(np.repeat(np.arange(24).reshape(2, 3, 4), 6, 0), 6, 1), 6, 2)
    found = [
        summarise(read_image(write_image(tmp_path / f"{i}.nii.gz", data, AFFINE))).is_label_map
        for i, data in enumerate((scan, patches, head()))
    ]
    assert found == [False, True, False]


def test_a_thumbnail_shows_the_middle_whatever_the_axes(tmp_path: Path) -> None:
    data = head()
    data[:, :, 14:] += 300  # bright above
    plain = thumbnail(read_image(write_image(tmp_path / "a.nii.gz", data, AFFINE)))
    turned = AFFINE[:, [2, 0, 1, 3]].copy()
    turned[:, 3] += turned[:, 0] * (data.shape[2] - 1)
    turned[:, 0] *= -1
    other = thumbnail(read_image(write_image(tmp_path / "b.nii.gz", data.transpose(2, 0, 1)[::-1], turned)))
    assert plain == other
    plane = plain["coronal"]
    grey = np.frombuffer(base64.b64decode(plane["grey"]), np.uint8).reshape(plane["shape"]).astype(float)
    assert max(plane["shape"]) <= 96
    assert grey[: len(grey) // 4].mean() > grey[-len(grey) // 4 :].mean() + 50

"""Frames of films, read one by one."""

from pathlib import Path

import numpy as np
import pytest

from image_samples import AFFINE, head
from nextscan.errors import ImageError
from nextscan.images import files
from nextscan.images.files import read_header, read_image, write_image
from nextscan.stamps import content_stamp, split_frame

nibabel = pytest.importorskip("nibabel")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    frames = np.stack([head(seed) for seed in range(4)], axis=-1)
    return write_image(tmp_path / "p1_4d.nii.gz", frames, AFFINE, frame_seconds=0.035)


@pytest.mark.parametrize("packed", [True, False])
def test_each_frame_is_read_as_it_was_written(film: Path, tmp_path: Path, packed: bool) -> None:
    if not packed:
        nibabel.save(nibabel.load(film), tmp_path / "p1.nii")
        film = tmp_path / "p1.nii"
    for frame in (2, 0, 3, 1):
        image = read_image(f"{film}#{frame}")
        np.testing.assert_array_equal(image.data, head(frame))
        np.testing.assert_allclose(image.affine, AFFINE)
        assert image.header.n_frames == 4
        assert str(image.header.path) == f"{film}#{frame}"


def test_nibabel_reads_the_film_with_its_time_in_seconds(film: Path) -> None:
    loaded = nibabel.load(film)
    np.testing.assert_array_equal(loaded.get_fdata()[..., 2], head(2))
    assert loaded.header.get_xyzt_units() == ("mm", "sec")
    assert loaded.header.get_zooms()[3] == pytest.approx(0.035)


def test_a_packed_film_is_unpacked_once(film: Path, monkeypatch) -> None:
    opened = []
    open_packed = files.open_packed
    monkeypatch.setattr(files, "open_packed", lambda path: opened.append(path) or open_packed(path))
    files._unpacked.cache_clear()
    for frame in range(4):
        read_image(f"{film}#{frame}")
    assert len(opened) == 1
    write_image(film, np.stack([head(7), head(8)], axis=-1), AFFINE)
    np.testing.assert_array_equal(read_image(f"{film}#1").data, head(8))


def test_frames_that_are_not_there_are_refused_by_number(film: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"p1_4d.nii.gz \(p1 f5\): has no frame 4: it holds frames 0 to 3 .*from 0"):
        read_header(f"{film}#4", where="p1 f5")
    single = write_image(tmp_path / "one.nii.gz", head(), AFFINE)
    np.testing.assert_array_equal(read_image(f"{single}#0").data, head())
    with pytest.raises(ImageError, match="has no frame 1: it holds only frame 0"):
        read_image(f"{single}#1")
    with pytest.raises(ImageError, match=r"4 dimensions .*name one of its 4 frames, as in p1_4d.nii.gz#0"):
        read_image(film)


def test_a_film_cut_short_is_told(film: Path) -> None:
    film.write_bytes(film.read_bytes()[:-500])
    with pytest.raises(ImageError, match="cut short or damaged"):
        read_image(f"{film}#3")


def test_frames_are_different_images(film: Path) -> None:
    assert content_stamp(f"{film}#0") != content_stamp(f"{film}#1")
    assert content_stamp(f"{film}#1") == content_stamp(f"{film}#1")
    assert split_frame(f"{film}#12") == (film, 12)
    assert split_frame("odd#name.nii.gz") == (Path("odd#name.nii.gz"), None)

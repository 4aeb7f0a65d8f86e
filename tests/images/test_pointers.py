"""Files whose content has not been fetched."""

from pathlib import Path

import numpy as np
import pytest

from image_samples import AFFINE, head
from nextscan.errors import ImageError
from nextscan.images.files import read_header, write_image
from nextscan.images.pointers import missing, pointer
from nextscan.images.transforms import read_transform


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 7\n", "run `git lfs pull`"),
        (b"version https://git-lfs.github.com/spec/v2\n", "run `git lfs pull`"),
        (b"/annex/objects/SHA256E-s100--ab.nii.gz\n", "run `datalad get"),
        (b"../../.git/annex/objects/Jx/9p/MD5E-s1--ab/MD5E-s1--ab", "run `datalad get"),
        (b"..\\.git\\annex\\objects\\Jx\\9p\\MD5E-s1--ab", "run `datalad get"),
    ],
)
@pytest.mark.parametrize("name", ["a.nii.gz", "a.mgz", "a.txt"])
def test_pointers_are_called_so_with_the_cure(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    read = read_transform if name == "a.txt" else read_header
    with pytest.raises(ImageError, match="its content has not been fetched") as error:
        read(path, where="s1 a")
    assert says in str(error.value)
    assert f"{path} (s1 a)" in str(error.value)
    assert "\n" not in str(error.value)


def test_links_are_told_apart(tmp_path: Path) -> None:
    annexed, broken = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    annexed.symlink_to("../.git/annex/objects/00/11/MD5E-s1--ab.nii.gz/MD5E-s1--ab.nii.gz")
    broken.symlink_to("../annexes/x.nii.gz")
    assert f"`datalad get {annexed}`" in missing(annexed)
    assert missing(broken) == "is a link to a file that is not there; fetch it, or correct the path"
    assert missing(tmp_path / "c.nii.gz") == "there is no such file; correct the path"
    with pytest.raises(ImageError, match=r"a.nii.gz: is a pointer of git-annex"):
        read_transform(annexed)


def test_what_is_there_is_no_pointer(tmp_path: Path) -> None:
    (tmp_path / "annex" / "objects").mkdir(parents=True)
    image = write_image(tmp_path / "annex" / "objects" / "a.nii.gz", head(), AFFINE)
    link = tmp_path / "b.nii.gz"
    link.symlink_to(image)
    assert read_header(link).shape == head().shape
    assert pointer(link, link.read_bytes()[:540]) == ""
    assert pointer(link, b"the file /annex/objects/ of others\n") == ""
    assert np.array_equal(read_header(link).affine, AFFINE)

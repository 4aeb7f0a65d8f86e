import numpy as np
import pytest

from nextscan.errors import RunFolderError
from nextscan.report.run_folder import read_run


def cut(path):
    path.write_bytes(path.read_bytes()[:200])


def drop(name):
    def spoil(path):
        with np.load(path) as file:
            np.savez(path, **{key: file[key] for key in file.files if key != name})

    return spoil


def change(name, make):
    def spoil(path):
        with np.load(path) as file:
            arrays = dict(file)
        arrays[name] = make(arrays[name])
        np.savez(path, **arrays)

    return spoil


@pytest.mark.parametrize(
    ("file", "spoil", "said"),
    [
        ("index.json", lambda path: path.write_text("{"), "does not list the example images"),
        ("index.json", lambda path: path.write_text('{"subjects": [{"subject": "a"}]}'), "folder"),
        ("000/real.npz", lambda path: path.unlink(), "real.npz"),
        ("000/real.npz", cut, "cannot be read"),
        ("000/real.npz", drop("affine"), "affine"),
        ("000/real.npz", change("affine", np.zeros_like), "invertible affine"),
        ("000/real.npz", change("truth", lambda image: image[1:]), "truth has shape"),
        ("000/volume-diffusion.npz", change("mean", lambda image: image * np.float16(np.nan)), "not finite"),
        ("000/volume-diffusion.npz", change("sd", lambda image: image[:, 1:]), "sd 4 has shape"),
        ("000/volume-diffusion.npz", change("series_gap", lambda years: years[1:]), "cannot be read"),
    ],
)
def test_damaged_images_end_in_one_line_that_names_the_file(new_image_run, file, spoil, said):
    path = new_image_run / "images" / file
    spoil(path)
    with pytest.raises(RunFolderError, match=said) as caught:
        read_run(new_image_run)
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)

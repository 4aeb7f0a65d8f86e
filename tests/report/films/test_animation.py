"""Films as animated images: exact grey values, exact time, and whose they may be."""

import json

import numpy as np
import pytest
from PIL import Image

from film_runs import GIVEN, NEAREST, write_films
from nextscan.errors import OutputError, SettingError
from nextscan.report.films.animation import milliseconds, side_by_side, write_animation, write_animations
from nextscan.report.films.kept import read_films


def played(path):
    """Return frames, and milliseconds of each."""
    frames, lengths = [], []
    with Image.open(path) as picture:
        for k in range(picture.n_frames):
            picture.seek(k)
            picture.load()
            frames.append(np.asarray(picture.convert("L")))
            lengths.append(picture.info["duration"])
    return np.stack(frames), lengths


def test_equal_neighbours_are_one_frame_that_is_shown_as_long_as_both(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (5, 7, 9)).astype(np.uint8)
    frames[2] = frames[1]
    write_animation(tmp_path / "a.png", frames, [100, 33, 34, 7, 250])
    found, lengths = played(tmp_path / "a.png")
    np.testing.assert_array_equal(found, frames[[0, 1, 3, 4]])
    assert lengths == [100, 67, 7, 250]


def test_a_film_takes_its_time_to_the_millisecond(tmp_path):
    write_films(tmp_path, ["a"])
    index = tmp_path / "films" / "index.json"
    told = json.loads(index.read_text())
    told["subjects"][0]["times"] = [0, 0.07, 0.21, 0.3, 0.42, 0.5, 0.61, 0.7, 0.83, 0.9]
    index.write_text(json.dumps(told))
    film = read_films(tmp_path)[0]
    assert sum(milliseconds(film, beat=997)) == 997
    assert milliseconds(film, beat=1000) == [70, 140, 90, 120, 80, 110, 90, 130, 70, 100]


def test_images_stand_beside_each_other(tmp_path):
    write_films(tmp_path, ["a"])
    film = read_films(tmp_path)[0]
    frames = side_by_side(film, "sadm")
    width = film.real.shape[1]
    assert frames.shape == (10, film.real.shape[2], 4 * width + 3 * 2)
    given, real, mean = (frames[..., at : at + width] for at in (0, width + 2, 2 * width + 4))
    np.testing.assert_array_equal(given, real[NEAREST])
    np.testing.assert_array_equal(mean[GIVEN], real[GIVEN])
    slices = [film.predicted["sadm"].mean[:, ::-1, ::-1, z].transpose(0, 2, 1) for z in range(4)]
    assert any(np.array_equal(mean[~GIVEN], one) for one in slices)


def test_films_of_people_are_written_when_they_are_asked_for(film_run_folder, run_folder, tmp_path):
    with pytest.raises(SettingError, match="films are those of single people"):
        write_animations(film_run_folder, tmp_path / "films")
    assert not (tmp_path / "films").exists()
    found = write_animations(film_run_folder, tmp_path / "films", individuals=True)
    assert len(found) == 9
    assert found[0].name == "000_sub-0000_sadm.png"
    assert sum(played(found[0])[1]) == 1200
    with pytest.raises(OutputError, match="is there already"):
        write_animations(film_run_folder, tmp_path / "films", individuals=True)
    with pytest.raises(SettingError, match="holds no films"):
        write_animations(run_folder, tmp_path / "others", individuals=True)

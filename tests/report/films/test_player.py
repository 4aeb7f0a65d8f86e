"""The player of films: what is packed into the page, and how films are read."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from film_runs import AFFINE, GIVEN, NEAREST, SHAPE, TIMES, WINDOW, write_films
from nextscan.errors import RunFolderError
from nextscan.report.films.kept import read_films
from nextscan.report.films.player import Curve, View, player
from nextscan.report.page import Section, render_page

TITLES = {"sadm": "SADM", "copy-nearest": "copy of the nearest frame"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("run")
    write_films(where, ["sub-1", "sub-2", "sub-3"], noise_free=True)
    return where


@pytest.fixture(scope="module")
def kept(folder):
    return read_films(folder)


@pytest.fixture(scope="module")
def html(kept):
    return str(player(kept, TITLES).html)


def head(html):
    return json.loads(re.search(r"data-head>(.*?)</script>", html)[1])


def tiles(html, subject, position, told):
    """Return a packed film as (n_frames, slices, rows, columns)."""
    text = re.search(rf'data-sheet="{subject}-{position}">(.*?)</script>', html)[1]
    picture = Image.open(io.BytesIO(base64.b64decode(text)))
    codes = np.asarray(picture)
    width, height = told["tile"]
    return codes.reshape(told["slices"], height, -1, width).transpose(2, 0, 1, 3), picture


def test_films_are_read_as_they_were_kept(kept):
    first = kept[0]
    assert [film.subject for film in kept] == ["sub-1", "sub-2", "sub-3"]
    assert first.window == WINDOW
    np.testing.assert_array_equal(first.nearest, NEAREST)
    np.testing.assert_allclose(first.shares, 0.1)
    assert first.truth is first.noise_free
    whole = first.whole(first.predicted["sadm"].mean)
    np.testing.assert_array_equal(whole[GIVEN], first.real[GIVEN])
    np.testing.assert_array_equal(whole[~GIVEN], first.predicted["sadm"].mean)


def test_what_is_packed_is_what_was_kept_upright(kept, html):
    told = head(html)["subjects"][1]
    assert told["given"] == GIVEN.tolist()
    assert told["times"] == [round(100 * float(time), 2) for time in TIMES]
    assert told["extent"] == [40.0, 48.0]
    assert told["slice"] in (1, 2)
    real, picture = tiles(html, 1, told["films"]["real"], told)
    assert picture.mode == "L"
    assert real.shape == (10, SHAPE[2], SHAPE[1], SHAPE[0])
    # the first voxel axis runs to the left: it is turned round; rows are counted from above
    np.testing.assert_array_equal(real[3, 2], kept[1].real[3, ::-1, ::-1, 2].T)
    mean, _ = tiles(html, 1, told["methods"]["sadm"]["mean"], told)
    np.testing.assert_array_equal(mean[4, 1], kept[1].predicted["sadm"].mean[4, ::-1, ::-1, 1].T)


def test_spread_has_one_scale_and_a_copy_has_none(kept, html):
    told = head(html)["subjects"][0]
    copy, ours = told["methods"]["copy-nearest"], told["methods"]["sadm"]
    assert copy["sd"] is None
    assert copy["draw"] is None  # it is the mean
    codes, picture = tiles(html, 0, ours["sd"], told)
    assert picture.mode == "P"
    assert told["sd"] == pytest.approx(30 * 200 / 255, abs=0.01)
    native = codes * told["sd"] / 255
    expected = kept[0].predicted["sadm"].sd[0, ::-1, ::-1, 1].T / 255 * 30
    np.testing.assert_allclose(native[0, 1], expected, atol=told["sd"] / 255)
    palette = np.array(picture.getpalette()).reshape(-1, 3)
    assert len(palette) == 256
    assert palette[0].sum() < 20 < 600 < palette[255].sum()  # from black to pale


def test_curves_go_with_their_film_and_unknown_values_are_null(kept):
    line = np.arange(10.0)
    truth = np.where(GIVEN, np.nan, line)
    made = player(kept, TITLES, curves={("sub-2", "sadm"): Curve(truth, line, line - 1, line + 1)})
    told = head(str(made.html))["subjects"]
    assert told[0]["methods"]["sadm"]["curve"] is None
    curve = told[1]["methods"]["sadm"]["curve"]
    assert curve["truth"] == [None, None, None, 3, 4, 5, 6, 7, 8, 9]
    assert curve["high"] == (line + 1).tolist()


def test_films_that_are_too_large_are_averaged_within_slices(kept):
    made = str(player(kept, TITLES, budget=30_000).html)
    told = head(made)["subjects"][0]
    assert told["coarser"] > 1
    assert told["slices"] == SHAPE[2]
    real, _ = tiles(made, 0, told["films"]["real"], told)
    n = told["coarser"]
    fine = kept[0].real[2, :n, :n, 1].mean()
    assert real[2, 1, -1, -1] == pytest.approx(fine, abs=0.5)  # the first voxel lies below, on the right
    assert sum(len(text) for text in re.findall(r'data-sheet="[\d-]+">(.*?)</script>', made)) <= 30_000


def test_there_is_no_player_without_films_of_the_methods(kept):
    assert player(kept, {"volume-ridge": "ridge of volumes"}) is None
    assert player([], TITLES) is None


def test_names_from_files_are_escaped_and_the_style_goes_into_the_head(folder, tmp_path):
    write_films(tmp_path, ["</script><script>alert(1)</script>"])
    page = render_page("T", [Section("a", "A", [player(read_films(tmp_path), TITLES)])])
    assert "<script>alert(1)" not in page
    assert ".films .reel" in page[: page.index("</head>")]
    assert "prefers-reduced-motion" in page
    assert "IntersectionObserver" in page
    assert ".films .reel" not in render_page("T", [])


def test_slices_go_through_the_thickest_axis():
    assert View.of(AFFINE) == View(2, 0, 1, (True, False))
    assert View.of(AFFINE[:, [2, 0, 1, 3]]).through == 0
    assert View.of(np.eye(4)).through == 2


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "films" / "index.json").write_text("{}"), "does not list the films of a run"),
        (lambda folder: (folder / "films" / "000" / "sadm.npz").unlink(), "sadm.npz: cannot be read as a film"),
        (
            lambda folder: np.savez(folder / "films" / "001" / "real.npz", real=np.zeros((10, 2, 2, 2)), affine=AFFINE),
            r"real.npz: real has shape \(10, 2, 2, 2\)",
        ),
    ],
)
def test_damaged_films_are_refused_in_a_line(tmp_path, spoil, words):
    write_films(tmp_path, ["a", "b"])
    spoil(tmp_path)
    with pytest.raises(RunFolderError, match=words):
        read_films(tmp_path)
    assert read_films(tmp_path / "elsewhere") is None


def test_films_on_a_line_have_their_own_times(folder, tmp_path):
    write_films(tmp_path, ["a"])
    path = tmp_path / "films" / "index.json"
    told = json.loads(path.read_text()) | {"period": None, "unit": "years"}
    told["subjects"][0]["times"] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 13.5]
    path.write_text(json.dumps(told))
    film = read_films(tmp_path)[0]
    # the last frame as long as frames are on average
    np.testing.assert_allclose(film.shares, np.array([1, 1, 1, 1, 1, 1, 1, 1, 5.5, 1.5]) / 15)
    one = head(str(player([film], TITLES).html))["subjects"][0]
    assert (one["circle"], one["unit"], one["times"][-1]) == (False, "years", 13.5)

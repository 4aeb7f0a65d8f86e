"""The style survives greyscale and colour blindness, and SVG keeps what a reader sees."""

import base64
import io
import re
from importlib.resources import files

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from nextscan.report.figures.style import diverging, new_figure, styled, to_png, to_svg
from nextscan.report.methods import BASELINES, ORACLE, method_looks


def luminance(rgb):
    linear = np.where(np.asarray(rgb) <= 0.04045, np.asarray(rgb) / 12.92, ((np.asarray(rgb) + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_the_diverging_map_falls_evenly_in_lightness_on_both_sides():
    colours = diverging()(np.arange(256))[:, :3]
    lightness = np.cbrt(luminance(colours))  # CIE lightness but for a constant factor
    left, right = lightness[:128], lightness[128:][::-1]
    assert (np.diff(left) > 0).all()
    assert (np.diff(right) > 0).all()
    np.testing.assert_allclose(left, right, atol=0.03)
    steps = np.diff(left)
    assert steps.max() < 2.5 * steps.min()
    assert colours[0, 2] > colours[0, 0]  # negative is blue
    assert colours[-1, 0] > colours[-1, 2]  # positive is orange


def test_no_two_methods_look_alike_without_colour():
    chosen = method_looks(["secondgram", "secondgram-paper", "secondgram-released", *BASELINES, ORACLE])
    assert len({look.marker for look in chosen.values()}) == len(chosen)
    assert len({str(look.dash) for look in chosen.values()}) == len(chosen)
    script = files("nextscan.report").joinpath("templates/explorer.js").read_text()
    shapes = re.search(r"const shapes = {(.*?)};", script, re.DOTALL)[1]
    assert all(re.search(rf'(?:^|[\s"]){re.escape(look.marker)}"?: "M', shapes) for look in chosen.values())


def test_baselines_look_the_same_whoever_else_is_there():
    assert method_looks(["ridge"])["ridge"] == method_looks(["secondgram", "other", "ridge"])["ridge"]


def test_styled_leaves_settings_outside_alone():
    before = dict(mpl.rcParams)
    with styled():
        assert mpl.rcParams["axes.spines.top"] is False
    assert dict(mpl.rcParams) == before


def figure(values=(0.12345, 0.2)):
    with styled():
        made = new_figure(2)
        axes = made.subplots()
        axes.plot([0, 1], values, clip_on=True)
        axes.set_title("p < 0.00123 & more")
        axes.text(0, 0.15, "value 0.123456")
    return made


def test_svg_keeps_numbers_a_reader_sees_and_shortens_places():
    svg = to_svg(figure(), "plot")
    assert "value 0.123456" in svg
    assert "p &lt; 0.00123 &amp; more" in svg
    assert not re.search(r' d="[^"]*\d\.\d{3}', svg)


def test_svg_ids_are_apart_and_all_references_hold():
    first, second = to_svg(figure(), "one"), to_svg(figure(), "tw.o+")
    ids = [re.findall(r' id="([^"]+)"', svg) for svg in (first, second)]
    assert ids[0]
    assert not set(ids[0]) & set(ids[1])
    for svg, own in zip((first, second), ids, strict=True):
        used = re.findall(r'(?:href="|url\()#([^")]+)', svg)
        assert set(used) == set(own)
        assert all(re.fullmatch(r"[\w-]+", name) for name in own)


def test_the_same_figure_gives_the_same_bytes():
    assert to_svg(figure(), "plot") == to_svg(figure(), "plot")


def pixels(svg):
    code = re.search(r'data:image/png;base64,([^"]+)', svg)[1]
    return Image.open(io.BytesIO(base64.b64decode(code)))


@pytest.mark.parametrize("smooth", [False, True])
def test_images_in_svg_have_one_pixel_per_cell_and_a_palette(smooth):
    matrix = np.random.default_rng(0).integers(0, 7, (30, 30))
    with styled():
        made = new_figure(2)
        made.subplots().imshow(matrix, cmap=diverging().resampled(7), interpolation="none")
    svg = to_svg(made, "matrix", smooth=smooth)
    image = pixels(svg)
    assert image.mode == "P"
    assert image.size == (30, 30)
    expected = (diverging().resampled(7)(matrix / 6)[..., :3] * 255).round()
    np.testing.assert_allclose(np.asarray(image.convert("RGB")), expected, atol=1)
    assert ("pixelated" in svg) != smooth


def test_png_is_inline():
    text = to_png(figure(), dots_per_inch=50)
    assert pixels(text).size == (450, 100)

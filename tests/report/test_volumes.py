"""The section of images: what it shows and says, what goes into the page, and what it does without."""

import base64
import gzip
import json
import re
import shutil
import struct

import numpy as np
import pandas as pd
import pytest

from image_runs import write_images
from nextscan.errors import OutputError, RunFolderError
from nextscan.report import write_report
from nextscan.report.page import library_script, render_page
from nextscan.report.run_folder import read_run
from nextscan.report.sections.scores import scores
from nextscan.report.sections.volumes import planes, volumes
from nextscan.report.volumes.examples import PredictedSeries, VolumeExample, read_examples
from nextscan.report.volumes.page import write_volume_page
from nextscan.report.volumes.viewer import viewer


@pytest.fixture(scope="module")
def folder(image_run_folder):
    return image_run_folder


@pytest.fixture
def spoilt(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "run")


@pytest.fixture(scope="module")
def html(folder):
    return write_report(folder, individuals=True).read_text(encoding="utf-8")


def without_scripts(html):
    return re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def head_of(html):
    return json.loads(re.search(r"<script type=\"application/json\" data-head>(\{\"images|\{.*?)</script>", html)[1])


def test_the_page_loads_nothing_and_stays_small(html):
    assert len(html) < 12_000_000
    outside = [url for url in re.findall(r'(?:src|href)="([^"]+)"', without_scripts(html))]
    assert outside
    assert all(url.startswith(("#", "data:image/png;base64,")) for url in outside)
    assert "@import" not in html
    assert not re.search(r"<script[^>]+src=", html)


def test_niivue_is_in_the_page_once_with_its_licence_and_only_where_it_is_needed(html, run_folder):
    assert html.count("NiiVue 0.69.0, https://github.com/niivue/niivue") == 1
    assert html.count("Redistributions in binary form must reproduce") == 1
    assert html.count("sA.niivue={}") == 1
    assert volumes(read_run(run_folder)) is None
    assert "niivue" not in render_page("T", [scores(read_run(run_folder))]).lower()


def test_a_library_cannot_end_the_script_or_its_licence_comment_early():
    text = str(library_script("niivue.js"))
    licence = text[: text.index("*/\n")]
    assert "Copyright (c) 2021, Niivue" in licence
    assert "@ungap/structured-clone" in licence
    assert "</script" not in text.lower()
    assert "<!--" not in text


def test_every_picture_has_words_for_those_who_do_not_see_it(html):
    section = html[html.index('<section id="volumes"') : html.index('<section id="scores"')]
    labels = re.findall(r'<div class="image[^"]*" role="img" aria-label="([^"]*)"', section)
    assert len(labels) == 7  # two subjects and the regions, wide and narrow; the methods
    assert all(len(label) > 60 for label in labels)
    assert "Axial, coronal and sagittal slices of sub-01" in labels[0]
    assert "source, real follow-up, imputed mean, uncertainty, true difference and predicted difference" in labels[0]


def test_slices_go_through_the_change_and_are_named_in_mm(folder):
    run = read_run(folder)
    example = run.examples[0]
    place = example.grid.world(example.point("volume-diffusion"))
    # The ventricles lie 11 mm beside the middle, and grow most along their length of 26 mm.
    assert abs(abs(place[0]) - 11) < 7
    assert abs(place[1]) < 35
    assert abs(place[2] - 8) < 12
    picture = planes(example, "volume-diffusion", name="p")
    for text in (f"z = {place[2]:.0f} mm", f"y = {place[1]:.0f} mm", f"x = {place[0]:.0f} mm", "axial", "sagittal"):
        assert text.replace("-", "−") in str(picture.image)
    assert "2.03 years later" in picture.caption
    assert "without the noise" in picture.caption


def test_real_and_predicted_changes_share_a_scale_and_images_another(folder):
    text = str(planes(read_run(folder).examples[0], "volume-diffusion", name="p").image)
    assert text.count("follow-up less source") == 1
    assert text.count(">intensity<") == 1
    ticks = re.findall(r">([−+][\d.,]+)<", text)
    assert {tick[1:] for tick in ticks if tick[0] == "+"} == {tick[1:] for tick in ticks if tick[0] == "−"} & {
        tick[1:] for tick in ticks if tick[0] == "+"
    }


def test_baselines_have_a_row_of_image_scores_even_if_not_run(spoilt):
    scores = pd.read_csv(spoilt / "scores.csv", keep_default_na=False, na_values=[""])
    scores[scores["method"] != "copy-source"].to_csv(spoilt / "scores.csv", index=False)
    section = volumes(read_run(spoilt))
    table = next(block for block in section.blocks if getattr(block, "name", "") == "scores-images")
    rows = {row[0].text: row for row in table.rows}
    assert rows["Copy of the source"][0].detail == "not run"
    assert rows["Mean change of volumes"][0].detail == "baseline"
    titles = [column.title for column in table.columns]
    assert rows["Volume diffusion"][titles.index("SSIM")].text == "0.951"


def test_regional_bars_are_mean_changes_in_percent(folder):
    run = read_run(folder)
    section = volumes(run)
    picture = next(block for block in section.blocks if "Mean change of regions" in getattr(block, "alt", ""))
    predictions = run.predictions
    name = predictions.feature_names[predictions.most_changing(1)[0]]
    column = predictions.feature_names.index(name)
    share = 100 * (predictions.truth[:, column] / predictions.context[:, column] - 1)
    assert f"{name} {share.mean():.1f}%".replace("-", "−") in picture.alt


def test_the_viewer_holds_every_time_and_image(folder):
    examples = read_run(folder).examples
    fragment = viewer(examples, "volume-diffusion", name="volume diffusion")
    html = str(fragment.html)
    told = head_of(html)["subjects"]
    assert told[0]["times"] == ["0 years", "0.5 years", "1 year", "2 years", "2.03 years", "5 years"]
    assert told[0]["start"] == 4
    assert told[1]["times"] == ["3.03 years"]
    images = told[0]["images"]
    positions = [images["source"], *images["changes"], *images["sds"], images["real"], images["realChange"]]
    known = [k for k in positions if k is not None]
    assert sorted(known) == list(range(len(known)))
    assert [k is not None for k in images["sds"]] == [False] * 4 + [True, False]
    packed = dict(re.findall(r'data-image="([\d-]+)">([^<]*)</script>', html))
    assert len(packed) == len(known) + 5
    change = unpacked(packed[f"0-{images['changes'][5]}"])
    grid = examples[0].grid
    mean = grid.apply(examples[0].predicted["volume-diffusion"].mean[5] - examples[0].source)
    assert change.shape == mean.shape
    limit = told[0]["limits"]["change"]
    np.testing.assert_allclose(change, np.clip(mean, -2 * limit, 2 * limit * 128 / 127), atol=2 * limit / 255 + 0.01)


def test_uncertainty_follows_the_slider_where_it_was_kept_over_time(tmp_path):
    (example,) = read_examples(write_images(tmp_path, subjects=1, spread_over_time=True))
    html = str(viewer([example], "volume-diffusion", name="volume diffusion").html)
    (told,) = head_of(html)["subjects"]
    packed = dict(re.findall(r'data-image="([\d-]+)">([^<]*)</script>', html))
    spread = [unpacked(packed[f"0-{k}"]).mean() for k in told["images"]["sds"]]
    assert len(spread) == len(told["times"]) == 6
    assert (np.diff(spread) > 0).all()


def unpacked(text):
    data = gzip.decompress(base64.b64decode(text))
    shape = struct.unpack_from("<3h", data, 42)
    _, slope, low = struct.unpack_from("<fff", data, 108)
    return np.frombuffer(data[352:], np.uint8).reshape(shape, order="F") * slope + low


def test_images_become_coarser_when_the_page_must_stay_small(folder):
    examples = read_run(folder).examples
    sizes = []
    for budget in (7_500_000, 100_000):
        html = str(viewer(examples, "volume-diffusion", name="m", budget=budget).html)
        sizes.append((sum(map(len, re.findall(r'data-image="[\d-]+">([^<]*)<', html))), head_of(html)["subjects"][0]))
    (large, fine), (small, coarse) = sizes
    assert fine["coarser"] == 1
    assert coarse["coarser"] > 1
    assert small <= 100_000 < large
    assert coarse["point"] == fine["point"]


def test_names_from_files_are_escaped(spoilt):
    index = spoilt / "images" / "index.json"
    told = json.loads(index.read_text())
    told["subjects"][0]["subject"] = "</script><script>alert(1)</script>"
    index.write_text(json.dumps(told))
    html = render_page("T", [volumes(read_run(spoilt))])
    assert "alert(1)" in html
    assert "<script>alert(1)" not in html


def test_a_measured_cohort_has_a_real_difference_and_a_page_without_images_says_so(spoilt):
    for path in (spoilt / "images").glob("*/real.npz"):
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files if "noise_free" not in name}
        np.savez(path, **arrays)
    example = read_examples(spoilt)[0]
    np.testing.assert_allclose(example.real_change, example.real - example.source)
    assert "real difference" in planes(example, "volume-diffusion", name="p").alt
    shutil.rmtree(spoilt / "images")
    section = volumes(read_run(spoilt))
    assert "missing" in section.blocks[0].text
    assert 'id="viewer"' not in render_page("T", [section])


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
def test_damaged_images_end_in_one_line_that_names_the_file(spoilt, file, spoil, said):
    path = spoilt / "images" / file
    spoil(path)
    with pytest.raises(RunFolderError, match=said) as caught:
        read_run(spoilt)
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_page_for_imputed_images_needs_no_follow_up(folder, tmp_path):
    first = read_run(folder).examples[0]
    series = first.predicted["volume-diffusion"]
    example = VolumeExample("sub-01", first.affine, first.source, {"volume-diffusion": series})
    path = write_volume_page(
        tmp_path / "imputed.html", [example] * 5, method="volume-diffusion", n_subjects=5, colophon=["seed 7"]
    )
    html = path.read_text(encoding="utf-8")
    assert "real follow-up" not in without_scripts(html).lower()
    assert "3 of 5 subjects" in html
    assert "seed 7" in html
    assert html.count("sA.niivue={}") == 1
    assert len(head_of(html)["subjects"]) == 3
    with pytest.raises(OutputError, match="no image imputed by ridge"):
        write_volume_page(tmp_path / "none.html", [example], method="ridge")


def test_times_that_are_unknown_are_the_next_visit(folder):
    first = read_run(folder).examples[0]
    mean = first.predicted["copy-source"].mean
    series = PredictedSeries(np.array([np.nan]), mean, [None])
    example = VolumeExample("sub-01", first.affine, first.source, {"copy-source": series})
    told = head_of(str(viewer([example], "copy-source", name="copy").html))["subjects"][0]
    assert told["times"] == ["next visit"]
    assert "later" not in planes(example, "copy-source", name="p").caption


def test_a_copy_is_shown_through_the_middle_and_its_change_is_zero(folder):
    first = read_run(folder).examples[0]
    series = PredictedSeries(np.array([1.0]), first.source[None], [None])
    example = VolumeExample("sub-01", first.affine, first.source, {"copy-source": series})
    caption = planes(example, "copy-source", name="p").caption
    assert "through the middle (" in caption
    assert "as nothing changes" in caption
    html = str(viewer([example], "copy-source", name="copy").html)
    (told,) = head_of(html)["subjects"]
    packed = dict(re.findall(r'data-image="([\d-]+)">([^<]*)</script>', html))
    np.testing.assert_allclose(unpacked(packed[f"0-{told['images']['changes'][0]}"]), 0, atol=1e-5)

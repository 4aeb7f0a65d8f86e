"""The section of images: what it shows and says, what goes into the page, and what it does without."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from image_runs import without_scripts
from nextscan.report import write_report
from nextscan.report.page import render_page
from nextscan.report.run_folder import read_run
from nextscan.report.sections.scores import scores
from nextscan.report.sections.volumes import planes, volumes
from nextscan.report.volumes.examples import read_examples


@pytest.fixture(scope="module")
def html(image_run_folder):
    return write_report(image_run_folder, individuals=True).read_text(encoding="utf-8")


@pytest.mark.minutes
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


def test_every_picture_has_words_for_those_who_do_not_see_it(html):
    section = html[html.index('<section id="volumes"') : html.index('<section id="scores"')]
    labels = re.findall(r'<div class="image[^"]*" role="img" aria-label="([^"]*)"', section)
    assert len(labels) == 7  # two subjects and the regions, wide and narrow; the methods
    assert all(len(label) > 60 for label in labels)
    assert "Axial, coronal and sagittal slices of sub-01" in labels[0]
    assert "source, real follow-up, imputed mean, uncertainty, true difference and predicted difference" in labels[0]


def test_slices_go_through_the_change_and_are_named_in_mm(image_run_folder):
    run = read_run(image_run_folder)
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


def test_real_and_predicted_changes_share_a_scale_and_images_another(image_run_folder):
    text = str(planes(read_run(image_run_folder).examples[0], "volume-diffusion", name="p").image)
    assert text.count("follow-up less source") == 1
    assert text.count(">intensity<") == 1
    ticks = re.findall(r">([−+][\d.,]+)<", text)
    assert {tick[1:] for tick in ticks if tick[0] == "+"} == {tick[1:] for tick in ticks if tick[0] == "−"} & {
        tick[1:] for tick in ticks if tick[0] == "+"
    }


def test_baselines_have_a_row_of_image_scores_even_if_not_run(new_image_run, monkeypatch):
    monkeypatch.setattr("nextscan.report.sections.volumes._pictures", lambda *_: [])  # they are not looked at
    scores = pd.read_csv(new_image_run / "scores.csv", keep_default_na=False, na_values=[""])
    scores[scores["method"] != "copy-source"].to_csv(new_image_run / "scores.csv", index=False)
    section = volumes(read_run(new_image_run))
    table = next(block for block in section.blocks if getattr(block, "name", "") == "scores-images")
    rows = {row[0].text: row for row in table.rows}
    assert rows["Copy of the source"][0].detail == "not run"
    assert rows["Mean change of volumes"][0].detail == "baseline"
    titles = [column.title for column in table.columns]
    assert rows["Volume diffusion"][titles.index("SSIM")].text == "0.951"


def test_regional_bars_are_mean_changes_in_percent(image_run_folder, monkeypatch):
    monkeypatch.setattr("nextscan.report.sections.volumes._pictures", lambda *_: [])  # they are not looked at
    run = read_run(image_run_folder)
    section = volumes(run)
    picture = next(block for block in section.blocks if "Mean change of regions" in getattr(block, "alt", ""))
    predictions = run.predictions
    name = predictions.feature_names[predictions.most_changing(1)[0]]
    column = predictions.feature_names.index(name)
    share = 100 * (predictions.truth[:, column] / predictions.context[:, column] - 1)
    assert f"{name} {share.mean():.1f}%".replace("-", "−") in picture.alt


def test_names_from_files_are_escaped(new_image_run):
    index = new_image_run / "images" / "index.json"
    told = json.loads(index.read_text())
    told["subjects"][0]["subject"] = "</script><script>alert(1)</script>"
    index.write_text(json.dumps(told))
    html = render_page("T", [volumes(read_run(new_image_run))])
    assert "alert(1)" in html
    assert "<script>alert(1)" not in html


def test_a_measured_cohort_has_a_real_difference_and_a_page_without_images_says_so(new_image_run):
    for path in (new_image_run / "images").glob("*/real.npz"):
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files if "noise_free" not in name}
        np.savez(path, **arrays)
    example = read_examples(new_image_run)[0]
    np.testing.assert_allclose(example.real_change, example.real - example.source)
    assert "real difference" in planes(example, "volume-diffusion", name="p").alt
    shutil.rmtree(new_image_run / "images")
    section = volumes(read_run(new_image_run))
    assert "missing" in section.blocks[0].text
    assert 'id="viewer"' not in render_page("T", [section])

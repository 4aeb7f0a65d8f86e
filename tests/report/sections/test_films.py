"""The section of films: values in its figures, who may be seen, and what it does without."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from film_runs import GIVEN, TIMES, draws_of, ejected, volume
from image_runs import without_scripts
from nextscan.report import write_report
from nextscan.report.page import render_page
from nextscan.report.run_folder import read_run
from nextscan.report.sections import films as section
from nextscan.report.sections.films import films

pytestmark = pytest.mark.minutes


@pytest.fixture(scope="module")
def run(film_run_folder):
    return read_run(film_run_folder)


def said(made):
    """Return all words of a section."""
    return render_page("T", [made])


def notices(made):
    return [block.text for block in made.blocks if block.kind == "notice"]


def test_a_run_of_films_has_the_section_and_other_runs_do_not(run, run_folder, image_run_folder):
    assert films(run).title == "The films"
    assert films(read_run(run_folder)) is None
    assert films(read_run(image_run_folder)) is None


def test_fans_are_quantiles_of_the_draws_and_given_frames_have_none(run):
    for k, beat in enumerate(section.curves_of(run, "sadm")):
        draws = draws_of("sadm", k)
        np.testing.assert_allclose(beat.time, 100 * TIMES)
        np.testing.assert_allclose(beat.truth, volume(k))
        np.testing.assert_allclose(beat.value[~GIVEN], draws.mean(axis=0)[~GIVEN])
        for (low, high), ends in zip(beat.bands, ((0.1, 0.9), (0.25, 0.75)), strict=True):
            expected = np.quantile(draws, ends, axis=0, method="weibull")
            np.testing.assert_allclose([low[~GIVEN], high[~GIVEN]], expected[:, ~GIVEN])
            np.testing.assert_array_equal(low[GIVEN], beat.value[GIVEN])
            np.testing.assert_array_equal(high[GIVEN], beat.value[GIVEN])


def test_ejection_fractions_are_medians_of_those_of_draws(run):
    one = section.ejected(run, "sadm")
    assert len(one.real) == 64
    expected = np.quantile([ejected(draws_of("sadm", k)) for k in range(64)], (0.5, 0.1, 0.9), axis=1, method="weibull")
    np.testing.assert_allclose([one.predicted, one.low, one.high], expected)
    real = np.array([ejected(volume(k)) for k in range(64)])
    np.testing.assert_allclose(one.real, real)
    error, correlation = np.abs(expected[0] - real).mean(), np.corrcoef(expected[0], real)[0, 1]
    assert one.words == f"error {error:.1f} points, correlation {correlation:.2f}"


def test_groups_average_over_people_with_like_predictions(run):
    one = section.ejected(run, "sadm")
    group = section.grouped(one)
    assert len(group.real) == 3
    first = np.argsort(one.predicted)[:22]
    assert group.predicted[0] == pytest.approx(one.predicted[first].mean())
    assert group.real[0] == pytest.approx(one.real[first].mean())
    half = 1.96 * one.real[first].std(ddof=1) / np.sqrt(22)
    assert (group.high - group.low)[0] == pytest.approx(2 * half)


def test_errors_of_frames_at_one_distance_are_averaged(run):
    table = run.frame_scores[(run.frame_scores["method"] == "sadm") & (run.frame_scores["metric"] == "volume_error")]
    line = section.horizons(run, "volume_error", "sadm")
    np.testing.assert_allclose(line.time, [10, 20, 30, 40])
    for part in ("value", "low", "high"):
        expected = [table.loc[np.isclose(table["horizon"], at / 10), part].mean() for at in range(1, 5)]
        np.testing.assert_allclose(getattr(line, part), expected)
    assert section.horizons(run, "nrmse_heart", "volume-ridge") is None


def test_many_distances_are_gathered(run):
    rng = np.random.default_rng(0)
    table = pd.concat([run.frame_scores.assign(horizon=rng.uniform(0.01, 0.5, len(run.frame_scores))) for _ in "abc"])
    line = section.horizons(replace(run, frame_scores=table), "volume_error", "sadm")
    assert len(line.time) <= 10
    assert (np.diff(line.time) > 0).all()


def test_with_individuals_films_curves_and_points_are_shown(film_run_folder, run):
    html = write_report(film_run_folder, individuals=True).read_text(encoding="utf-8")
    assert html.count('id="films-player"') == 1
    assert "sub-0000" in html
    assert "Volume of the left chamber over time of sub-0000, sub-0001 and sub-0002" in html
    assert "Predicted against real ejection fraction of 64 test subjects: SADM error" in html or "sadm error" in html
    assert "niivue" not in html.lower()
    assert len(html) < 4_000_000


def test_without_individuals_there_are_no_names_and_no_values_of_single_people(film_run_folder):
    html = write_report(film_run_folder).read_text(encoding="utf-8")
    assert not re.search(r"sub-\d{4}", html)
    assert 'id="films-player"' not in html
    assert "data-sheet" not in html
    part = html[html.index('<section id="films"') :]
    part = part[: part.index("</section>")]
    assert "Films and curves are those of single people" in part
    assert "averages over groups of 64 test subjects" in part
    # a point a group and method, none a person
    assert part.count("<use ") < 200
    assert "Errors of the predictive mean in hidden frames" in part


def test_the_page_loads_nothing(film_run_folder):
    html = write_report(film_run_folder, individuals=True).read_text(encoding="utf-8")
    outside = re.findall(r'(?:src|href)="([^"]+)"', without_scripts(html))
    assert all(url.startswith(("#", "data:image/png;base64,")) for url in outside)
    scripts = "".join(re.findall(r"<script(?![^>]*data-)[^>]*>(.*?)</script>", html, flags=re.DOTALL))
    assert set(re.findall(r"https?://[\w./-]+", scripts)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest", html)


def test_what_is_missing_is_said(new_film_run):
    shutil.rmtree(new_film_run / "films")
    (new_film_run / "curves.parquet").unlink()
    (new_film_run / "frame_scores.csv").unlink()
    told = " ".join(notices(films(read_run(new_film_run))))
    for name in ("films/index.json", "curves.parquet", "frame_scores.csv"):
        assert name in told
    assert not any(block.kind == "picture" for block in films(read_run(new_film_run)).blocks)


def test_few_people_are_not_averaged(new_film_run):
    table = pd.read_parquet(new_film_run / "curves.parquet")
    few = table[table["subject"].isin(sorted(table["subject"].unique())[:19])]
    few.to_parquet(new_film_run / "curves.parquet")
    made = films(replace(read_run(new_film_run), individuals=False))
    assert any("fewer than 20 people" in text for text in notices(made))


def test_a_method_without_films_is_not_among_those_to_choose(run):
    html = said(films(run))
    assert '"name": "sadm"' in html
    assert '"name": "volume-ridge"' not in html


def test_times_of_films_on_a_line_are_told_as_they_are(run):
    line = replace(run, record=run.record | {"period": None, "time_unit": "years"})
    np.testing.assert_allclose(section.curves_of(line, "sadm")[0].time, TIMES)
    np.testing.assert_allclose(section.horizons(line, "volume_error", "sadm").time, [0.1, 0.2, 0.3, 0.4])
    words = " ".join(getattr(block, "alt", "") for block in films(line).blocks)
    assert "from 0.100 to 0.400 years away" in words
    assert "beat" not in words

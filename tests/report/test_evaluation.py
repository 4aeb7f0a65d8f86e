"""The evaluation page as a whole: its numbers, its verdict, its bold cells, and what it does without."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from nextscan.errors import NextscanError, OutputError
from nextscan.report import write_report
from nextscan.report.comparison import leaders, relative_difference
from nextscan.report.metric_catalogue import metric
from nextscan.report.run_folder import read_run

VOID = {"meta", "input", "br", "img", "link", "hr"}


class Reader(HTMLParser):
    """Collects tables, ids, references and the text of a page, and insists on closed elements."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.tables, self.text = [], [], [], {}, []
        self.name = self.cell = None
        self.bold = False

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        self.ids += [told["id"]] if "id" in told else []
        self.links += [told[key] for key in ("href", "src", "xlink:href", "data", "action") if key in told]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "div" and told.get("class") == "table":
            self.name = told.get("id")
            self.tables[self.name] = []
        elif tag == "tr":
            self.tables[self.name].append([])
        elif tag in ("td", "th"):
            self.cell = {"text": "", "bold": False, "sort": told.get("data-sort"), "detail": "", **told}
            self.tables[self.name][-1].append(self.cell)
        elif tag == "strong" and self.cell is not None:
            self.cell["bold"] = True

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes nothing at {self.getpos()}"
        if tag in ("td", "th"):
            self.cell = None

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)
            if self.cell is not None:
                self.cell["detail" if self.open[-1] == "small" else "text"] += data


def parsed(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def column(reader, table, heading):
    head, *rows = reader.tables[table]
    position = next(i for i, cell in enumerate(head) if cell["text"].startswith(heading))
    return {row[0]["text"]: row[position] for row in rows}


def prose(reader):
    return re.sub(r"\s+", " ", " ".join(reader.text))


@pytest.fixture(scope="module")
def html(run_folder):
    return write_report(run_folder).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html):
    return parsed(html)


def test_the_page_is_well_formed_and_every_reference_is_inside(html, page):
    assert html.startswith("<!DOCTYPE html>")
    assert {"verdict", "why"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert page.links
    for link in page.links:
        assert link.startswith(("#", "data:image/png;base64,"))
        assert not link.startswith("#") or link[1:] in page.ids
    assert not re.search(r"@import|url\((?!#)|src=\"(?!data:)", html)
    assert set(re.findall(r"https?://[^\s\"'<)]*", html)) <= {"http://www.w3.org/2000/svg"}


def test_scores_are_those_of_the_table(run_folder, page):
    scores = pd.read_csv(run_folder / "scores.csv", dtype={"fold": str, "seed": str, "repeat": str})
    scores = scores[(scores["fold"] == "all") & (scores["group"] == "all")].set_index(["method", "metric"])
    for name, table, heading in (
        ("energy_score", "scores-main", "Energy score"),
        ("change_correlation", "scores-main", "Change correlation"),
        ("coverage_80", "scores-calibration", "Coverage of 80%"),
        ("pearson_per_feature", "scores-one", "Pearson per feature"),
        ("pearson_per_feature_of_mean", "scores-predictive", "Pearson per feature"),
        ("covariate_correlation_gap", "scores-distribution", "Correlation gap"),
    ):
        shown = column(page, table, heading)
        for method, title in (("secondgram", "SECONDGRAM"), ("ridge", "Ridge"), ("oracle", "Oracle")):
            row = scores.loc[(method, name)]
            assert float(shown[title]["sort"]) == row["value"]
            assert float(shown[title]["text"]) == pytest.approx(row["value"], rel=6e-3)
            low, high = re.findall(r"−?[\d.]+", shown[title]["detail"])
            assert float(low.replace("−", "-")) == pytest.approx(row["low"], abs=6e-3)
            assert float(high.replace("−", "-")) == pytest.approx(row["high"], abs=6e-3)


def test_an_undefined_score_is_a_dash_that_sorts_last(page):
    assert "Carry forward" in column(page, "scores-main", "Change correlation")
    cell = column(page, "scores-main", "Change correlation")["Carry forward"]
    assert (cell["text"], cell["sort"]) == ("–", "")


def test_bold_are_the_best_and_their_ties_and_never_the_oracle(run_folder, page):
    run = read_run(run_folder)
    titles = {
        "secondgram": "SECONDGRAM",
        "feature-regression": "Per-feature regression",
        "reliability": "Reliability shrinkage",
    }
    for name, table, heading in (
        ("energy_score", "scores-main", "Energy score"),
        ("rmse", "scores-main", "RMSE"),
        ("sd_ratio", "scores-calibration", "Spread ratio"),
    ):
        bold = {title for title, cell in column(page, table, heading).items() if cell["bold"]}
        expected = leaders(run, metric(name))
        assert bold == {titles.get(method, method.replace("-", " ").capitalize()) for method in expected}
        assert "Oracle" not in bold
    best = run.pooled("energy_score").index[0]
    assert best in leaders(run, metric("energy_score"))


def test_every_table_can_be_sorted_by_keyboard_and_says_so(page):
    assert {"paired", "scores-main", "features", "methods"} <= set(page.tables)
    for rows in page.tables.values():
        assert {cell["aria-sort"] for cell in rows[0]} == {"none"}
        assert {cell["scope"] for cell in rows[0]} == {"col"}
        assert all(row[0]["scope"] == "row" for row in rows[1:])


def test_paired_comparison_is_over_the_same_subjects(run_folder, page):
    table = pd.read_parquet(run_folder / "subject_scores.parquet").query("metric == 'energy_score'")
    values = table.pivot_table(index="subject", columns="method", values="value")
    expected = relative_difference(values["secondgram"], values["feature-regression"])
    cell = column(page, "paired", "Per-feature regression")["SECONDGRAM"]
    assert float(cell["sort"]) == pytest.approx(100 * expected.value)
    assert cell["text"] == f"{100 * expected.value:+.1f}%".replace("-", "−")
    assert column(page, "paired", "Per-feature regression")["Per-feature regression"]["text"] == "–"
    assert column(page, "paired", "Carry forward")["Per-feature regression"]["bold"]


def test_the_verdict_says_plainly_who_wins_and_who_loses(run_folder, page):
    energy = read_run(run_folder).pooled("energy_score")["value"]
    text = prose(page)
    assert energy.index[0] == "feature-regression"
    best = f"{energy.iloc[0]:.2f}"
    assert f"Per-feature regression predicts the missing visit best (energy score {best}, 95% interval" in text
    assert re.search(r"SECONDGRAM is not clearly different from carry forward \(.*?\) and loses to per-feature", text)
    assert f"per-feature regression by {100 * (energy.iloc[0] / energy['oracle'] - 1):.1f}%" in text


def test_a_method_that_wins_beats(new_run):
    folder = new_run(methods=("secondgram", "carry-forward", "feature-regression"))
    path = folder / "subject_scores.parquet"
    frame = pd.read_parquet(path)
    frame.loc[frame["method"] == "secondgram", "value"] *= 0.5
    frame.to_parquet(path)
    text = prose(parsed(write_report(folder).read_text(encoding="utf-8")))
    assert re.search(r"SECONDGRAM beats carry forward \(energy score [\d.]+% lower\) and per-feature regression", text)
    assert "How good a prediction could possibly be is not known for real data." in text


def test_what_was_understood_and_done_is_told(page):
    text = prose(page)
    for said in (
        "420",
        "subject: column sub_id",
        "nextscan evaluate synthetic.csv --methods secondgram --folds 5 --out run",
        "torch 2.13.0",
        "5f0c2a9d1be04c77a1d2f7c3e7b4a901",
        "used in 4 of 5 fits",
        "validation score −4.210 with, −4.380 without",
        "6 min 41 s",
        "10.1016/j.patter.2025.101212",
    ):
        assert said in text
    assert column(page, "methods", "Steps skipped")["SECONDGRAM"]["text"] == "3.5%"


def test_the_page_warns_of_the_traps(page):
    text = prose(page)
    assert "Never compare the two: a calibrated draw correlates with the truth only up to R²" in text
    assert "above 0 by shrinkage alone" in text
    for name in ("energy_score", "coverage_95", "pearson_per_feature_of_mean", "covariate_correlation_gap"):
        assert f" {name} " in text


def test_every_picture_has_words(html):
    pictures = re.findall(r'<figure class="picture.*?</figure>', html, re.DOTALL)
    assert len(pictures) >= 8
    for picture in pictures:
        assert len(re.search(r'role="img" aria-label="([^"]*)"', picture)[1]) > 30
        assert len(re.search(r"<figcaption>(.*?)</figcaption>", picture, re.DOTALL)[1]) > 30


def test_coverage_by_group_is_in_a_table(run_folder, page):
    scores = pd.read_csv(run_folder / "scores.csv")
    rows = scores[(scores["group"] == "sex=F") & (scores["metric"] == "coverage_95")].set_index("method")
    head, first, *_ = page.tables["group-coverage_95"]
    assert (first[0]["text"], first[1]["text"]) == ("sex=F", "60")
    shown = dict(zip([cell["text"] for cell in head], first, strict=True))
    assert float(shown["Ridge"]["sort"]) == rows["value"]["ridge"]


def test_the_same_run_gives_the_same_page(run_folder, html):
    assert write_report(run_folder).read_text(encoding="utf-8") == html


@pytest.mark.minutes
def test_it_works_at_769_features(wide_run_folder):
    path = write_report(wide_run_folder)
    assert path.stat().st_size < 15e6
    reader = parsed(path.read_text(encoding="utf-8"))
    rows = reader.tables["features"][1:]
    scores = pd.read_csv(wide_run_folder / "feature_scores.csv").set_index(["method", "metric", "feature"])["value"]
    assert len(rows) == 769
    shown = column(reader, "features", "RMSE, SECONDGRAM")
    assert float(shown[rows[768][0]["text"]]["sort"]) == scores["secondgram", "rmse", rows[768][0]["text"]]


def bare(folder):
    """Leave only the files a page cannot do without."""
    for path in folder.iterdir():
        if path.name not in ("run.json", "scores.csv"):
            path.unlink()
    return folder


def test_missing_files_are_named_where_their_parts_would_be(new_run):
    folder = bare(new_run(methods=("secondgram", "carry-forward"), n_features=4))
    text = prose(parsed(write_report(folder, individuals=True).read_text(encoding="utf-8")))
    for said in (
        "Paired comparisons are missing: subject_scores.parquet",
        "Gaps between visits: predictions.parquet",
        "Predicted change cannot be shown: predictions.parquet",
        "The calibration curve is missing: calibration.csv",
        "Correlations are missing: predictions.parquet",
        "Trajectories are missing: fans.parquet and predictions.parquet",
        "Learning curves are missing: learning.csv",
    ):
        assert said in text


def test_gaps_in_the_data_and_unknown_times_do_no_harm(new_run):
    folder = new_run(methods=("secondgram", "carry-forward"))
    (folder / "feature_scores.csv").unlink()
    path = folder / "predictions.parquet"
    frame = pd.read_parquet(path)
    later = frame["visit"] == "2"
    frame.loc[later, ["years", "gap"]] = np.nan
    frame.loc[frame["kind"] == "context", "gap"] = np.nan
    frame.loc[frame.index % 7 == 0, frame.columns[8]] = np.nan
    frame[frame.columns[9]] = 2.0
    frame.to_parquet(path)
    fans = pd.read_parquet(folder / "fans.parquet").assign(years=np.nan)
    fans.to_parquet(folder / "fans.parquet")
    text = prose(parsed(write_report(folder).read_text(encoding="utf-8")))
    assert "The time between visits is not known for anybody." in text
    assert "Scores per feature are missing: feature_scores.csv" in text


def test_failures_are_said_in_the_verdict_and_the_record(new_run):
    folder = bare(new_run(methods=("carry-forward", "ridge"), n_features=4))
    record = json.loads((folder / "run.json").read_text())
    record["failed"] = [{"method": "secondgram", "repeat": 0, "fold": 2, "error": "losses are not finite"}]
    record["finished"] = None
    (folder / "run.json").write_text(json.dumps(record))
    text = prose(parsed(write_report(folder).read_text(encoding="utf-8")))
    assert "SECONDGRAM failed and is left out; the run record says why." in text
    assert "SECONDGRAM failed (repeat 0, fold 2) and is left out: losses are not finite" in text
    assert "The run is not marked as finished" in text


def test_names_from_the_data_are_escaped(new_run):
    folder = new_run(methods=("carry-forward", "ridge"), n_features=4)
    record = json.loads((folder / "run.json").read_text())
    record["cohort"] |= {"name": "<script>alert(1)</script>", "notes": ["a & <b>"]}
    (folder / "run.json").write_text(json.dumps(record))
    path = folder / "predictions.parquet"
    for name in ("fans.parquet", "calibration.csv", "subject_scores.parquet"):
        (folder / name).unlink()
    frame = pd.read_parquet(path).rename(columns=lambda name: "x<i>&y" if name == "lh_amygdala_volume" else name)
    frame.to_parquet(path)
    html = write_report(folder, individuals=True).read_text(encoding="utf-8")
    assert "alert(1)</script>" not in html
    assert "<i>" not in html
    assert "a &amp; &lt;b&gt;" in html
    parsed(html)


def test_a_damaged_run_leaves_the_old_page_alone(run_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    (folder / "report.html").write_text("old")
    (folder / "scores.csv").write_text("method\n")
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(NextscanError, match="lacks column"):
        write_report(folder)
    assert (folder / "report.html").read_text() == "old"
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_page_that_cannot_be_written_is_one_line(new_run):
    folder = bare(new_run(methods=("carry-forward",), n_features=4))
    (folder / "report.html").mkdir()
    with pytest.raises(OutputError, match=r"report\.html: is a folder"):
        write_report(folder)


def test_importing_the_report_is_light():
    code = "import sys, nextscan.report; print({'torch', 'matplotlib', 'scipy', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

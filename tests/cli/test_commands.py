"""Each command on a small cohort: what it writes, and what it prints."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import nextscan
from bad_inputs.tables import good_table
from nextscan.cli import demo
from nextscan.cli.evaluate import evaluate
from nextscan.cli.fit import fit
from nextscan.cli.main import run
from nextscan.cli.simulate import simulate

FEATURES = ["lh_hippocampus", "rh_hippocampus", "lh_thickness", "rh_thickness"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return an empty folder with a good table in it, in which the commands run."""
    monkeypatch.chdir(tmp_path)
    good_table().to_csv("table.csv", index=False)
    return tmp_path


@pytest.fixture
def fitted(folder):
    assert run(["fit", "table.csv", "--method", "feature-regression", "--out", "model", "--seed", "3"]) == 0
    return folder


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_simulate_writes_the_table_and_its_law(folder, capsys):
    assert run(["simulate", "--subjects", "60", "--features", "7", "--pairs", "20", "--out", "cohort.csv"]) == 0
    table = pd.read_csv("cohort.csv")
    assert table["subject"].nunique() == 60
    assert len(table) == 80
    assert names(folder) == {"table.csv", "cohort.csv", "cohort.law.npz"}
    assert capsys.readouterr().out == "cohort: cohort.csv (60 people, 20 with a follow-up, 7 features)\n"


def test_describe_prints_text_or_json_and_writes_a_page(folder, capsys):
    assert run(["describe", "table.csv"]) == 0
    assert "Subjects   18, 12 with a follow-up" in capsys.readouterr().out
    assert run(["describe", "table.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert run(["describe", "table.csv", "--html", "page.html", "--exclude", "lh_*"]) == 0
    page = (folder / "page.html").read_text()
    assert "rh_thickness" in page
    assert "<td>lh_thickness" not in page


def test_fit_writes_a_model_and_says_what_comes_next(folder, capsys):
    assert run(["fit", "table.csv", "--method", "feature-regression", "--out", "model", "--seed", "3"]) == 0
    model = nextscan.load("model")
    assert model.feature_names_ == tuple(FEATURES)
    assert model.record_["n_pairs"] == 12
    assert model.record_["seed"] == 3
    assert names(folder) == {"table.csv", "model"}
    assert "next:  nextscan impute model table.csv --out completed.csv" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        ["fit", "table.csv", "--method", "mean-change", "--out", "model"],
        ["evaluate", "table.csv", "--methods", "ridge", "--folds", "3", "--draws", "20", "--out", "run"],
    ],
)
@pytest.mark.filterwarnings("ignore::nextscan.NextscanWarning")
def test_what_describe_warns_of_is_said_once_before_the_work(folder, capsys, no_page, command):
    table = good_table(n_paired=24)
    table["eTIV"] = 1500.0 + table["participant_id"].str[-2:].astype(int)
    table["lh_thickness"] = np.where(table.index % 7 == 3, -999.0, table["lh_thickness"])
    table.to_csv("table.csv", index=False)
    assert run(command) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    found = nextscan.describe(nextscan.read_cohort("table.csv")).findings
    expected = [f"warning: {each}; see nextscan describe table.csv" for each in found if each.level == "warning"]
    assert said == expected
    assert any("eTIV" in line for line in said)
    assert any("missing = [-999]" in line or "-999 in 8 rows" in line for line in said)


def test_a_model_folder_can_be_read_by_others(fitted):
    (fitted / "new").mkdir()
    assert (fitted / "model").stat().st_mode == (fitted / "new").stat().st_mode


def test_fit_replaces_a_model_but_nothing_else(fitted):
    assert run(["fit", "table.csv", "--method", "mean-change", "--out", "model", "--overwrite"]) == 0
    assert nextscan.load("model").name == "mean-change"
    assert names(fitted) == {"table.csv", "model"}


def test_fit_passes_settings_on(folder):
    assert run(["fit", "table.csv", "--method", "feature-regression", "--exclude", "lh_*", "--out", "m"]) == 0
    assert nextscan.load("m").feature_names_ == ("rh_hippocampus", "rh_thickness")


def test_impute_completes_the_table(fitted, capsys):
    assert run(["impute", "model", "table.csv", "--out", "completed.csv", "--seed", "5"]) == 0
    before, after = pd.read_csv("table.csv"), pd.read_csv("completed.csv")
    imputed = after[after["imputed"]]
    pd.testing.assert_frame_equal(after.loc[~after["imputed"], before.columns].reset_index(drop=True), before)
    assert sorted(imputed["participant_id"]) == [f"sub-{i:02d}" for i in range(12, 18)]
    expected = nextscan.load("model").impute(nextscan.read_cohort("table.csv"), 40, seed=5)
    np.testing.assert_allclose(imputed[FEATURES].to_numpy(), expected.mean(), rtol=1e-6)
    low, high = expected.interval(0.9)
    np.testing.assert_allclose(imputed[[f"{name}__low" for name in FEATURES]].to_numpy(), low, rtol=1e-6)
    np.testing.assert_allclose(imputed[[f"{name}__high" for name in FEATURES]].to_numpy(), high, rtol=1e-6)
    assert "completed: completed.csv (6 visits imputed by feature-regression, 40 draws each)" in capsys.readouterr().out
    assert names(fitted) == {"table.csv", "model", "completed.csv"}


def test_conformal_intervals_and_who_is_unlike_training(folder, capsys):
    table = good_table(n_paired=40, n_single=8)
    table.loc[table["participant_id"].isin(["sub-42", "sub-45"]), FEATURES] *= 1.2
    table.to_csv("table.csv", index=False)
    assert run(["fit", "table.csv", "--method", "feature-regression", "--conformal", "--out", "model"]) == 0
    assert names(folder) == {"table.csv", "model"}
    command = ["impute", "model", "table.csv", "--interval", "conformal", "--by", "sex", "--level", "0.8"]
    assert run([*command, "--out", "completed.csv"]) == 0
    shown = capsys.readouterr()
    assert "warning: 2 of 8 imputed subjects lie farther out than 99% of those" in shown.err
    assert "where 1% is chance: sub-42, sub-45; look at their scans" in shown.err
    cohort = nextscan.read_cohort("table.csv")
    low, high = nextscan.load("model").impute(cohort, 40).interval(0.8, "conformal", by="sex")
    after = pd.read_csv("completed.csv", dtype={"unlike_training": str})
    imputed = after[after["imputed"]]
    np.testing.assert_allclose(imputed[[f"{name}__low" for name in FEATURES]].to_numpy(), low, rtol=1e-6)
    np.testing.assert_allclose(imputed[[f"{name}__high" for name in FEATURES]].to_numpy(), high, rtol=1e-6)
    assert after.loc[~after["imputed"], "unlike_training"].isna().all()
    assert imputed.set_index("participant_id")["unlike_training"].to_dict() == {
        f"sub-{i}": "true" if i in (42, 45) else "false" for i in range(40, 48)
    }
    with pytest.warns(nextscan.NextscanWarning, match="8 rows are marked as imputed"):
        again = nextscan.read_cohort("completed.csv")
    assert again.feature_names == cohort.feature_names
    assert list(again.labels) == ["sex"]
    assert run([*command, "--out", "completed.parquet"]) == 0
    marks = pd.read_parquet("completed.parquet").query("imputed")["unlike_training"]
    assert marks.tolist() == (imputed["unlike_training"] == "true").tolist()


def test_impute_says_what_a_visit_without_a_time_stands_for(fitted, capsys):
    time = "not given; draws average over the intervals seen in training"
    assert run(["impute", "model", "table.csv", "--out", "a.csv"]) == 0
    assert f"time:      {time}, 2.5 years on average (use --at-years 2.5 for a time)\n" in capsys.readouterr().out
    cohort = nextscan.read_cohort("table.csv")
    nextscan.MeanChange().fit(replace(cohort, years=np.full(cohort.n_visits, np.nan))).save("other")
    assert run(["impute", "other", "table.csv", "--out", "b.csv"]) == 0
    assert f"time:      {time} (use --at-years 2.5 for a time)\n" in capsys.readouterr().out


def test_impute_warns_of_times_that_training_did_not_see(fitted, capsys):
    cohort = nextscan.read_cohort("table.csv")
    nextscan.Ridge().fit(cohort).save("near")
    assert run(["impute", "near", "table.csv", "--at-years", "30", "--out", "a.csv"]) == 0
    assert "are 30 years from the scan, training saw" in " ".join(capsys.readouterr().err.split())
    nextscan.Ridge().fit(replace(cohort, years=np.full(cohort.n_visits, np.nan))).save("timeless")
    assert run(["impute", "timeless", "table.csv", "--at-years", "2", "--out", "b.csv"]) == 0
    assert "was fitted without times" in " ".join(capsys.readouterr().err.split())
    assert run(["impute", "model", "table.csv", "--at-years", "2", "--out", "c.csv"]) == 0
    assert "time:" not in capsys.readouterr().out


def test_chunks_do_not_change_what_is_imputed(fitted, monkeypatch):
    command = ["impute", "model", "table.csv", "--draws", "20", "--save-draws"]
    assert run([*command, "d.parquet", "--out", "a.csv"]) == 0
    monkeypatch.setattr("nextscan.cli.impute_tables._CHUNK_BYTES", 1)
    assert run([*command, "e.parquet", "--out", "b.csv"]) == 0
    assert (fitted / "a.csv").read_text() == (fitted / "b.csv").read_text()
    draws, again = (
        pd.read_parquet(name).sort_values(["subject", "draw"], ignore_index=True) for name in ("d.parquet", "e.parquet")
    )
    pd.testing.assert_frame_equal(draws, again)
    assert list(draws.columns) == ["subject", "visit", "years", "draw", *FEATURES]
    assert len(draws) == 6 * 20
    assert draws.groupby("subject")["draw"].apply(list).map(lambda n: n == list(range(1, 21))).all()


@pytest.mark.parametrize("more", [["--suffix", "T1w"], ["--html", "look.html"]])
def test_impute_refuses_for_tables_what_is_for_images(fitted, capsys, more):
    assert run(["impute", "model", "table.csv", "--out", "completed.csv", *more]) == 2
    assert f"{' '.join(more)} is for images, and this model imputes tables: leave it out" in capsys.readouterr().err
    assert names(fitted) == {"table.csv", "model"}


def test_impute_at_chosen_times(fitted):
    assert run(["impute", "model", "table.csv", "--at-years", "1,4.5", "--out", "later.parquet"]) == 0
    later = pd.read_parquet("later.parquet")
    assert len(later) == len(good_table()) + 2 * 18
    paired = later[later["imputed"] & (later["participant_id"] == "sub-00")]
    assert paired["years"].tolist() == [3.5, 7.0]


def test_impute_before_the_last_scan(fitted, capsys):
    nextscan.MixedFactor(n_factors=1, n_slopes=0, unpaired="use").fit(nextscan.read_cohort("table.csv")).save("both")
    assert run(["impute", "both", "table.csv", "--at-years=-1,2", "--out", "a.csv"]) == 0
    assert run(["impute", "both", "table.csv", "--at-years", "-1,2", "--out", "b.csv"]) == 0
    assert (fitted / "a.csv").read_text() == (fitted / "b.csv").read_text()
    completed = pd.read_csv("a.csv")
    asked = completed[completed["imputed"] & (completed["participant_id"] == "sub-00")]
    assert asked["years"].tolist() == [1.5, 4.5]
    capsys.readouterr()
    assert run(["impute", "model", "table.csv", "--at-years=-1,2", "--out", "c.csv"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_method_that_does_not_use_time_leaves_yearly_change_empty(fitted, capsys):
    assert run(["impute", "model", "table.csv", "--at-years", "1,5", "--out", "later.csv"]) == 0
    later = pd.read_csv("later.csv")
    assert later[[f"{name}__annual_percent" for name in FEATURES]].isna().all(axis=None)
    assert later.loc[later["imputed"], [f"{name}__low" for name in FEATURES]].notna().all(axis=None)
    said = capsys.readouterr().err
    assert "warning: feature-regression does not use time: its prediction is the same at every time" in said


def test_a_method_that_uses_time_tells_yearly_change(folder, capsys, monkeypatch):
    monkeypatch.setattr(nextscan.Ridge, "uses_time", True, raising=False)
    assert run(["fit", "table.csv", "--method", "ridge", "--out", "model"]) == 0
    assert run(["impute", "model", "table.csv", "--at-years", "1,5", "--out", "later.csv"]) == 0
    later = pd.read_csv("later.csv").query("imputed")
    assert later[[f"{name}__annual_percent" for name in FEATURES]].notna().all(axis=None)
    assert "does not use time" not in capsys.readouterr().err


EVALUATE = ["evaluate", "table.csv", "--methods", "ridge", "--folds", "3", "--draws", "20", "--out", "run"]


@pytest.fixture
def no_page(monkeypatch):
    """Leave out the page, which takes longest, where a test is not about it."""
    monkeypatch.setattr("nextscan.report.write_report", lambda run, **_: run / "report.html")


def test_evaluate_writes_a_run_folder_and_a_report(folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["/usr/bin/nextscan", *EVALUATE])
    assert run(EVALUATE) == 0
    shown = capsys.readouterr().out
    assert [line.split()[0] for line in shown.splitlines()[-7:]] == [
        *pd.read_csv("run/scores.csv", dtype=str)
        .query("metric == 'energy_score' and seed == 'all' and repeat == 'all' and fold == 'all'")
        .astype({"value": float})
        .sort_values("value")["method"],
        "scores:",
        "report:",
    ]
    assert (folder / "run" / "report.html").stat().st_size > 10_000
    record = json.loads((folder / "run" / "run.json").read_text())
    assert record["settings"]["n_folds"] == 3
    assert record["command"] == "nextscan " + " ".join(EVALUATE)
    (folder / "run" / "report.html").unlink()
    assert run(["report", "run"]) == 0
    assert capsys.readouterr().out == "report: run/report.html\n"
    assert (folder / "run" / "report.html").is_file()


def test_evaluate_again_goes_on_from_what_is_there(folder, capsys, no_page):
    assert run(EVALUATE) == 0
    first = capsys.readouterr().out
    jobs = {path.name: path.stat().st_mtime_ns for path in (folder / "run" / "jobs").iterdir()}
    assert run(EVALUATE) == 0
    assert capsys.readouterr().out == first
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "run" / "jobs").iterdir()} == jobs


@pytest.mark.minutes
def test_a_method_that_fails_is_told_and_the_others_are_scored(folder, capsys, no_page):
    good_table().query("participant_id < 'sub-10'").to_csv("table.csv", index=False)
    assert run([*EVALUATE, "--methods", "secondgram,ridge"]) == 0
    shown = capsys.readouterr()
    assert shown.err.count("note: no row for secondgram: ") == 1
    assert "ridge" in shown.out


def test_demo_goes_through_the_main_job(folder, capsys, no_page, monkeypatch):
    """The commands it shows are those it runs, here on fewer people and with quick methods."""
    monkeypatch.setattr(demo, "simulate", lambda out, **_: simulate(out, subjects=90, features=6, pairs=30))
    monkeypatch.setattr(demo, "evaluate", lambda table, out, **how: evaluate(table, out, **how | {"methods": "ridge"}))
    monkeypatch.setattr(demo, "fit", lambda table, out: fit(table, out, method="mean-change"))
    assert run(["demo", "--out", "tour"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[2] for line in shown.splitlines() if line.startswith("$ nextscan ")] == [
        "simulate",
        "describe",
        "evaluate",
        "fit",
        "impute",
    ]
    assert names(folder / "tour") == {
        *("cohort.parquet", "cohort.law.npz", "cohort.html", "study", "model", "completed.csv", "draws.parquet")
    }
    assert "oracle" in shown
    assert pd.read_csv("tour/completed.csv")["imputed"].sum() == 60
    assert len(pd.read_parquet("tour/draws.parquet")) == 60 * 40
    assert all(f"  tour/{name} " in shown for name in ("study/report.html", "cohort.html", "completed.csv"))


def test_describe_writes_what_was_inferred_and_never_over_a_file(folder, capsys):
    assert run(["describe", "table.csv", "--write-schema", "own.toml"]) == 0
    assert "schema: own.toml" in capsys.readouterr().out
    first, again = nextscan.read_cohort("table.csv"), nextscan.read_cohort("table.csv", "own.toml")
    assert again.fingerprint() == first.fingerprint()
    assert run(["describe", "table.csv", "--write-schema", "own.toml"]) == 2
    assert "is there already" in capsys.readouterr().err

"""Reading run folders: what is aligned with what, and the one line said about damaged ones."""

import json

import numpy as np
import pandas as pd
import pytest

from nextscan.errors import NextscanError, RunFolderError
from nextscan.report.run_folder import featured, read_run


def test_methods_are_in_the_order_of_their_energy_score_with_the_oracle_last(run_folder):
    run = read_run(run_folder)
    energy = run.pooled("energy_score")["value"]
    assert run.methods[-1] == "oracle"
    assert energy["oracle"] == energy.min()
    assert list(energy.iloc[:-1]) == sorted(energy.iloc[:-1])


def test_pooled_scores_leave_out_single_folds(run_folder):
    run = read_run(run_folder)
    table = pd.read_csv(run_folder / "scores.csv")
    assert run.n_single_scores == (table["fold"] != "all").sum() > 0
    row = table[(table["fold"] == "all") & (table["metric"] == "rmse") & (table["method"] == "ridge")].iloc[0]
    assert run.pooled("rmse").loc["ridge"].tolist() == row[["value", "low", "high", "n"]].tolist()


def test_predictions_are_aligned_by_subject_whatever_their_order(new_run):
    folder = new_run()
    path = folder / "predictions.parquet"
    frame = pd.read_parquet(path)
    frame.sample(frac=1, random_state=0).to_parquet(path)
    found = read_run(folder).predictions
    for kind, method, values in (
        ("truth", "", found.truth),
        ("context", "", found.context),
        ("mean", "ridge", found.of("mean", "ridge")),
        ("draw", "oracle", found.of("draw", "oracle")),
    ):
        rows = frame[(frame["kind"] == kind) & (frame["method"] == method)].set_index("subject")
        np.testing.assert_array_equal(values, rows.loc[found.targets["subject"], list(found.feature_names)])
    assert found.of("mean", "nobody") is None


def test_the_visit_shown_last_is_the_context(new_run):
    folder = new_run()
    path = folder / "predictions.parquet"
    frame = pd.read_parquet(path)
    later = frame[frame["kind"] == "context"].iloc[:1].assign(visit="1b", years=0.5, gap=0.1)
    later[later.columns[7]] = 1234.0
    pd.concat([later, frame]).to_parquet(path)
    found = read_run(folder).predictions
    first = found.targets["subject"] == later["subject"].iloc[0]
    assert found.context[first.to_numpy(), 0] == 1234.0
    shown = found.history[found.history["subject"] == later["subject"].iloc[0]]
    assert sorted(shown["visit"]) == ["1", "1b"]


def test_most_changing_features_are_those_of_largest_consistent_change(run_folder):
    found = read_run(run_folder).predictions
    effect = np.abs(found.real_change.mean(axis=0) / found.real_change.std(axis=0))
    assert found.most_changing(3) == list(np.argsort(-effect)[:3])
    expected = found.real_change.mean(axis=0) / found.context.std(axis=0)
    np.testing.assert_allclose(found.mean_change_in_sd, expected, rtol=1e-4)


def test_constant_and_missing_features_have_no_change(new_run):
    folder = new_run()
    path = folder / "predictions.parquet"
    frame = pd.read_parquet(path)
    frame[frame.columns[7]] = 3.0
    frame[frame.columns[8]] = np.nan
    frame.to_parquet(path)
    found = read_run(folder).predictions
    assert np.isnan(found.mean_change_in_sd[:2]).all()
    assert np.isfinite(found.mean_change_in_sd[2:]).all()
    assert not {0, 1} & set(found.most_changing(5))


def test_featured_methods_are_ours_and_the_best_baseline(run_folder):
    run = read_run(run_folder)
    baselines = [method for method in run.methods if method not in ("secondgram", "oracle")]
    assert featured(run) == ["secondgram", baselines[0]]


@pytest.mark.parametrize("name", ["predictions.parquet", "fans.parquet", "calibration.csv", "learning.csv"])
def test_an_optional_file_may_be_missing(new_run, name):
    folder = new_run()
    (folder / name).unlink()
    assert getattr(read_run(folder), name.split(".")[0]) is None


def drop(column):
    def change(path):
        frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
        frame = frame.drop(columns=column)
        frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)

    return change


def edit(path, **columns):
    frame = pd.read_csv(path)
    frame.assign(**columns).to_csv(path, index=False)


SPOILED = {
    "no record": ("run.json", lambda path: path.unlink(), "not found"),
    "empty record": ("run.json", lambda path: path.write_text(""), "cannot be read"),
    "record of something else": ("run.json", lambda path: path.write_text("[1]"), "does not hold the record of a run"),
    "no scores": ("scores.csv", lambda path: path.unlink(), "has not finished"),
    "empty scores": ("scores.csv", lambda path: path.write_text(""), "cannot be read"),
    "binary scores": ("scores.csv", lambda path: path.write_bytes(b"\xff\xfe\x00\x80" * 9), "cannot be read"),
    "column lost": ("scores.csv", drop("low"), "lacks column low"),
    "text in values": ("scores.csv", lambda path: edit(path, value="high"), "column value"),
    "only single folds": ("scores.csv", lambda path: edit(path, fold=1), "no rows pooled"),
    "the same score twice": (
        "scores.csv",
        lambda path: path.write_text(path.read_text() + path.read_text().split("\n", 1)[1]),
        "stands twice",
    ),
    "torn predictions": (
        "predictions.parquet",
        lambda path: path.write_bytes(path.read_bytes()[:500]),
        "cannot be read",
    ),
    "predictions without kind": ("predictions.parquet", drop("kind"), "lacks column kind"),
    "predictions without truth": (
        "predictions.parquet",
        lambda path: pd.read_parquet(path).query("kind != 'truth'").to_parquet(path),
        "lacks the context or the true visit",
    ),
    "truth twice": (
        "predictions.parquet",
        lambda path: pd.concat([pd.read_parquet(path)] * 2).to_parquet(path),
        "stands twice",
    ),
    "fans without a quantile": ("fans.parquet", drop("quantile"), "lacks column quantile"),
    "text in calibration": ("calibration.csv", lambda path: edit(path, coverage="much"), "column coverage"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_damaged_folder_gives_one_line_that_names_the_file(new_run, case):
    name, spoil, said = SPOILED[case]
    folder = new_run()
    spoil(folder / name)
    with pytest.raises(RunFolderError) as caught:
        read_run(folder)
    message = str(caught.value)
    assert name in message
    assert said in message
    assert "\n" not in message


def test_a_missing_folder_gives_one_line(tmp_path):
    with pytest.raises(NextscanError, match="no such folder; give the --out folder"):
        read_run(tmp_path / "nothing")


def test_a_feature_named_na_is_a_name(new_run):
    folder = new_run()
    path = folder / "feature_scores.csv"
    frame = pd.read_csv(path)
    frame.replace({frame["feature"].iloc[0]: "NA"}).to_csv(path, index=False)
    assert "NA" in set(read_run(folder).feature_scores["feature"])


def test_an_unfinished_record_is_read(new_run):
    folder = new_run()
    record = json.loads((folder / "run.json").read_text()) | {"finished": None, "jobs": []}
    (folder / "run.json").write_text(json.dumps(record))
    assert read_run(folder).record["finished"] is None

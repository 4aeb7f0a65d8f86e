"""The table to impute is read by the names of the model, whatever it looks like by itself."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nextscan
from nextscan.cohort import Cohort
from nextscan.cohort.known import spelled
from nextscan.errors import CohortError, NextscanWarning
from nextscan.imputers import load
from nextscan.writing import complete_table

EFFECT = -3.0


def table(n: int, case: object, *, seed: int, visits: int, site: str | None = None) -> pd.DataFrame:
    """Return people whose two volumes fall by 3 in two years if they are cases."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        sick = float(i % 2) if case is None else case
        start = rng.normal(20, 1, 2)
        for visit in range(visits):
            fall = EFFECT * sick * visit if isinstance(sick, float) else 0.0
            values = start + fall + rng.normal(0, 0.05, 2)
            rows.append([f"s{seed}-{i}", visit + 1, 2.0 * visit, sick, site or "AB"[i // 2 % 2], *values])
    return pd.DataFrame(rows, columns=["subject", "visit", "years", "case", "clinic", "left", "right"])


@pytest.fixture
def train(tmp_path: Path) -> Path:
    path = tmp_path / "train.csv"
    table(60, None, seed=1, visits=2).to_csv(path, index=False)
    return path


def patients(folder: Path, **changes: object) -> Path:
    path = folder / "patients.csv"
    table(5, 1.0, seed=2, visits=1).assign(**changes).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("method", ["ridge", pytest.param("mixed-factor", marks=pytest.mark.minutes)])
def test_a_label_that_looks_like_a_feature_is_the_label_it_was_in_training(train: Path, method: str) -> None:
    model = nextscan.make_imputer(method).fit(nextscan.read_cohort(train))
    path = patients(train.parent)
    alone = nextscan.read_cohort(path)
    assert "case" in alone.feature_names  # what the table alone suggests
    for cohort in (alone, nextscan.read_cohort(path, like=model)):
        change = model.impute(cohort, at_years=[2]).mean() - cohort.select_features(["left", "right"]).features
        np.testing.assert_allclose(change.mean(), EFFECT, atol=0.25)


def test_a_model_read_back_knows_the_same_names(train: Path, tmp_path: Path) -> None:
    model = nextscan.Ridge().fit(nextscan.read_cohort(train))
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").known == model.known
    assert dict(model.known.labels) == {"case": (), "clinic": ("A", "B")}


def test_a_label_that_nobody_has_is_refused_unless_it_is_allowed(train: Path) -> None:
    model = nextscan.Ridge().fit(nextscan.read_cohort(train))
    shown = nextscan.read_cohort(patients(train.parent), like=model)
    for without in (replace(shown, labels=shown.labels.drop(columns="case")),
                    replace(shown, labels=shown.labels.assign(case=np.nan))):  # fmt: skip
        with pytest.raises(CohortError, match=r"label case, which the ridge model was fitted with, is .*allow"):
            model.impute(without, at_years=[2])
        with pytest.warns(NextscanWarning, match="case.*everybody is imputed as the average of training"):
            model.impute(without, at_years=[2], missing_labels="warn")


def test_labels_that_some_lack_and_categories_never_seen_are_named(train: Path) -> None:
    model = nextscan.Ridge().fit(nextscan.read_cohort(train))
    path = patients(train.parent, clinic=["A", "B", "C", "C", None], case=[1.0, None, 1.0, 1.0, 1.0])
    shown = nextscan.read_cohort(path, like=model)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model.impute(shown, at_years=[2])
    texts = "\n".join(str(warning.message) for warning in told)
    assert "label case is missing for 1 subject (s2-1)" in texts
    assert "label clinic is missing for 1 subject (s2-4)" in texts
    assert "label clinic has categories that training never saw: C, for 2 subjects" in texts
    assert len(told) == 3


def test_methods_without_labels_ask_for_none(train: Path) -> None:
    model = nextscan.MeanChange().fit(nextscan.read_cohort(train))
    assert not model.known.labels
    shown = nextscan.read_cohort(patients(train.parent, case=np.nan), like=model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.impute(shown, at_years=[2]).mean().shape == (5, 2)


def test_requests_are_visits_without_the_features_of_the_model(train: Path) -> None:
    """Values of other columns make no visit observed, and no column makes a person who lacks all features."""
    model = nextscan.Ridge().fit(nextscan.read_cohort(train))
    path = train.parent / "more.csv"
    frame = table(3, 1.0, seed=2, visits=2).assign(quality=np.linspace(0.1, 0.9, 6))
    frame.loc[frame["visit"] == 2, ["left", "right"]] = np.nan
    frame.loc[frame["subject"] == "s2-2", ["left", "right"]] = np.nan
    frame.to_csv(path, index=False)
    with pytest.warns(NextscanWarning, match="s2-2"):
        result = model.impute(nextscan.read_cohort(path))
    assert result.targets["subject"].tolist() == ["s2-0", "s2-1"]
    assert result.targets["visit"].tolist() == ["2", "2"]


def test_a_feature_that_looks_like_a_label_is_the_feature_it_was(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    frame = table(40, None, seed=1, visits=2).drop(columns=["case", "clinic"])
    frame.assign(lesions=np.arange(80) % 7).to_csv(path, index=False)
    model = nextscan.MeanChange().fit(nextscan.read_cohort(path))
    few = table(30, 0.0, seed=3, visits=1).drop(columns=["case", "clinic"]).assign(lesions=np.arange(30) % 2)
    few.to_csv(tmp_path / "few.csv", index=False)
    shown = nextscan.read_cohort(tmp_path / "few.csv")
    assert "lesions" in shown.labels  # two whole numbers, taken as a label
    assert model.impute(shown, at_years=[1]).context[:, 2].tolist() == (np.arange(30) % 2).tolist()


SPELLED = {"left": "LEFT", "right": "Right"}


def test_features_in_another_spelling_are_the_features_they_were(train: Path, tmp_path: Path) -> None:
    model = nextscan.Ridge().fit(nextscan.read_cohort(train))
    path = patients(tmp_path)
    expected = model.impute(nextscan.read_cohort(path, like=model), at_years=[2])
    frame = pd.read_csv(path).rename(columns=SPELLED)
    frame.to_csv(path, index=False)
    cohort = nextscan.read_cohort(path, like=model)
    (finding,) = (finding for finding in cohort.findings if finding.code == "names-respelled")
    assert (finding.level, finding.columns) == ("note", ("LEFT", "Right"))
    assert "LEFT taken for left, Right taken for right of the ridge model" in finding.text
    np.testing.assert_array_equal(model.impute(cohort, at_years=[2]).mean(), expected.mean())
    with pytest.warns(NextscanWarning, match="LEFT taken for left, Right taken for right of the ridge model"):
        result = model.impute(nextscan.read_cohort(path), at_years=[2])
    np.testing.assert_array_equal(result.mean(), expected.mean())
    made = pd.read_csv(complete_table(path, result, tmp_path / "out.csv", like=model))
    assert made.loc[made["imputed"], "LEFT"].notna().all()
    assert "left" not in made


def test_a_spelling_that_may_be_two_features_is_refused_with_a_cure_that_works(train: Path, tmp_path: Path) -> None:
    model = nextscan.Ridge().fit(nextscan.read_cohort(train))
    path = patients(tmp_path)
    frame = pd.read_csv(path).rename(columns={"left": "LEFT"}).assign(Left=20.0)
    frame.to_csv(path, index=False)
    for read in (lambda: nextscan.read_cohort(path, like=model),
                 lambda: model.impute(nextscan.read_cohort(path), at_years=[2])):  # fmt: skip
        with pytest.raises(CohortError, match="columns LEFT, Left may be left of the ridge model; rename one of them"):
            read()
    frame.rename(columns={"LEFT": "left"}).to_csv(path, index=False)
    assert "names-respelled" not in [f.code for f in nextscan.read_cohort(path, like=model).findings]


@pytest.mark.parametrize(
    ("names", "wanted", "called"),
    [
        (["hippocampus"], ["Hippocampus"], {"hippocampus": "Hippocampus"}),
        (["Left.Hippocampus"], ["Left-Hippocampus"], {"Left.Hippocampus": "Left-Hippocampus"}),
        (["LEFT HIPPOCAMPUS"], ["left_hippocampus"], {"LEFT HIPPOCAMPUS": "left_hippocampus"}),
        (["hippocampus", "Hippocampus"], ["Hippocampus"], {}),
        (["a_1.1", "a_11"], ["a_1-1"], {"a_1.1": "a_1-1"}),
        (["amygdala"], ["Hippocampus"], {}),
    ],
)
def test_names_that_differ_in_case_and_punctuation(names: list[str], wanted: list[str], called: dict) -> None:
    assert spelled(names, wanted, of="the model", where="study.csv") == called


def test_a_pool_in_another_spelling(tmp_path: Path) -> None:
    table(8, None, seed=1, visits=2).to_csv(tmp_path / "main.csv", index=False)
    pool = table(8, None, seed=2, visits=1).rename(columns=SPELLED)
    pool.to_csv(tmp_path / "pool.csv", index=False)
    cohort = nextscan.read_cohort(tmp_path / "main.csv", unpaired=tmp_path / "pool.csv")
    assert {"left", "right"} <= set(cohort.feature_names)
    assert cohort.n_subjects == 16
    assert np.isfinite(cohort.features).all()
    assert "names-respelled" in [finding.code for finding in cohort.findings]


def test_the_schema_of_training_need_not_be_given_again(tmp_path: Path) -> None:
    (tmp_path / "schema.toml").write_text(
        'subject = "who"\nmissing = [-7]\n[time]\ncolumn = "months"\nunit = "months"\n[labels.group]\n'
        'column = "arm"\ncodes = {1 = "drug", 2 = "placebo"}\n'
    )
    rng = np.random.default_rng(0)
    rows = [[f"p{i}", 24.0 * v, 1 + i % 2, *rng.normal(10 - v * (i % 2), 0.1, 2)] for i in range(40) for v in (0, 1)]
    columns = ["who", "months", "arm", "a", "b"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "train.csv", index=False)
    train = nextscan.read_cohort(tmp_path / "train.csv", tmp_path / "schema.toml")
    nextscan.Ridge().fit(train).save(tmp_path / "model")
    model = load(tmp_path / "model")
    pd.DataFrame([["new", 0, 2, 10.0, -7]], columns=columns).to_csv(tmp_path / "new.csv", index=False)
    shown = nextscan.read_cohort(tmp_path / "new.csv", like=model)
    assert shown.labels["group"].tolist() == ["placebo"]
    assert np.isnan(shown.features[0, 1])
    assert model.impute(shown, at_years=[2]).mean()[0, 0] == pytest.approx(9, abs=0.3)


def test_the_dictionary_of_training_need_not_be_given_again(tmp_path: Path) -> None:
    (tmp_path / "fields.tsv").write_text("FieldID\tField\n25011\tVolume of thalamus (left)\n25012\tOf another\n")
    head = "eid,53-2.0,53-3.0,25011-2.0,25011-3.0\n"
    body = "".join(f"{i},2015-01-0{i},2017-01-0{i},{7000 + 90 * i},{6900 + 91 * i}\n" for i in range(1, 8))
    (tmp_path / "train.csv").write_text(head + body)
    cohort = nextscan.read_cohort(tmp_path / "train.csv", dictionary=tmp_path / "fields.tsv")
    assert dict(cohort.reading) == {"dictionary": {"titles": {"25011": "Volume of thalamus (left)"}}}
    model = nextscan.MeanChange().fit(cohort)
    (tmp_path / "new.csv").write_text(head + "9,2016-01-01,,7100,\n")
    shown = nextscan.read_cohort(tmp_path / "new.csv", like=model)
    assert shown.feature_names == ("Volume of thalamus (left)",)


def test_a_remembered_schema_that_does_not_fit_says_whose_it_is(tmp_path: Path, cohort: Cohort) -> None:
    model = nextscan.MeanChange().fit(replace(cohort, reading={"schema": {"subject": "RID"}}))
    (tmp_path / "new.csv").write_text("id,a\n1,2\n")
    with pytest.raises(nextscan.NextscanError, match=r"the schema the mean-change model was fitted with, subject"):
        nextscan.read_cohort(tmp_path / "new.csv", like=model)

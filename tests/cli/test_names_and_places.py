"""What `impute` asks of a table, and what commands never write over."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nextscan.cli.main import run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a training table, patients, and a ridge model: cases lose 3 in two years."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [
        [f"s{i}", visit, 2.0 * (visit - 1), float(i % 2), *(rng.normal(20, 1, 2) - 3.0 * (i % 2) * (visit - 1))]
        for i in range(60)
        for visit in (1, 2)
    ]
    table = pd.DataFrame(rows, columns=["subject", "visit", "years", "case", "left", "right"])
    table.loc[table["visit"] == 2, ["left", "right"]] = (
        table.loc[table["visit"] == 1, ["left", "right"]].to_numpy()
        - 3 * table.loc[table["visit"] == 2, ["case"]].to_numpy()
        + rng.normal(0, 0.05, (60, 2))
    )
    table.to_csv("train.csv", index=False)
    patients = [[f"p{i}", 1, 0.0, 1.0, 18.0 + i, 19.0] for i in range(4)]
    pd.DataFrame(patients, columns=table.columns).to_csv("patients.csv", index=False)
    assert run(["fit", "train.csv", "--method", "ridge", "--out", "model"]) == 0
    return tmp_path


def test_patients_are_imputed_as_patients(folder: Path) -> None:
    assert run(["impute", "model", "patients.csv", "--at-years", "2", "--out", "out.csv"]) == 0
    made = pd.read_csv("out.csv")
    change = made.loc[made["imputed"], "left"].to_numpy() - [18, 19, 20, 21]
    np.testing.assert_allclose(change, -3, atol=0.25)
    assert made.loc[~made["imputed"], "case"].tolist() == [1.0] * 4


def test_a_label_that_is_not_there_stops_or_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pd.read_csv("patients.csv").drop(columns="case").to_csv("bare.csv", index=False)
    command = ["impute", "model", "bare.csv", "--at-years", "2", "--out", "out.csv"]
    assert run(command) == 2
    assert "label case, which the ridge model was fitted with, is not in the table" in capsys.readouterr().err
    assert not Path("out.csv").exists()
    assert run([*command, "--allow-missing-labels"]) == 0
    assert "everybody is imputed as the average of training" in capsys.readouterr().err


def test_what_is_read_is_never_written_to(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("patients.csv").read_bytes()
    for option in ("--out", "--save-draws"):
        others = [] if option == "--out" else ["--out", "out.csv"]
        assert run(["impute", "model", "patients.csv", option, "patients.csv", *others, "--overwrite"]) == 2
        assert "patients.csv: is read by this command" in capsys.readouterr().err
    assert Path("patients.csv").read_bytes() == before


def test_files_of_others_are_kept_and_our_own_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("notes.csv").write_text("mine\n")
    command = ["impute", "model", "patients.csv", "--at-years", "2", "--out"]
    assert run([*command, "notes.csv"]) == 2
    assert "notes.csv: is there already, and was not written by nextscan" in capsys.readouterr().err
    assert Path("notes.csv").read_text() == "mine\n"
    assert run([*command, "notes.csv", "--overwrite"]) == 0
    assert run([*command, "notes.csv"]) == 0  # ours now


def test_a_model_of_another_method_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = Path("model/model.json").read_text()
    assert run(["fit", "train.csv", "--method", "mean-change", "--out", "model"]) == 2
    assert "model: holds a fitted ridge model, and this one is mean-change" in capsys.readouterr().err
    assert Path("model/model.json").read_text() == before
    assert run(["fit", "train.csv", "--method", "mean-change", "--out", "model", "--overwrite"]) == 0


def test_evaluate_leaves_the_folder_of_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("theirs").mkdir()
    Path("theirs/thesis.docx").write_text("")
    assert run(["evaluate", "train.csv", "--methods", "ridge", "--folds", "2", "--out", "theirs"]) == 2
    assert "theirs: is not empty, and holds no evaluation" in capsys.readouterr().err
    assert [path.name for path in Path("theirs").iterdir()] == ["thesis.docx"]


def test_two_outputs_have_two_places(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["impute", "model", "patients.csv", "--at-years", "2", "--out", "out.csv", "--save-draws", "./out.csv"]
    assert run(command) == 2
    assert "--save-draws out.csv: is the place of --out as well" in capsys.readouterr().err
    assert not Path("out.csv").exists()


def test_spellings_of_a_category_that_training_saw_are_not_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = pd.read_csv("train.csv").assign(
        sex=lambda t: np.where(t["subject"].str[1:].astype(int) % 3 == 0, "Male", "Female")
    )
    train.assign(site=lambda t: t["subject"].str[1:].astype(int) % 2 + 11).to_csv("sexes.csv", index=False)
    assert run(["fit", "sexes.csv", "--method", "ridge", "--out", "sexes"]) == 0
    pd.read_csv("patients.csv").assign(sex=["M", "F", "f", "male"], site=["011", "12", "11.0", "13"]).to_csv(
        "people.csv", index=False
    )
    capsys.readouterr()
    assert run(["impute", "sexes", "people.csv", "--at-years", "2", "--out", "out.csv"]) == 0
    said = capsys.readouterr().err
    assert "label sex" not in said
    assert "label site has categories that training never saw: 13, for 1 subject" in said

"""Model folders: whole or not at all, and any change to them is noticed."""

import json
from pathlib import Path

import numpy as np
import pytest

from nextscan import FeatureRegression, load
from nextscan.errors import FeatureMismatchError, ModelFolderError, NotFittedError, OutputError
from samples import tiny_cohort


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    FeatureRegression().fit(tiny_cohort()).save(tmp_path / "model")
    return tmp_path / "model"


def test_round_trip(folder: Path) -> None:
    cohort = tiny_cohort()
    expected = FeatureRegression().fit(cohort).impute(cohort, 3, seed=5)
    np.testing.assert_array_equal(load(folder).impute(cohort, 3, seed=5).draws, expected.draws)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["model"]


def test_saving_again_replaces_the_folder(folder: Path) -> None:
    FeatureRegression().fit(tiny_cohort(seed=4)).save(folder)
    assert load(folder).record_["seed"] == 0
    assert sorted(path.name for path in folder.parent.iterdir()) == ["model"]


def test_will_not_replace_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="is not a model folder"):
        FeatureRegression().fit(tiny_cohort()).save(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_unfitted_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        FeatureRegression().save(tmp_path / "model")


@pytest.mark.parametrize("name", ["model.json", "arrays.safetensors"])
@pytest.mark.parametrize("change", ["missing", "truncated", "changed"])
def test_damage_is_noticed(folder: Path, name: str, change: str) -> None:
    file = folder / name
    content = bytearray(file.read_bytes())
    if change == "missing":
        file.unlink()
    elif change == "truncated":
        file.write_bytes(content[:-30])
    else:
        content[-20 if name != "model.json" else content.index(b'"seed": 0') + 8] ^= 1
        file.write_bytes(content)
    with pytest.raises(ModelFolderError, match=name.split(".")[0] if change != "truncated" else "model"):
        load(folder)


def test_other_format_is_named(folder: Path) -> None:
    document = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(document | {"format": 99}))
    with pytest.raises(ModelFolderError, match="model format 99"):
        load(folder)


def test_features_and_units_must_fit(folder: Path) -> None:
    from dataclasses import replace

    cohort = tiny_cohort()
    with pytest.raises(FeatureMismatchError, match="lacks 1 of the 6 features the model was fitted on: feature-2"):
        load(folder).impute(cohort.select_features([f"feature-{i}" for i in (0, 1, 3, 4, 5)]))
    with pytest.raises(FeatureMismatchError, match="feature-0 is in ml, the model was fitted in mm3"):
        load(folder).impute(replace(cohort, units={"feature-0": "ml"}))

"""Small tables, good and bad, and a fitted model, written into the folder of a case."""

import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

Maker = Callable[[Path], object]


def good_table(n_paired: int = 12, n_single: int = 6) -> pd.DataFrame:
    """Return a long table without a fault: two visits of most subjects, one of the others."""
    generator = np.random.default_rng(7)
    visits_of = [2] * n_paired + [1] * n_single
    rows = [(f"sub-{i:02d}", visit + 1) for i, n in enumerate(visits_of) for visit in range(n)]
    table = pd.DataFrame(rows, columns=["participant_id", "visit"])
    person = table["participant_id"].str[-2:].astype(int).to_numpy()
    table["years"] = np.where(table["visit"] == 2, 2.5, 0.0)
    table["sex"] = np.where(person % 2, "M", "F")
    for k, name in enumerate(["lh_hippocampus", "rh_hippocampus", "lh_thickness", "rh_thickness"]):
        level = (3000, 3100, 2.5, 2.6)[k]
        table[name] = level * (1 + 0.01 * np.sin(person + k) + 0.003 * generator.normal(size=len(rows)))
    return table


def good(folder: Path) -> None:
    """Write the good table."""
    good_table().to_csv(folder / "table.csv", index=False)


def nothing(_folder: Path) -> None:
    """Write nothing."""


def text(content: str, name: str = "table.csv") -> Maker:
    return lambda folder: (folder / name).write_text(content)


def raw(content: bytes, name: str = "table.csv") -> Maker:
    return lambda folder: (folder / name).write_bytes(content)


def both(*makers: Maker) -> Maker:
    return lambda folder: [make(folder) for make in makers]


def changed(change: Callable[[pd.DataFrame], pd.DataFrame], name: str = "table.csv") -> Maker:
    """Return a maker of the good table after a change."""
    return lambda folder: change(good_table()).to_csv(folder / name, index=False)


def cell(column: str, row: int, value: object) -> Maker:
    """Return a maker of the good table with one other cell."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table[column] = table[column].astype(object)
        table.loc[row, column] = value
        return table

    return changed(change)


def without(*columns: str) -> Maker:
    return changed(lambda table: table.drop(columns=list(columns)))


def schema(content: str) -> Maker:
    """Return a maker of the good table with a schema beside it that must be asked for."""
    return both(good, text(content, "schema.toml"))


def cut(name: str, keep: float = 0.5) -> Maker:
    """Return a maker that cuts a file short, as a broken copy does."""

    def make(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(keep * len(content))])

    return make


def parquet(folder: Path) -> None:
    good_table().to_parquet(folder / "table.parquet")


def without_file(name: str) -> Maker:
    return lambda folder: (folder / name).unlink()


@functools.cache
def _fitted(conformal: bool = False) -> dict[str, bytes]:
    from nextscan import FeatureRegression, read_cohort

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good(folder)
        (folder / "table.toml").write_text('[units]\n"*_hippocampus" = "mm3"\n')
        cohort = read_cohort(folder / "table.csv")
        fitted = FeatureRegression().fit(cohort)
        (fitted.calibrate(cohort) if conformal else fitted).save(folder / "model")
        return {path.name: path.read_bytes() for path in (folder / "model").iterdir()}


def model(folder: Path, *, conformal: bool = False) -> None:
    """Write the good table and the folder of a model fitted on it."""
    good(folder)
    (folder / "model").mkdir()
    for name, content in _fitted(conformal).items():
        (folder / "model" / name).write_bytes(content)


def calibrated(folder: Path) -> None:
    """Write the good table and a model fitted and calibrated on it."""
    model(folder, conformal=True)


def document(change: Callable[[dict[str, object]], object]) -> Maker:
    """Return a maker that changes the model's JSON document."""

    def make(folder: Path) -> None:
        path = folder / "model" / "model.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return make

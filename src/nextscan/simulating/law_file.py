"""Laws beside the cohorts drawn from them, and recipes of laws never written."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import numpy as np

from nextscan.arrays import read_npz
from nextscan.atomic import atomic_path
from nextscan.errors import CohortError
from nextscan.simulating.brains.law import BrainLaw
from nextscan.simulating.features.law import Law
from nextscan.simulating.features.worlds import make_law
from nextscan.simulating.hearts.law import HeartLaw

FORMAT = 1
_RECIPE = "simulated:"
_AGAIN = "simulate the cohort again to have its law beside it"
_AnyLaw = TypeVar("_AnyLaw", Law, BrainLaw, HeartLaw)


def save_law(path: str | Path, law: Law) -> None:
    """Write a law to an ``.npz`` file, whole or not at all; read it with `load_law`.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    _write(path, {"format": FORMAT}, law.state(), np.savez)


def save_brain_law(path: str | Path, law: BrainLaw) -> None:
    """Write the law of simulated brains as `save_law` does; read it with `load_brain_law`."""
    _write(path, {"format": FORMAT, "kind": "brains"}, law.state(), np.savez_compressed)


def save_heart_law(path: str | Path, law: HeartLaw) -> None:
    """Write the law of simulated hearts as `save_law` does; read it with `load_heart_law`."""
    _write(path, {"format": FORMAT, "kind": "hearts"}, law.state(), np.savez_compressed)


def recipe(law: Law) -> str:
    """Return `Cohort.law` of a cohort that was never written: how to make its law again.

    >>> recipe(make_law("linear", n_features=20, seed=1))
    'simulated:world=linear&n_features=20&seed=1'
    """
    return _RECIPE + urlencode({"world": law.world, "n_features": len(law.feature_names), "seed": law.seed})


def load_law(law: str | Path) -> Law:
    """Read a law from the file `save_law` wrote, or make it again from its recipe.

    Parameters
    ----------
    law : path or str
        `Cohort.law` of a simulated cohort.

    Raises
    ------
    CohortError
        If the file is missing, damaged or of another version.
    """
    if str(law).startswith(_RECIPE):
        return _from_recipe(str(law))
    return _read(law, Law.from_state, of="a simulated cohort")


def load_brain_law(path: str | Path) -> BrainLaw:
    """Read the law of a cohort of simulated brains.

    Raises
    ------
    CohortError
        If the file is missing, damaged, of another kind or of another version.
    """
    return _read(path, BrainLaw.from_state, of="simulated brains", kind="brains")


def load_heart_law(path: str | Path) -> HeartLaw:
    """Read the law of a cohort of simulated hearts.

    Raises
    ------
    CohortError
        If the file is missing, damaged, of another kind or of another version.
    """
    return _read(path, HeartLaw.from_state, of="simulated hearts", kind="hearts")


def _from_recipe(text: str) -> Law:
    try:
        parts = dict(parse_qsl(text.removeprefix(_RECIPE), strict_parsing=True))
        return make_law(parts["world"], n_features=int(parts["n_features"]), seed=int(parts["seed"]))
    except (KeyError, ValueError) as error:
        raise CohortError(f"{text}: is not the recipe of a law; {_AGAIN}") from error


def _write(path: str | Path, marks: dict[str, Any], state: dict[str, Any], save: Callable[..., None]) -> None:
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    document = marks | {name: value for name, value in state.items() if name not in arrays}
    with atomic_path(path) as beside, beside.open("wb") as file:
        save(file, allow_pickle=False, document=np.array(json.dumps(document)), **arrays)


def _read(path: str | Path, make: Callable[[dict[str, Any]], _AnyLaw], *, of: str, kind: str = "") -> _AnyLaw:
    try:
        arrays = read_npz(path)
        document = json.loads(str(arrays.pop("document")))
        if kind and (found := document.pop("kind", "a table")) != kind:
            raise CohortError(f"{path}: is the law of {found}, not of {of}; give a folder of {kind}")
        if document.pop("format") != FORMAT:
            raise CohortError(f"{path}: is the law of another version of nextscan; {_AGAIN}")
        return make({**document, **arrays})
    except FileNotFoundError as error:
        raise CohortError(f"{path}: there is no law of {of}; {_AGAIN}") from error
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise CohortError(f"{path}: is damaged, or not the law of {of}; {_AGAIN}") from error

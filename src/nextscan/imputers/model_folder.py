"""Model folders: settings and small things in JSON, arrays in safetensors, never pickle."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from nextscan.atomic import atomic_folder
from nextscan.errors import ModelFolderError, OutputError

FORMAT = 2
_ARRAY = "__array__"


def write_model(path: Path, *, name: str, params: dict[str, Any], state: dict[str, Any]) -> None:
    """Write a model folder, whole or not at all.

    Raises
    ------
    OutputError
        If the folder cannot be written, or something that is no model folder is in its place.
    """
    from safetensors.numpy import save

    check_model_place(path)
    arrays: dict[str, np.ndarray] = {}
    document = {"format": FORMAT, "name": name, "params": params, "state": split_state(state, "", arrays)}
    blob = save({key: np.ascontiguousarray(value) for key, value in arrays.items()})
    document["arrays_sha256"] = hashlib.sha256(blob).hexdigest()
    document["sha256"] = _checksum(document)
    with atomic_folder(path, what="the model folder") as beside:
        (beside / "arrays.safetensors").write_bytes(blob)
        (beside / "model.json").write_text(json.dumps(document, indent=1) + "\n")


def check_model_place(path: Path) -> None:
    """Refuse to replace anything but a model folder.

    Raises
    ------
    OutputError
    """
    if path.exists() and not (path / "model.json").is_file():
        raise OutputError(f"{path}: exists and is not a model folder; choose another place or remove it")


def method_in(path: Path) -> str | None:
    """Return the name of the method whose model a folder holds; None if it holds none that can be told."""
    try:
        document = json.loads((path / "model.json").read_text())
        return str(document["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def load(path: str | Path) -> Any:
    """Read a fitted `Imputer` or `VolumeImputer` from the folder its `save` wrote.

    Raises
    ------
    ModelFolderError
        If the folder is missing, truncated, tampered with or of another version.
    """
    from safetensors.numpy import load as load_arrays

    from nextscan.imputers.registry import make_imputer

    path = Path(path)
    again = "save the model again, or take an untouched copy"
    try:
        document = json.loads((path / "model.json").read_text())
        blob = (path / "arrays.safetensors").read_bytes()
    except FileNotFoundError as error:
        missing = Path(error.filename)
        raise ModelFolderError(f"{missing}: not found; {path} is not a whole model folder; {again}") from error
    except (OSError, ValueError) as error:
        raise ModelFolderError(f"{path}: cannot be read as a model folder ({error}); {again}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else None
        raise ModelFolderError(
            f"{path}: model format {found!r} is not {FORMAT}; load it with the version that saved it"
        )
    if document.get("sha256") != _checksum(document):
        raise ModelFolderError(f"{path / 'model.json'}: was changed after it was saved; {again}")
    if document["arrays_sha256"] != hashlib.sha256(blob).hexdigest():
        raise ModelFolderError(f"{path / 'arrays.safetensors'}: truncated or changed after it was saved; {again}")
    arrays = load_arrays(blob)
    state = join_state(document["state"], arrays)
    # JSON knows no tuples; settings hold no lists.
    params = {key: tuple(value) if isinstance(value, list) else value for key, value in document["params"].items()}
    model = make_imputer(document["name"], **params)
    model._take_saved(state)
    return model


def _checksum(document: dict[str, Any]) -> str:
    body = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def split_state(state: Any, where: str, arrays: dict[str, np.ndarray]) -> Any:
    """Return nested dicts and lists with arrays moved into `arrays`, each under its place."""
    if isinstance(state, np.ndarray):
        arrays[where] = state
        return {_ARRAY: where}
    if isinstance(state, dict):
        return {
            str(key): split_state(value, f"{where}/{key}" if where else str(key), arrays)
            for key, value in state.items()
        }
    if isinstance(state, list | tuple):
        return [split_state(value, f"{where}/{i}", arrays) for i, value in enumerate(state)]
    if isinstance(state, np.generic):
        return state.item()
    return state


def join_state(state: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Undo `split_state`."""
    if isinstance(state, dict):
        if set(state) == {_ARRAY}:
            return arrays[state[_ARRAY]]
        return {key: join_state(value, arrays) for key, value in state.items()}
    if isinstance(state, list):
        return [join_state(value, arrays) for value in state]
    return state

"""One file that holds the whole state of training, replaced at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from nextscan.atomic import atomic_path
from nextscan.errors import TrainingError


def write_checkpoint(path: Path, fingerprint: str, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> None:
    """Write beside, flush to the disk, rename: after a crash the old or the new file is there, whole."""
    from safetensors.torch import save_file

    metadata = {"fingerprint": fingerprint, "document": json.dumps(document)}
    whole = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    with atomic_path(path) as beside:
        save_file(whole, beside, metadata=metadata)


def read_checkpoint(path: Path, fingerprint: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_checkpoint` wrote.

    Raises
    ------
    TrainingError
        If the file is damaged, or was written for other data or settings.
    """
    from safetensors import SafetensorError, safe_open

    remedy = "remove it to train from the start"
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{path}: cannot be read as a checkpoint ({error}); {remedy}") from error
    if metadata.get("fingerprint") != fingerprint:
        raise TrainingError(f"{path}: this checkpoint was written for other data, settings or seeds; {remedy}")
    return tensors, json.loads(metadata["document"])

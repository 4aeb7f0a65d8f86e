"""What `run.json` says: how a run came about, for the person who has to repeat it."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import nextscan
from nextscan.atomic import write_text
from nextscan.cohort import Cohort
from nextscan.errors import SettingError
from nextscan.study.jobs import JobResult, Outcome
from nextscan.study.plan import Job, Plan

_LIBRARIES = ("numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "scoringrules", "joblib", "torch")


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def run_record(cohort: Cohort, plan: Plan, *, command: str, started: str) -> dict[str, Any]:
    """Return what is known before the first job."""
    return {
        "versions": {"nextscan": nextscan.__version__, "python": platform.python_version(), **_versions()},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cpus": os.cpu_count()},
        "command": command,
        "settings": plan.settings,
        "seeds": list(plan.seeds),
        "cohort": {
            "name": cohort.name,
            "source": cohort.source,
            "n_subjects": cohort.n_subjects,
            "n_paired": int(cohort.is_paired.sum()),
            "n_visits": cohort.n_visits,
            "n_features": cohort.n_features,
            "fingerprint": plan.fingerprint,
            "simulated": bool(cohort.law),
            "notes": list(cohort.notes),
        },
        "methods": {name: imputer.get_params() for name, imputer in plan.methods.items()},
        "requested": list(plan.requested),
        "started": started,
        "finished": None,
        "failed": [],
        "jobs": [],
    }


def job_record(job: Job, result: JobResult) -> dict[str, Any]:
    """Return the entry of a finished job, without learning curves: they have a table of their own."""
    record = _without_curves(result.record["record"])
    return job.place | result.record | {"record": record}


def _without_curves(record: Mapping[str, Any]) -> dict[str, Any]:
    """Leave learning curves out, also those of what was trained later."""
    kept = {name: value for name, value in record.items() if name != "learning"}
    return {name: _without_curves(value) if isinstance(value, dict) else value for name, value in kept.items()}


def failures(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """Return method, repeat, fold and the one line of each failure."""
    return [{"method": o.method, "repeat": o.repeat, "fold": o.fold, "error": o.error} for o in outcomes if o.error]


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write `run.json`."""
    write_text(path, json.dumps(record, indent=1, default=str) + "\n")


def check_folder(path: Path, plan: Plan) -> None:
    """Refuse a folder that holds something else, or an evaluation whose results cannot stand beside these.

    Raises
    ------
    SettingError
    """
    try:
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
        theirs = {**record["settings"], "fingerprint": record["cohort"]["fingerprint"]}
    except (FileNotFoundError, NotADirectoryError):
        if path.is_dir() and any(path.iterdir()):
            raise SettingError(
                f"{path}: is not empty, and holds no evaluation; give another folder, or an empty one"
            ) from None
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{path / 'run.json'}: is no record of an evaluation; give another folder") from error
    for name, ours in ({"shown": None} | plan.identity).items():
        if theirs.get(name) != ours:
            what = "another cohort" if name == "fingerprint" else f"{name}={theirs.get(name)}, not {ours}"
            raise SettingError(
                f"{path}: holds an evaluation of {what}; results would not be comparable: give another folder, "
                "or the settings of before"
            )


def _versions() -> dict[str, str]:
    found = {}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found

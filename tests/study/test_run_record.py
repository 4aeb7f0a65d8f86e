"""What `run.json` says and which folders are refused."""

import json
import platform
from pathlib import Path

import pytest

import nextscan
from nextscan.errors import SettingError
from nextscan.study.plan import Plan
from nextscan.study.run_record import check_folder, run_record, write_record
from samples import tiny_cohort

SETTINGS = {"n_folds": 3, "repeats": 1, "seeds": 1, "draws": 9, "seed": 0, "save_draws": False}


def write(folder: Path, n_paired: int = 40, **changes: int) -> Plan:
    cohort = tiny_cohort(n_paired)
    plan = Plan.of(cohort, [], **{**SETTINGS, **changes})
    write_record(folder / "run.json", run_record(cohort, plan, command="nextscan evaluate", started="now"))
    return plan


def test_record_of_a_run(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    cohort = tiny_cohort()
    assert record["cohort"]["fingerprint"] == cohort.fingerprint()
    assert (record["cohort"]["n_subjects"], record["cohort"]["n_paired"]) == (60, 40)
    assert record["versions"]["nextscan"] == nextscan.__version__
    assert record["settings"]["n_folds"] == 3
    assert record["seeds"] == [1, 2]
    assert record["methods"]["far"] == {"offset": 1.0, "spread": 1.0, "fail_from": 10**9}
    assert record["failed"] == []
    assert record["started"] <= record["finished"]
    assert len(record["jobs"]) == (2 * 2 + 5) * 2 * 3
    job = record["jobs"][0]
    assert (job["method"], job["seed"], job["repeat"], job["fold"]) == ("near", 1, 0, 0)
    assert job["record"]["skipped_fraction"] == pytest.approx(1 / 3)
    assert "learning" not in job["record"]
    assert job["seconds_fit"] >= 0
    assert platform.node() not in json.dumps(record)


def test_folders_that_cannot_be_shared(tmp_path: Path) -> None:
    first = write(tmp_path)
    check_folder(tmp_path, first)
    check_folder(tmp_path / "new", first)
    with pytest.raises(SettingError, match="draws=9, not 10"):
        check_folder(tmp_path, Plan.of(tiny_cohort(), [], **{**SETTINGS, "draws": 10}))
    with pytest.raises(SettingError, match="another cohort"):
        check_folder(tmp_path, Plan.of(tiny_cohort(39), [], **SETTINGS))
    check_folder(tmp_path, Plan.of(tiny_cohort(), ["ridge"], **{**SETTINGS, "repeats": 4, "seeds": 2}))


@pytest.mark.parametrize("content", ["", "[]", '{"settings": {}}'])
def test_a_record_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    plan = write(tmp_path)
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(SettingError, match="is no record of an evaluation"):
        check_folder(tmp_path, plan)

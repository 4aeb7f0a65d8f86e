"""The BIDS validators, where they are: that of npm knows names of raw data alone, that of Deno derivatives, too."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def validator() -> list[str]:
    """Return the command of the BIDS validator, or skip: NEXTSCAN_BIDS_VALIDATOR names its script."""
    given = os.environ.get("NEXTSCAN_BIDS_VALIDATOR")
    node, npx = shutil.which("node"), shutil.which("npx")
    if node is None:
        pytest.skip("Node is not here")
    if given:
        return [node, given]
    if (
        npx
        and subprocess.run([npx, "--no-install", "bids-validator", "--version"], capture_output=True).returncode == 0
    ):
        return [npx, "--no-install", "bids-validator"]
    pytest.skip("bids-validator is not here: npm install bids-validator, or name its script in NEXTSCAN_BIDS_VALIDATOR")


def judged(folder: Path) -> tuple[dict, list[str]]:
    """Return the validator's summary of a data set and the errors it finds."""
    ran = subprocess.run([*validator(), str(folder), "--json"], capture_output=True, text=True)
    answer = json.loads(ran.stdout)
    return answer["summary"], [f"{issue['key']}: {issue['files']}" for issue in answer["issues"]["errors"]]


def judged_as_derivative(folder: Path) -> tuple[dict, list[str]]:
    """Return the summary and the errors of the validator that knows derivatives: pip install bids-validator-deno."""
    command = os.environ.get("NEXTSCAN_BIDS_VALIDATOR_DENO") or shutil.which("bids-validator-deno")
    if command is None:
        pytest.skip("bids-validator-deno is not here: pip install it, or name it in NEXTSCAN_BIDS_VALIDATOR_DENO")
    ran = subprocess.run([command, str(folder), "--format", "json"], capture_output=True, text=True)
    answer = json.loads(ran.stdout)
    wrong = [issue for issue in answer["issues"]["issues"] if issue["severity"] == "error"]
    return answer["summary"], [f"{issue['code']}: {issue.get('location')}" for issue in wrong]

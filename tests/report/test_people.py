"""Pages for others hold no names and no values of single people, unless asked for."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nextscan import describe
from nextscan.cohort import Cohort
from nextscan.report import write_description, write_report
from nextscan.report.people import Pseudonyms
from samples import tiny_cohort


def test_names_in_sentences_become_pseudonyms_and_numbers_stay() -> None:
    hide = Pseudonyms(["A-7", "A-71", "1000042", "12"])
    assert hide("c.csv, row 12: A-71 m12 (and 1000042.) is not A-7; subject 12 has 12 visits") == (
        "c.csv, row 12: person 1 m12 (and person 2.) is not person 3; subject person 4 has 12 visits"
    )
    assert Pseudonyms([])("sub-01") == "sub-01"


def test_names_of_files_are_hidden_with_their_people() -> None:
    hide = Pseudonyms(["sub-001", "sub-002", "S_3"])
    assert hide(
        "Annex/sub-001/ses-01/anat/sub-001_ses-01_T1w.nii.gz (sub-001 ses-01): run git annex get x/S_3_T1w.nii"
    ) == (
        "Annex/person 1/ses-01/anat/person 1_ses-01_T1w.nii.gz (person 1 ses-01): run git annex get x/person 2_T1w.nii"
    )
    assert hide("sub-0012_T1w.nii.gz") == "sub-0012_T1w.nii.gz"


def _real(folder: Path, tmp_path: Path) -> Path:
    """Return the run of a cohort that is not simulated."""
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    record = json.loads((copy / "run.json").read_text())
    record["cohort"]["simulated"] = False
    record["cohort"]["notes"] = ["left out: somebody-17"]
    (copy / "run.json").write_text(json.dumps(record))
    return copy


@pytest.mark.minutes
def test_the_page_of_a_run_names_nobody(run_folder: Path, tmp_path: Path) -> None:
    folder = _real(run_folder, tmp_path)
    names = set(pd.read_parquet(folder / "subject_scores.parquet")["subject"].astype(str))
    text = write_report(folder).read_text()
    assert not any(name in text for name in [*names, "somebody-17"])
    assert 'id="explorer"' not in text
    assert "--individuals" in text
    assert "no names and no values of single people" in text
    whole = write_report(folder, individuals=True).read_text()
    assert 'id="explorer"' in whole
    assert "under their names" in whole


def test_the_page_of_a_description_names_nobody(tmp_path: Path) -> None:
    cohort = _named(tiny_cohort())
    told = describe(cohort).to_dict()
    assert any("person-of-note" in json.dumps(part) for part in (told["findings"], told["tables"]))
    text = write_description(told, tmp_path / "a.html", names=cohort.subjects).read_text()
    assert "person-of-note" not in text
    assert "person-of-note" in write_description(told, tmp_path / "b.html", individuals=True).read_text()


def _named(cohort: Cohort) -> Cohort:
    """Return a cohort in which one visit of somebody with a telling name is far out."""
    from dataclasses import replace

    features = cohort.features.copy()
    features[1] *= 40
    subjects = np.array([f"person-of-note-{i}" for i in range(cohort.n_subjects)])
    return replace(cohort, subjects=subjects, features=features)

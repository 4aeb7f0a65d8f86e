"""The BIDS folder of a simulated cohort of brains: its tables and descriptions, and where it may be written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from nextscan.simulating.brains.law import DIAGNOSES, BrainLaw
from nextscan.simulating.brains.render import REGIONS, TISSUES
from nextscan.simulating.place import check_simulated

LAW = Path("derivatives", "truth", "brains.law.npz")
"""Where in the folder the law lies."""
_BIDS = "1.9.0"
_FILES = ("dataset_description.json", "README", "participants.tsv", "participants.json", "T1w.json")

_README = """\
Simulated brains
================

{n_subjects} simulated people, seen {n_visits} times by a simulated T1-weighted scanner (nextscan simulate brains, seed
{seed}). They have skull, fluid, ventricles, cortex, white matter, deep nuclei, hippocampi and cerebellum of a shape of
their own. They age between visits at rates that depend on age, diagnosis and the present state of their brain, on the
person, and on chance. Nobody here is real.

All visits of a subject lie on one grid, without movement. Brightness is in arbitrary units, white matter being near
1000; each visit has its own smooth bias and its own noise.

derivatives/truth holds what nobody knows of real people: images without noise and bias, label maps, exact volumes of
regions in mm3 (regions.tsv), and the law the cohort was drawn from (brains.law.npz), from which nextscan computes the
best possible prediction.
"""

# all but the law and the volumes are names of BIDS derivatives; bids-validator 1.x knows those of raw data only
_BIDSIGNORE = """\
brains.law.npz
regions.*
*desc-noisefree_*
*dseg.*
"""


def check_place(out: Path) -> None:
    """Refuse to replace anything but a cohort of simulated brains, see `check_simulated`."""
    check_simulated(out, "brains", LAW, lambda name: name in {*_FILES, "derivatives"} or name.startswith("sub-"))


def write_tables(folder: Path, law: BrainLaw) -> None:
    """Write descriptions, the table of people, and each person's table of visits."""
    n_subjects, n_visits = len(law.subjects), len(law.visits)
    by = [{"Name": "nextscan", "Description": f"nextscan simulate brains, seed {law.seed}"}]
    about = {"BIDSVersion": _BIDS, "License": "CC0", "Authors": ["nextscan"], "GeneratedBy": by}
    _write_json(folder / "dataset_description.json", {"Name": "Simulated brains", "DatasetType": "raw", **about})
    (folder / "README").write_text(_README.format(n_subjects=n_subjects, n_visits=n_visits, seed=law.seed))
    people = {
        "participant_id": law.subjects,
        "sex": ["M" if male else "F" for male in law.male],
        "diagnosis": [DIAGNOSES[i] for i in law.diagnosis],
    }
    _write_table(folder / "participants.tsv", pd.DataFrame(people))
    levels = {"CN": "cognitively normal", "MCI": "mild cognitive impairment", "AD": "Alzheimer's disease"}
    sexes = {"F": "female", "M": "male"}
    _write_json(
        folder / "participants.json",
        {
            "sex": {"Description": "sex", "Levels": sexes},
            "diagnosis": {"Description": "diagnosis at every visit", "Levels": levels},
        },
    )
    _write_json(folder / "T1w.json", {"Modality": "MR", "Manufacturer": "simulated"})
    for i, subject in enumerate(law.subjects):
        of = law.subject_of == i
        (folder / subject).mkdir()
        visits = pd.DataFrame({"session_id": law.visits[of], "age": law.age[of]})
        _write_table(folder / subject / f"{subject}_sessions.tsv", visits)
        age = {"Description": "age at the visit", "Units": "year"}
        _write_json(folder / subject / f"{subject}_sessions.json", {"age": age})

    truth = (folder / LAW).parent
    truth.mkdir(parents=True)
    name = {"Name": "Truth of the simulated brains", "DatasetType": "derivative"}
    _write_json(truth / "dataset_description.json", {**name, **about})
    (truth / ".bidsignore").write_text(_BIDSIGNORE)
    region_of = {tissue: region for region, tissues in REGIONS.items() for tissue in tissues}
    labels = [
        {"index": number, "name": tissue, "color": colour, "region": region_of.get(tissue, "n/a")}
        for number, (tissue, (colour, _)) in enumerate(TISSUES.items())
    ]
    _write_table(truth / "dseg.tsv", pd.DataFrame(labels))
    _write_json(truth / "desc-noisefree_T1w.json", {"SkullStripped": False, "Description": "without noise and bias"})
    volumes = {region: {"Description": " + ".join(parts), "Units": "mm^3"} for region, parts in REGIONS.items()}
    _write_json(truth / "regions.json", volumes)


def write_regions(folder: Path, law: BrainLaw, volumes: list[dict[str, float]]) -> None:
    """Write the true volumes of regions, one row per visit."""
    names = pd.DataFrame({"participant_id": law.subjects[law.subject_of], "session_id": law.visits})
    table = pd.concat([names, pd.DataFrame(volumes)], axis=1)
    table.to_csv((folder / LAW).with_name("regions.tsv"), sep="\t", index=False, float_format="%.3f")


def image_path(folder: Path, subject: str, visit: str, kind: str) -> Path:
    """Return where an image lies: ``T1w`` in the raw part, ``desc-noisefree_T1w`` or ``dseg`` in the truth."""
    root = folder if kind == "T1w" else (folder / LAW).parent
    return root / subject / visit / "anat" / f"{subject}_{visit}_{kind}.nii.gz"


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n")


def _write_table(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, sep="\t", index=False)

"""The corpus of bad films: what is wrong with a folder or table of them, and what must be said."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cine_samples import AFFINE, SHAPE, acdc, film, mnms, mnms2, plain
from nextscan.images.files import write_image

Maker = Callable[[Path], object]
ERROR, FINDING = "error", "finding"
P1 = "hearts/training/patient001"
INFO = f"{P1}/Info.cfg"
MNMS_TABLE = "mnms/211230_M&Ms_Dataset_information_diagnosis_opendataset.csv"
M1 = "mnms/Training/Labeled/A0S9V9/A0S9V9"
S1 = "mnms2/dataset/001/001"


@dataclass(frozen=True)
class FilmCase:
    """One bad cohort of films.

    Attributes
    ----------
    name : str
    make : callable
        Spoils the good folders ``hearts`` (ACDC), ``mnms``, ``mnms2`` and ``films`` in the folder it is given.
    says : str
        What the one line says: the place and what to do.
    of : str
        What is described.
    kind : str
        An error ends with exit code 2; a finding is in what `describe` prints.
    """

    name: str
    make: Maker
    says: str
    of: str = "hearts"
    kind: str = ERROR


def good(folder: Path) -> None:
    acdc(folder / "hearts", 2)
    mnms(folder / "mnms")
    mnms2(folder / "mnms2", 2)
    plain(folder / "films", maps=True)


def info(old: str, new: str) -> Maker:
    """Change a line of a patient's Info.cfg."""
    return text(INFO, old, new)


def text(name: str, old: str, new: str) -> Maker:
    def change(folder: Path) -> None:
        before = (folder / name).read_text()
        assert old in before
        (folder / name).write_text(before.replace(old, new, 1))

    return change


def image(name: str, shape: tuple[int, ...]) -> Maker:
    """Replace an image by one of another shape."""
    data = np.random.default_rng(0).normal(100, 20, shape).astype(np.float32)
    return lambda folder: write_image(folder / name, data, AFFINE)


def gone(name: str) -> Maker:
    return lambda folder: (folder / name).unlink()


def moved(old: str, new: str) -> Maker:
    return lambda folder: (folder / old).rename(folder / new)


def copied(old: str, new: str) -> Maker:
    return lambda folder: shutil.copytree(folder / old, folder / new)


def also(*makers: Maker) -> Maker:
    return lambda folder: [make(folder) for make in makers]


def rows(*lines: str, schema: str = "") -> Maker:
    def write(folder: Path) -> None:
        (folder / "table.csv").write_text("\n".join(lines) + "\n")
        if schema:
            (folder / "table.toml").write_text(schema)

    return write


def frames(header: str, *lines: str, schema: str = "") -> Maker:
    """Write a table with a line for each of the first frames of p1, beginning with subject and file."""
    named = [f"p1,films/p1.nii.gz#{k},{line}" for k, line in enumerate(lines)]
    return rows(f"subject,volume,{header}", *named, schema=schema)


def _other_heart(folder: Path) -> None:
    data, _ = film(8, 0, 77)
    write_image(folder / f"{S1}_SA_ES.nii.gz", data[..., 3], AFFINE)


FILM_CASES = [
    FilmCase("no line for ES", info("ES: 4\n", ""), "Info.cfg: no line ES; expected as in 'ES: 12'"),
    FilmCase("no line for the frames", info("NbFrame: 10\n", ""), "no line NbFrame; expected as in 'NbFrame: 12'"),
    FilmCase("ES is a word", info("ES: 4", "ES: four"), "Info.cfg, line 2: ES is 'four', expected a whole number"),
    FilmCase("ES between frames", info("ES: 4", "ES: 4.5"), "ES is '4.5', expected a whole number; correct it"),
    FilmCase("ED twice", info("ES: 4", "ES: 4\nED: 2"), "line 3: ED is there twice; keep one line"),
    FilmCase("a line without a colon", info("ES: 4", "ES 4"), "line 2: expected a line such as 'ES: 12', found 'ES 4'"),
    FilmCase("no height at all", info("Height: 171.0", "Height: tall"), "Height is 'tall', expected a number"),
    FilmCase("ED counts from 0", info("ED: 1", "ED: 0"), "ED is frame 0, the film has frames 1 to 10, counted from 1"),
    FilmCase("ES beyond the film", info("ES: 4", "ES: 11"), "ES is frame 11, the film has frames 1 to 10"),
    FilmCase("ED is ES", info("ED: 1", "ED: 4"), "Info.cfg: ED and ES are both frame 4; correct one of them"),
    FilmCase(
        "ES before ED",
        also(info("ED: 1", "ED: 5"), info("ES: 4", "ES: 2")),
        "ES (frame 2) comes before ED (frame 5) in a film of 10 frames; are they exchanged?",
    ),
    FilmCase(
        "frames that disagree",
        info("NbFrame: 10", "NbFrame: 12"),
        "Info.cfg: NbFrame is 12, patient001_4d.nii.gz holds 10 frames; correct NbFrame",
    ),
    FilmCase("no Info.cfg", gone(INFO), "patient001: no Info.cfg, which tells ED and ES; copy the folder again"),
    FilmCase(
        "a film of one frame",
        image(f"{P1}/patient001_4d.nii.gz", SHAPE),
        "patient001_4d.nii.gz (patient001): holds one frame; a film has at least two: copy the file again",
    ),
    FilmCase(
        "a label map of another shape",
        image(f"{P1}/patient001_frame04_gt.nii.gz", (20, 22, 5)),
        "frame04_gt.nii.gz (patient001): frames of 20×22×5 voxels, the film has 20×22×4; give those of this film",
    ),
    FilmCase(
        "a film where a frame is due",
        image(f"{P1}/patient001_frame04_gt.nii.gz", (20, 22, 4, 3)),
        "frame04_gt.nii.gz (patient001): holds 3 frames, expected 1; copy it again",
    ),
    FilmCase(
        "frames of other numbers",
        also(
            moved(f"{P1}/patient001_frame04_gt.nii.gz", f"{P1}/patient001_frame05_gt.nii.gz"),
            moved(f"{P1}/patient001_frame04.nii.gz", f"{P1}/patient001_frame05.nii.gz"),
        ),
        "ED is 1 and ES 4, but there is patient001_frame05_gt.nii.gz; correct the frames, or the name",
    ),
    FilmCase(
        "neither film nor frames",
        also(gone(f"{P1}/patient001_4d.nii.gz"), gone(f"{P1}/patient001_frame04.nii.gz")),
        "patient001: no patient001_4d.nii.gz, and not both frames 01 and 04",
    ),
    FilmCase(
        "a patient twice",
        copied("hearts/training/patient001", "hearts/testing/patient001"),
        "Info.cfg: subject patient001 has two films (the other:",
    ),
    FilmCase(
        "a film cut short",
        lambda folder: (folder / f"{P1}/patient001_4d.nii.gz").write_bytes(b"\x1f\x8b\x08"),
        "patient001_4d.nii.gz (patient001): the file is cut short or damaged; copy it again",
    ),
    FilmCase(
        "a film that stops early",
        also(
            info("ES: 4", "ES: 9"),
            moved(f"{P1}/patient001_frame04_gt.nii.gz", f"{P1}/patient001_frame09_gt.nii.gz"),
            gone(f"{P1}/patient001_frame04.nii.gz"),
        ),
        "1 film may stop before the beat ends: ES lies beyond 0.6 of them (patient001 0.80)",
        kind=FINDING,
    ),
    FilmCase("M&Ms without ES", text(MNMS_TABLE, ",ES,", ",End,"), "opendataset.csv: no column ES; it has", of="mnms"),
    FilmCase(
        "M&Ms with a word for a frame",
        text(MNMS_TABLE, ",A,1,0,3,", ",A,1,0,x,"),
        "subject A0S9V9: ES is 'x', expected the number of a frame, from 0",
        of="mnms",
    ),
    FilmCase(
        "M&Ms beyond the film",
        text(MNMS_TABLE, ",A,1,0,3,", ",A,1,0,9,"),
        "subject A0S9V9: ES is frame 9, the film has frames 0 to 8, counted from 0",
        of="mnms",
    ),
    FilmCase(
        "M&Ms with a subject twice",
        text(MNMS_TABLE, "1,B1K2L3", "1,A0S9V9"),
        "subject A0S9V9 is there twice; keep one row",
        of="mnms",
    ),
    FilmCase(
        "M&Ms with few label maps",
        image(f"{M1}_sa_gt.nii.gz", (20, 22, 4, 5)),
        "A0S9V9_sa_gt.nii.gz (A0S9V9): holds 5 frames, expected 9; copy it again",
        of="mnms",
    ),
    FilmCase(
        "M&Ms under another name",
        moved(f"{M1}_sa.nii.gz", "mnms/Training/Labeled/A0S9V9/B0_sa.nii.gz"),
        "B0_sa.nii.gz: lies in the folder of A0S9V9 but has another name; move or rename it",
        of="mnms",
    ),
    FilmCase(
        "M&Ms without images",
        lambda folder: [shutil.rmtree(folder / "mnms" / part) for part in ("Training", "Validation")],
        "is there, but no film such as A1B2C3/A1B2C3_sa.nii.gz; copy the images beside it",
        of="mnms",
    ),
    FilmCase(
        "M&Ms with a stranger",
        text(MNMS_TABLE, "1,B1K2L3", "1,Z9Z9Z9"),
        "does not name B1K2L3, of which there are films; their labels, and ED and ES, are unknown",
        of="mnms",
        kind=FINDING,
    ),
    FilmCase(
        "M&Ms-2 without its film",
        gone(f"{S1}_SA_CINE.nii.gz"),
        "001: no 001_SA_CINE.nii.gz, the film; copy the folder again",
        of="mnms2",
    ),
    FilmCase(
        "M&Ms-2 with another heart",
        _other_heart,
        "ED or ES is no frame of the film of 001; their place in the beat, and their label map, are not taken",
        of="mnms2",
        kind=FINDING,
    ),
    FilmCase(
        "a single image among films",
        image("films/p3.nii.gz", SHAPE),
        "films: p3.nii.gz holds one frame, others are films; give a table with a column volume",
        of="films",
    ),
    FilmCase(
        "label maps of another beat",
        image("films/p1_seg.nii.gz", (20, 22, 4, 7)),
        "p1_seg.nii.gz (p1): holds 7 frames, expected 6; copy it again",
        of="films",
    ),
    FilmCase(
        "two films of one subject in a table",
        rows("subject,volume", "p1,films/p1.nii.gz", "p1,films/p2.nii.gz"),
        "line 3: subject p1 has two films (the other: ",
        of="table.csv",
    ),
    FilmCase(
        "an image among films of a table",
        also(
            image("films/single.nii.gz", SHAPE),
            rows("subject,volume", *[f"p{k},films/p1.nii.gz" for k in range(20)], "q,films/single.nii.gz"),
        ),
        "line 22: names an image of one frame, other rows films; name frames of films as in p1_4d.nii.gz#0",
        of="table.csv",
    ),
    FilmCase(
        "frames counted from 1 in a table",
        rows("subject,volume,ED,ES", "p1,films/p1.nii.gz,0,3", "p2,films/p2.nii.gz,1,8"),
        "line 3: ES is frame 8, the film has frames 0 to 7, counted from 0",
        of="table.csv",
    ),
    FilmCase(
        "a frame that is not there",
        frames("cycle", *[f"{k / 7:.3f}" for k in range(7)]),
        "p1.nii.gz (p1 7): has no frame 6: it holds frames 0 to 5",
        of="table.csv",
        kind="unusable",
    ),
    FilmCase(
        "two frames at one time",
        frames("cycle", "0", "0.2", "0.2"),
        "subject p1 has two frames at 0.2 and 0.2 of the beat, which is the same moment",
        of="table.csv",
    ),
    FilmCase(
        "the first moment twice",
        frames("cycle", "0", "0.5", "1"),
        "subject p1 has two frames at 0 and 1 of the beat, which is the same moment",
        of="table.csv",
    ),
    FilmCase(
        "times without a unit",
        frames("time", "0", "40", "80"),
        "times of frames up to 80 have no unit; call the column trigger_time if it is in ms, or give its unit",
        of="table.csv",
    ),
    FilmCase(
        "times beyond the beat",
        frames("trigger_time,rr", "0,900", "400,900", "950,900"),
        "column trigger_time: 950 ms of subject p1 is not within a beat of 900 ms; correct one of them",
        of="table.csv",
    ),
    FilmCase(
        "a time after the beat",
        frames("when", "0", "0.4", "1.3", schema='time = { column = "when", unit = "cycle" }\n'),
        "column when: 1.3 of subject p1 is no part of a beat, 0 to 1; correct it",
        of="table.csv",
    ),
    FilmCase(
        "milliseconds of unknown frames",
        rows("subject,volume", "p1,films/p1.nii.gz", "p2,films/p2.nii.gz", schema='[sequences]\ntime = "ms"\n'),
        'sequences: time = "ms" needs frame_seconds, the time from one frame to the next; add it',
        of="table.csv",
    ),
    FilmCase(
        "films that are not whole",
        rows("subject,volume", "p1,films/p1.nii.gz", "p2,films/p2.nii.gz", schema="[sequences]\nwhole = false\n"),
        "films that are not whole (whole = false) have a place in the beat only with frame_seconds and rr",
        of="table.csv",
    ),
    FilmCase(
        "no column of intervals",
        rows("subject,volume", "p1,films/p1.nii.gz", schema='[sequences]\nrr = "RRi"\nframe_seconds = 0.04\n'),
        "sequences.rr: table.csv has no column RRi of numbers",
        of="table.csv",
    ),
    FilmCase(
        "a key that is none",
        rows("subject,volume", "p1,films/p1.nii.gz", schema="[sequences]\nwole = true\n"),
        "unknown key sequences.wole; did you mean whole?",
        of="table.csv",
    ),
    FilmCase(
        "a film in a table of images",
        also(
            image("films/single.nii.gz", SHAPE),
            rows("subject,visit,years,volume", "a,1,0,films/single.nii.gz", "a,2,1,films/p1.nii.gz"),
        ),
        "4 dimensions (20×22×4×6); expected one 3-D image: name one of its 6 frames, as in p1.nii.gz#0",
        of="table.csv",
        kind="unusable",
    ),
]

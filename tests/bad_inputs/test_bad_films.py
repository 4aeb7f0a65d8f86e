"""Bad films end in one helpful line; what only misleads is a finding of `describe`."""

import shutil
from pathlib import Path

import pytest

from bad_inputs.film_cases import ERROR, FILM_CASES, FINDING, FilmCase, good
from nextscan.cli.main import run
from nextscan.reading import read_cohort

pytest.importorskip("nibabel")


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    good(folder)
    return folder


@pytest.mark.parametrize("case", FILM_CASES, ids=[case.name.replace(" ", "-") for case in FILM_CASES])
def test_a_bad_film_is_one_line(case: FilmCase, kept: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    case.make(tmp_path)
    code = run(["describe", case.of])
    shown = capsys.readouterr()
    lines = [line for line in shown.err.splitlines() if not line.startswith("note: ")]
    said = " ".join(shown.out.split()) if case.kind == FINDING else " ".join(lines)
    assert case.says in said, shown.out + shown.err
    assert (code, len(lines)) == ((0, 0) if case.kind == FINDING else (2, 1)), shown.err
    assert case.kind != ERROR or (lines[0].startswith("error: ") and not shown.out)
    assert "Traceback" not in shown.err


@pytest.mark.parametrize("name", ["hearts", "mnms", "mnms2", "films"])
def test_the_good_folders_have_no_fault(kept: Path, name: str) -> None:
    assert not read_cohort(kept / name).findings


def test_the_corpus_is_large() -> None:
    assert len({case.name for case in FILM_CASES}) == len(FILM_CASES) >= 25

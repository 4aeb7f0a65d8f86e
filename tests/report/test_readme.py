"""The tables of the README are written from run folders, those of features and of images into places of their own."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def readme(tmp_path, monkeypatch):
    """Return the program that writes the README, and a copy for it to write."""
    spec = importlib.util.spec_from_file_location("readme", ROOT / "benchmarks" / "readme.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    copy = tmp_path / "README.md"
    copy.write_text((ROOT / "README.md").read_text())
    monkeypatch.setattr(program, "README", copy)
    return program


def test_a_run_of_images_has_a_table_of_its_own(readme, image_run_folder):
    before = readme.README.read_text()
    readme.main([str(image_run_folder)])
    after = readme.README.read_text()
    start, end = "<!-- image scores: written by benchmarks/readme.py -->", "<!-- image scores end -->"
    (head, old), (same, new) = ((text.partition(start)[0], text.partition(start)[2]) for text in (before, after))
    assert head == same
    assert old.partition(end)[2] == new.partition(end)[2]
    rows = [line.split(" | ") for line in new.partition(end)[0].splitlines() if line.startswith("|")]
    assert {row[0] for row in rows[2:]} == {"| `volume-diffusion`", "| `copy-source`", "| `volume-mean-change`"}
    column = rows[0].index("Regional change error ↓")
    assert {row[0]: row[column] for row in rows[2:]}["| `volume-diffusion`"] == "**1.200**"
    readme.main([str(image_run_folder)])
    assert readme.README.read_text() == after

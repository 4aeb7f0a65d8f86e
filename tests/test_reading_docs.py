"""What docs/reading.md shows is read as it says, and the page is the one its script writes."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest

from cine_samples import AFFINE, film
from nextscan.errors import NextscanWarning
from nextscan.images.files import write_image
from nextscan.reading import read_cohort

DOCS = Path(__file__).resolve().parents[1] / "docs"
_spec = importlib.util.spec_from_file_location("make_reading", DOCS / "make_reading.py")
make_reading = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_reading)
EXAMPLES = make_reading.examples()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["title"])
def test_the_example_is_read_as_the_page_says(example: dict, tmp_path: Path) -> None:
    path = tmp_path / example["file"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(example["table"].lstrip("\n"))
    for name, frames in example.get("films", {}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / name, film(frames)[0], AFFINE)
    path = tmp_path / example.get("reads", example["file"])
    schema = None
    if "schema" in example:
        schema = tmp_path / "schema.toml"
        schema.write_text(example["schema"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NextscanWarning)
        cohort = read_cohort(path, schema)
    assert cohort.subjects.tolist() == example["subjects"]
    assert cohort.visits.tolist() == example["visits"]
    if "years" in example:
        np.testing.assert_allclose(cohort.years, example["years"], atol=1e-3)
    assert list(cohort.feature_names) == example["features"]
    assert [*cohort.labels, *cohort.visit_labels] == example["labels"]
    assert len(example["table"].strip().splitlines()) <= 6
    assert example["says"].endswith(".")


def test_the_page_is_what_its_script_writes() -> None:
    assert (DOCS / "reading.md").read_text() == make_reading.page(), "run python docs/make_reading.py"


def test_every_key_of_the_schema_is_explained() -> None:
    schema = make_reading.schema
    parts = (schema.Schema, schema.TimeSchema, schema.LabelSchema, schema.ImagesSchema, schema.SequencesSchema)
    for model in parts:
        assert {key: text for key, _, text in make_reading.keys(model) if not text} == {}

"""Tables of participants beside scans."""

import json
from pathlib import Path

import numpy as np
import pytest

from image_samples import bids
from nextscan.errors import CohortError
from nextscan.reading import read_cohort


def people(root: Path, text: str, **said: object) -> Path:
    (root / "participants.tsv").write_text(text.replace(" ", "\t") + "\n")
    if said:
        (root / "participants.json").write_text(json.dumps(said))
    return root


@pytest.mark.parametrize("text", ["participant_id\nsub-01\nsub-02\nsub-03", '"participant_id"\n"sub-01"'])
def test_a_single_column_holds_no_labels(tmp_path: Path, text: str) -> None:
    cohort = read_cohort(people(bids(tmp_path / "heads"), text))
    assert (list(cohort.labels), cohort.years.tolist()) == ([], [0, 1.5, 0, 1.5, 0])


def test_months_by_the_sidecar(tmp_path: Path) -> None:
    text = "participant_id age sex\nsub-01 30 F\nsub-02 36 M\nsub-03 42 F"
    cohort = read_cohort(people(bids(tmp_path / "heads"), text, age={"Units": "months"}, sex={"Levels": {"F": "f"}}))
    assert cohort.labels["age_at_entry"].tolist() == [2.5, 3.0, 3.5]
    assert cohort.labels["sex"].tolist() == ["F", "M", "F"]


def test_ranges_and_words_stop_nothing(tmp_path: Path) -> None:
    root = people(bids(tmp_path / "ranges"), "participant_id age\nsub-01 20-25\nsub-02 adult\nsub-03 25-30")
    cohort = read_cohort(root)
    assert cohort.labels["age_text"].tolist() == ["20-25", "adult", "25-30"]
    assert [finding.level for finding in cohort.findings] == []
    cohort = read_cohort(people(bids(tmp_path / "capped"), "participant_id age\nsub-01 61\nsub-02 89+\nsub-03 77"))
    np.testing.assert_array_equal(cohort.labels["age_at_entry"], [61, np.nan, 77])


def test_dates_of_people_are_no_times_whatever_they_are(tmp_path: Path) -> None:
    text = "participant_id scan_date group\nsub-01 04/05/2011 a\nsub-02 spring b\nsub-03 2012-01-01 a"
    cohort = read_cohort(people(bids(tmp_path / "heads"), text))
    assert (list(cohort.labels), cohort.years[1]) == (["group"], 1.5)


@pytest.mark.parametrize("name", ["1", "sub-1", "sub-001", "01"])
def test_people_are_found_however_their_numbers_are_padded(tmp_path: Path, name: str) -> None:
    text = f"participant_id group\n{name} a\n{name.replace('1', '2')} b\n{name.replace('1', '3')} c"
    assert read_cohort(people(bids(tmp_path / "heads"), text)).labels["group"].tolist() == ["a", "b", "c"]


def test_people_of_another_study_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="names must agree"):
        read_cohort(people(bids(tmp_path / "heads"), "participant_id group\nsub-A1 a\nsub-B2 b"))


def test_times_of_a_table_with_visits(tmp_path: Path) -> None:
    root = bids(tmp_path / "heads", {"01": ("01", "02"), "02": ("01",)}, sessions=False)
    cohort = read_cohort(people(root, "participant_id session_id age\nsub-1 1 61\nsub-1 2 63\nsub-2 1 55"))
    assert (cohort.years.tolist(), cohort.findings) == ([0, 2, 0], ())


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_table_of_people_stops_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "participants.tsv").write_text(content)
    (tmp_path / "study.csv").write_text("subject,age,hippocampus\na,60,3900\na,62,3850\nb,70,4000\n")
    cohort = read_cohort(tmp_path / "study.csv", participants=tmp_path / "participants.tsv")
    assert cohort.n_subjects == 2
    assert any("participants.tsv is empty" in note for note in cohort.notes)

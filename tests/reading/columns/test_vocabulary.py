import pytest

from nextscan.reading.columns.roles import is_label
from nextscan.reading.columns.vocabulary import SUBJECT, VISIT, find, is_identifier


@pytest.mark.parametrize(
    ("columns", "subject", "visit"),
    [
        (["participant_id", "session_id", "a"], "participant_id", "session_id"),
        (["RID", "PTID", "VISCODE"], "PTID", "VISCODE"),
        (["Subject ID", "MRI ID", "Visit"], "Subject ID", "Visit"),
        (["src_subject_id", "eventname"], "src_subject_id", "eventname"),
        (["ID", "TIME"], "ID", None),
        (["a", "b"], None, None),
    ],
)
def test_subject_and_visit_of_known_studies(columns: list[str], subject: str | None, visit: str | None) -> None:
    assert (find(columns, SUBJECT), find(columns, VISIT)) == (subject, visit)


def test_labels_by_name() -> None:
    labels = [
        "Sex",
        "DX_GROUP",
        "field strength",
        "townsend_index",
        "ad_polygenic_score",
        "sleep_disorder",
        "age_at_entry",
    ]
    assert all(is_label(name) for name in labels)
    assert not any(is_label(name) for name in ["Left-Hippocampus", "lh_insula_area", "brainage"])


def test_identifiers_by_name() -> None:
    assert all(is_identifier(name) for name in ["sitenum", "image_id", "scan.nr", "Unnamed: 0", "index", "column 1"])
    assert not any(
        is_identifier(name) for name in ["Right-choroid-plexus", "Corticoamygdaloid", "Euler_number", "asymmetry_index"]
    )

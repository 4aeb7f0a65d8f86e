import pytest

from nextscan.writing.derivative_names import session_label


@pytest.mark.parametrize(
    ("visit", "unit", "label"),
    [
        ("imputed+2.25", "years", "imputed2p25y"),
        ("imputed-0.5", "years", "imputedminus0p5y"),
        ("imputed+1e-05", "weeks", "imputed1eminus05w"),
        ("Visit 1 (baseline)", "years", "Visit1baseline"),
    ],
)
def test_session_labels_hold_letters_and_digits_only(visit, unit, label):
    assert session_label(visit, unit) == label
    assert label.isalnum()

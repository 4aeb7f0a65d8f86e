import pytest

from nextscan.reading.columns.people import folded, match_names


@pytest.mark.parametrize(
    "names",
    [
        ("7", "07", "007", " 7", "7.0", "sub-7", "sub-007", "Subject 7"),
        ("P12", "p12", "P012", "P-12", "p_12", "sub-P12"),
        ("ses-3", "ses-03", "3", "03", "session 3"),
        ("M06", "m6", "ses-m06"),
        ("\uff11\uff12", "12"),  # full-width digits
    ],
)
def test_the_same_name_in_another_writing(names: tuple[str, ...]) -> None:
    assert len({folded(name) for name in names}) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("A_001", "B_001", "001"),
        ("001a", "001b", "001"),
        ("1", "10", "100"),
        ("1_11", "11_1", "111"),
        ("1.5", "15", "1"),
        ("-1", "1"),
        ("sub", "submarine1", "1"),
        ("AB_C", "A_BC"),
    ],
)
def test_other_names_stay_apart(names: tuple[str, ...]) -> None:
    assert len({folded(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("wanted", "known", "at"),
    [
        (["sub-1", "sub-10"], ["sub-010", "sub-001"], [1, 0]),
        (["1", "2", "1"], ["sub-01", "sub-02"], [0, 1, 0]),
        (["sub-01", "sub-1"], ["sub-01", "sub-2"], [0, -1]),  # who is called so is meant
        (["ses-1"], ["ses-01", "ses-001"], [-1]),  # two it could be
        (["ses-01", "ses-1"], ["ses-1", "ses-01"], [1, 0]),
        (["a"], [], [-1]),
        ([], ["a"], []),
    ],
)
def test_names_of_two_tables_are_matched(wanted: list[str], known: list[str], at: list[int]) -> None:
    assert match_names(wanted, known).tolist() == at

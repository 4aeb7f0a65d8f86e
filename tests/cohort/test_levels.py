import pytest

from nextscan.cohort.levels import level_key, same_levels, spellings


@pytest.mark.parametrize(
    ("one", "other", "label"),
    [
        ("11025", "11025.0", "site"),
        ("3T Prisma", " 3t  prisma", "scanner"),
        ("F", "f", "sex"),
        ("Female", "F", "sex"),
        ("woman", "female", "gender"),
        ("-9", "-9.00", "apoe"),
    ],
)
def test_one_level(one: str, other: str, label: str) -> None:
    assert level_key(one, label) == level_key(other, label)


@pytest.mark.parametrize(
    ("one", "other", "label"),
    [
        ("1.5", "1", "field_strength"),
        ("101", "1010", "site"),
        ("M", "Male", "group"),
        ("M", "F", "sex"),
        ("x.0", "x", ""),
    ],
)
def test_two_levels(one: str, other: str, label: str) -> None:
    assert level_key(one, label) != level_key(other, label)


def test_the_most_frequent_spelling_counts_and_sexes_are_spelled_alike() -> None:
    assert spellings({"AD": 3, "ad": 9, "MCI": 1}) == {"AD": "ad", "ad": "ad", "MCI": "MCI"}
    assert spellings({"male": 5, "F": 4, "Female": 4}, "sex") == {"male": "male", "F": "female", "Female": "female"}
    assert spellings({"M": 5, "female": 4, "3": 1}, "sex") == {"M": "M", "female": "F", "3": "3"}
    assert spellings({"1": 5, "2": 4}, "sex") == {"1": "1", "2": "2"}


def test_a_part_of_the_levels_agrees() -> None:
    assert same_levels(["A", "b"], ["B"])
    assert not same_levels(["A", "b"], ["B", "C"])

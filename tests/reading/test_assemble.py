from collections.abc import Callable

import numpy as np
import pytest

from nextscan.cohort import Cohort
from nextscan.errors import NextscanWarning

Read = Callable[..., Cohort]


def test_labels_that_vary_belong_to_visits(read: Read) -> None:
    cohort = read("id,age,sex,site,group,a\ns,60,F,A,HC,1\ns,61,,B,HC,2\nt,70,M,A,,3\n")
    assert list(cohort.labels) == ["sex", "group"]
    assert cohort.labels["sex"].tolist() == ["F", "M"]
    assert cohort.labels["group"].isna().tolist() == [False, True]
    assert cohort.visit_labels["site"].tolist() == ["A", "B", "A"]


def test_a_label_known_only_later_belongs_to_visits(read: Read) -> None:
    cohort = read("id,visit,dx,group,a\ns,1,,HC,1\ns,2,AD,HC,2\nt,1,HC,,3\nt,2,HC,,4\n")
    assert list(cohort.labels) == ["group"]
    assert cohort.visit_labels["dx"].isna().tolist() == [True, False, False, False]
    assert any("dx is known only after the first visit of s; taken as a label of visits" in n for n in cohort.notes)


def test_a_person_whose_sex_changes_is_reported(read: Read) -> None:
    with pytest.warns(NextscanWarning, match="sex differs between visits of s; check them"):
        cohort = read("id,visit,sex,a\ns,1,M,2\ns,2,F,3\n")
    assert cohort.visit_labels["sex"].tolist() == ["M", "F"]


def test_visits_without_a_known_time_go_by_their_names(read: Read) -> None:
    cohort = read("id,visit,age,a\ns,m12,,3\ns,bl,60,1\ns,m6,60.5,2\n")
    assert cohort.visits.tolist() == ["bl", "m6", "m12"]
    np.testing.assert_array_equal(cohort.years, [0, 0.5, np.nan])


@pytest.mark.parametrize("names", [("preop", "postop"), ("test", "retest"), ("before", "after")])
def test_known_words_order_visits(read: Read, names: tuple[str, str]) -> None:
    cohort = read(f"id,session,a\ns,ses-{names[1]},3\ns,ses-{names[0]},1\n")
    assert cohort.visits.tolist() == [f"ses-{name}" for name in names]
    assert not any("order of the file" in note for note in cohort.notes)


def test_names_that_tell_no_order_stay_as_in_the_file(read: Read) -> None:
    cohort = read("id,session,a\nr,home,4\ns,ward,3\ns,home,1\nt,ward,2\nt,home,5\n")
    assert cohort.visits.tolist() == ["home", "ward", "home", "ward", "home"]
    assert any("visits in order of the file: ward, home" in note for note in cohort.notes)


def test_visits_at_the_same_time_are_noted(read: Read) -> None:
    cohort = read("id,visit,age,a\ns,1,60,1\ns,2,60,2\nt,1,60,1\nt,2,61,2\n")
    assert cohort.years.tolist() == [0, 0, 0, 1]
    assert any("1 visits are at the same time as the visit before (whole years?)" in note for note in cohort.notes)


def test_a_cohort_of_one_visit_each_is_noted(read: Read) -> None:
    assert any("every subject has one visit" in note for note in read("id,a\ns,1\nt,2\n").notes)


def test_law_beside_the_table(read: Read, tmp_path) -> None:
    (tmp_path / "sim.law.npz").write_bytes(b"")
    assert read("id,a\ns,1\n", "sim.csv").law == str(tmp_path / "sim.law.npz")
    assert read("id,a\ns,1\n", "other.csv").law == ""

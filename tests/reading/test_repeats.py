from collections.abc import Callable

import numpy as np
import pytest

from nextscan.cohort import Cohort
from nextscan.errors import CohortError, NextscanWarning

Read = Callable[..., Cohort]

HEADER = "id,visit,a,b,c,d,e,f\n"
SCAN = {
    name: ",".join(f"{value:.3f}" for value in np.random.default_rng(i).normal(size=6)) for i, name in enumerate("PQRS")
}


def test_a_repeated_row_is_dropped(read: Read) -> None:
    with pytest.warns(
        NextscanWarning, match=r"study.csv, line 4: subject s repeats an earlier row; 1 such row left out"
    ):
        cohort = read(HEADER + f"s,1,{SCAN['P']}\ns,2,{SCAN['Q']}\ns,1,{SCAN['P']}\n")
    assert cohort.visits.tolist() == ["1", "2"]


def test_without_visit_or_time_the_first_of_equal_rows_is_kept(read: Read) -> None:
    with pytest.warns(NextscanWarning, match="line 3: subject s repeats an earlier row"):
        cohort = read("id,site,a\ns,x,1\ns,y,1\nt,x,2\n")
    assert cohort.labels["site"].tolist() == ["x", "x"]


def test_the_same_imaging_at_another_age_is_no_follow_up(read: Read) -> None:
    table = "id,age,a,b,c,d,e,f\n" + f"s,9,{SCAN['P']}\nt,8,{SCAN['Q']}\ns,7,{SCAN['P']}\nt,9,{SCAN['R']}\n"
    says = r"1 row of 1 subject \(s\) hold the same imaging as another visit of the same subject \(line 4\)"
    with pytest.warns(NextscanWarning, match=says):
        cohort = read(table)
    assert cohort.subjects[cohort.is_paired].tolist() == ["t"]
    assert cohort.visit_labels["age"].tolist() == [9, 8, 9]


def test_few_or_constant_features_do_not_tell_identity(read: Read) -> None:
    assert read("id,age,a\ns,60,1.5\ns,61,1.5\nt,70,1.5\n").n_visits == 3
    constant = "id,age,a,b,c,d,e,f\n" + "".join(f"{who},1.5,0,0,0,0,0\n" for who in ("s,60", "s,61", "t,70"))
    assert read(constant + "u,71,2,0,0,0,0,0\n").n_visits == 4


def test_one_person_under_two_names(read: Read) -> None:
    with pytest.warns(NextscanWarning, match=r"line 3: subject t has the same imaging as subject s; 1 subject \(t\)"):
        cohort = read(HEADER + f"s,1,{SCAN['P']}\nt,1,{SCAN['P']}\nu,1,{SCAN['Q']}\n")
    assert cohort.subjects.tolist() == ["s", "u"]


def test_sharing_only_some_scans_is_reported(read: Read) -> None:
    with pytest.warns(NextscanWarning, match="subjects share some, not all, of their scans with others: t"):
        cohort = read(HEADER + f"s,1,{SCAN['P']}\nt,1,{SCAN['P']}\nt,2,{SCAN['Q']}\n")
    assert cohort.n_visits == 3


def test_missing_cells_count_as_equal(read: Read) -> None:
    with pytest.warns(NextscanWarning, match="repeats an earlier row"):
        assert read("id,a,b\ns,1,\ns,1,NA\nt,2,3\n").n_visits == 2


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (
            "id,a,b\ns,1,2\ns,1,3\n",
            r"subject s is there twice with different values \(line 2 and line 3; b is 2 and 3\)",
        ),
        ("id,visit,a\ns,1,2\ns,1,3\n", "subject s has visit 1 twice with different values"),
        ("id,visit,a\ns,1,2\ns,2,4\ns,1,3\ns,2,5\n", r"s has visit 1 twice .*line 2 and line 4; a is 2 and 3"),
        ("id,age,a\ns,60,2\ns,60,3\n", "subject s has age 60 twice with different values"),
        ("id,date,a\ns,2020-02-29,2\ns,2020-02-29,3\n", "subject s has date 2020-02-29 twice"),
        ("id,visit,age,a\ns,1,60,2\ns,1,61,3\n", "subject s has visit 1 twice with different values"),
        ("id,a,b\ns,1,2\ns,1,\n", r"b is 2 and nan"),
    ],
)
def test_different_rows_of_one_visit_are_an_error(read: Read, table: str, says: str) -> None:
    with pytest.raises(CohortError, match=says):
        read(table)


def test_a_request_beside_its_scan_is_dropped(read: Read) -> None:
    cohort = read("id,visit,a\ns,1,2\ns,1,\ns,2,\ns,2,\n")
    assert cohort.visits.tolist() == ["1", "2"]
    assert cohort.is_request.tolist() == [False, True]
    assert any("2 empty rows left out: the visit has another row" in note for note in cohort.notes)


def coarse(seed: int, n: int = 150) -> str:
    rng = np.random.default_rng(seed)
    lines = ["id,visit,days,ICV,GM,factor"]
    for i in range(n):
        icv, grey = rng.normal(1390, 55), rng.normal(0.44, 0.02)
        for visit, days in ((0, 0), (1, 400)):
            icv, grey = round(icv + visit * rng.normal(0, 3)), round(grey - visit * abs(rng.normal(0, 0.002)), 3)
            lines.append(f"p{i},{visit},{days},{icv},{grey},{1390 / icv:.2f}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("error::nextscan.errors.NextscanWarning")
def test_few_rounded_features_are_never_dropped(read: Read, seed: int) -> None:
    cohort = read(coarse(seed))
    assert (cohort.n_subjects, cohort.n_visits) == (150, 300)


def test_many_small_counts_that_tie_stay(read: Read) -> None:
    counts = np.random.default_rng(8).poisson(1.0, (200, 6))
    cohort = read(
        HEADER.replace("visit,", "") + "".join(f"s{i},{','.join(map(str, row))}\n" for i, row in enumerate(counts))
    )
    assert cohort.n_subjects == 200
    assert [finding for finding in cohort.findings if finding.level != "note"] == []

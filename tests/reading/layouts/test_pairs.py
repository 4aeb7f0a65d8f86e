from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nextscan.cohort import Cohort
from nextscan.errors import SchemaError
from nextscan.reading import read_cohort

Read = Callable[..., Cohort]


def table(first: str, second: str, *more: str) -> str:
    """Return two measures of three people at two visits or more; the last person was seen once."""
    forms = [first, second, *more]
    header = ["id", "sex", *(form.replace("*", stem) for stem in ("hippo", "amyg") for form in forms)]
    lines = [
        ",".join(
            [
                name,
                "F",
                *(str(size - 10 * i) if i == 0 or name != "c" else "" for size in sizes for i in range(len(forms))),
            ]
        )
        for name, sizes in {"a": (3900, 1500), "b": (4100, 1610), "c": (3800, 1450)}.items()
    ]
    return "\n".join([",".join(header), *lines]) + "\n"


@pytest.mark.parametrize(
    ("forms", "visits"),
    [
        (("*_t1", "*_t2"), ["t1", "t2"]),
        (("*_T1", "*_T2"), ["t1", "t2"]),
        (("T1_*", "T2_*"), ["t1", "t2"]),
        (("*_bl", "*_m12"), ["bl", "m12"]),
        (("*_baseline", "*_followup"), ["baseline", "followup"]),
        (("*_baseline", "*_follow_up"), ["baseline", "followup"]),
        (("baseline_*", "followup_*"), ["baseline", "followup"]),
        (("*.1", "*.2"), ["1", "2"]),
        (("*_pre", "*_post"), ["pre", "post"]),
        (("pre.*", "post.*"), ["pre", "post"]),
        (("*_time1", "*_time2"), ["time1", "time2"]),
        (("*_v1", "*_v2", "*_v3"), ["v1", "v2", "v3"]),
        (("*_2014", "*_2018"), ["2014", "2018"]),
        (("*_visit_1", "*_visit_2"), ["visit1", "visit2"]),
        (("*.wave1", "*.wave2"), ["wave1", "wave2"]),
        (("*_0m", "*_24m"), ["0m", "24m"]),
        (("* (baseline)", "* (month 12)"), ["baseline", "month12"]),
        (("*_y0", "*_y2", "*_y10"), ["y0", "y2", "y10"]),
    ],
)
def test_pairs_of_columns_become_visits(read: Read, forms: tuple[str, ...], visits: list[str]) -> None:
    cohort = read(table(*forms))
    assert cohort.feature_names == ("hippo", "amyg")
    assert cohort.visits.tolist() == [*visits, *visits, visits[0]]
    assert cohort.n_subjects == 3
    assert cohort.features[: len(visits), 0].tolist() == [3900 - 10 * i for i in range(len(visits))]
    assert cohort.labels["sex"].tolist() == ["F", "F", "F"]
    assert any("visits are in the names of columns" in note for note in cohort.notes)


def test_the_order_of_columns_does_not_matter(read: Read) -> None:
    cohort = read("hippo_m12,amyg_m12,hippo_bl,amyg_bl,id\n3850,1480,3900,1500,a\n3950,1580,4000,1600,b\n")
    assert cohort.visits.tolist() == ["bl", "m12", "bl", "m12"]
    assert cohort.features[:2, 0].tolist() == [3900, 3850]


@pytest.mark.parametrize(
    "forms",
    [
        ("*_left", "*_right"),
        ("lh_*", "rh_*"),
        ("*_mean", "*_sd"),
        ("*_1", "*_2"),
        ("*_x", "*_y"),
        ("*.x", "*.y"),
        ("ctx_*", "wm_*"),
        ("*_a", "*_p"),
        ("*_FA", "*_MD"),
    ],
)
def test_other_pairs_stay_side_by_side(read: Read, forms: tuple[str, ...]) -> None:
    cohort = read(table(*forms))
    assert (cohort.n_visits, cohort.n_features) == (3, 4)


@pytest.mark.parametrize(
    "header",
    [
        "id,lh_V1,lh_V2,rh_V1,rh_V2",  # visual areas
        "id,thickness_V1,thickness_V2,area_V1,area_V2",
        "id,ctx_1,ctx_2,ctx_3,ctx_4",
        "id,component.1,component.2,component.3,component.4",
        "id,S1,S2,M1,M2",
        "id,hippo_bl,amyg,caudate,putamen",
    ],
)
def test_names_that_end_in_numbers_are_no_visits(read: Read, header: str) -> None:
    cohort = read(f"{header}\na,3900,3890,4000,3990\nb,4100,4080,4200,4190\n")
    assert (cohort.n_visits, cohort.n_features) == (2, 4)


def test_relaxation_times_are_not_two_visits(read: Read) -> None:
    cohort = read("id,T1_hippo,T2_hippo,T1_amyg,T2_amyg\na,1400,88,1380,90\nb,1420,91,1400,92\n")
    assert (cohort.n_visits, cohort.n_features) == (2, 4)


def test_measures_that_do_not_go_along_are_no_pairs(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(100, 10, (60, 4)), columns=["g_t1", "g_t2", "h_t1", "h_t2"])
    frame.insert(0, "id", np.arange(60))
    frame.to_csv(tmp_path / "s.csv", index=False)
    assert read_cohort(tmp_path / "s.csv").n_features == 4
    frame["g_t2"], frame["h_t2"] = frame["g_t1"] - 1 + rng.normal(0, 3, 60), frame["h_t1"] - 1 + rng.normal(0, 3, 60)
    frame.to_csv(tmp_path / "s.csv", index=False)
    assert read_cohort(tmp_path / "s.csv").n_features == 2


def test_numbers_behind_an_underscore_are_visits_where_ages_have_them_too(read: Read) -> None:
    cohort = read("id,age_1,age_2,hippo_1,hippo_2\na,60,62,3900,3850\nb,50,53.5,4100,4050\n")
    assert cohort.years.tolist() == [0, 2, 0, 3.5]


def test_a_long_table_with_such_names_stays_long(read: Read) -> None:
    long = "id,visit,hippo_t1,hippo_t2\na,1,3900,3890\na,2,3850,3840\n"
    assert read(long).feature_names == ("hippo_t1", "hippo_t2")


def test_pairs_that_may_be_something_else_are_offered(read: Read) -> None:
    (offered,) = [f for f in read(table("*.x", "*.y")).findings if f.code == "paired-columns"]
    assert offered.level == "note"
    assert 'wide = ["*.x", "*.y"]' in offered.cure
    cohort = read(table("*.x", "*.y"), schema='wide = ["*.x", "*.y"]\n')
    assert cohort.visits.tolist() == ["x", "y", "x", "y", "x"]
    coordinates = "id,peak_x,peak_y,peak_z,hill_x,hill_y,hill_z\na,1,2,3,1,2,3\nb,1,2,4,1,2,4\n"
    assert not [f for f in read(coordinates).findings if f.code == "paired-columns"]


def test_the_schema_overrules_what_names_suggest(read: Read) -> None:
    assert read(table("*_t1", "*_t2"), schema="wide = []\n").n_features == 4
    assert read(table("*_t1", "*_t2"), schema='features = ["hippo_t1", "amyg_t1"]\n').n_features == 2
    with pytest.raises(SchemaError, match=r"has no column like \*_t9"):
        read(table("*_t1", "*_t2"), schema='wide = ["*_t1", "*_t9"]\n')
    with pytest.raises(SchemaError, match=r"expected a name with one \*"):
        read(table("*_t1", "*_t2"), schema='wide = ["_t1", "_t2"]\n')

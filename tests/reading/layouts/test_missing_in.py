from collections.abc import Callable

import numpy as np
import pytest

from nextscan.cohort import Cohort

pytestmark = pytest.mark.filterwarnings("ignore::nextscan.errors.NextscanWarning")
Read = Callable[..., Cohort]


def study(columns: dict[str, Callable[[int, int], object]], people: int = 12, visits: int = 2) -> str:
    """Write a table of people with a hippocampus and further columns, each told by person and visit."""
    generator = np.random.default_rng(7)
    size = generator.normal(4000, 300, people)
    lines = [",".join(["subject", "visit", "years", "hippocampus", *columns])]
    for i in range(people):
        for v in range(visits):
            years = round(v * (1.1 + 0.13 * (i % 7)), 3)
            own = [str(make(i, v)) for make in columns.values()]
            lines.append(",".join([f"s{i:02d}", f"v{v}", str(years), f"{size[i] - 37.3 * years - i:.1f}", *own]))
    return "\n".join(lines) + "\n"


def codes(cohort: Cohort) -> set[str]:
    quiet = {"doubtful-columns"}
    return {finding.code for finding in cohort.findings if finding.code not in quiet}


def test_the_line_for_codes_in_columns_of_any_name(read: Read) -> None:
    own = {"M/F": lambda i, v: (1, 2, 9)[i % 3], "education": lambda i, v: "none" if i == 2 else 10 + i % 7}
    own |= {"weight": lambda i, v: 9 + 3 * i + v * 0.5, "PTEDUCAT": lambda i, v: -9 if i == 4 else 10 + i % 5}
    (finding,) = [f for f in read(study(own)).findings if f.code == "missing-codes"]
    line = finding.cure.partition("schema: ")[2]
    assert '"M/F" = [9]' in line
    assert "missing-codes" not in codes(read(study(own), schema=line))


def test_codes_of_one_feature_leave_the_others(read: Read) -> None:
    own = {
        "thickness": lambda i, v: -9 if i == 4 else round(2.5 + i / 40 + v / 90, 3),
        "shift": lambda i, v: i - 9 - v / 3,
    }
    (finding,) = [f for f in read(study(own)).findings if f.code == "missing-codes"]
    assert finding.cure.endswith("missing_in = { thickness = [-9] }")
    cured = read(study(own), schema="missing_in = { thickness = [-9] }")
    assert np.isnan(cured.features).sum() == 2
    assert any(
        "no column thicknes; did you mean thickness?" in n
        for n in read(study(own), schema="missing_in = { thicknes = [-9] }").notes
    )


def test_codes_in_a_table_with_one_row_per_subject(read: Read) -> None:
    wide = "ID,age_t1,age_t2,hip_t1,hip_t2,gm_t1,gm_t2,educ\n" + "".join(
        f"s{i},{70 + i},{71 + i},{-9 if i == 3 else 4000 + 9 * i},{-9 if i == 5 else 3900 + 8 * i},"
        f"{600 + 3 * i % 17},{590 + 5 * i % 13},"
        f"{99 if i == 2 else 12}\n"
        for i in range(12)
    )
    for hip in ("hip = [-9]", "hip_t1 = [-9], hip_t2 = [-9]"):
        cohort = read(wide, schema=f"missing_in = {{ {hip}, educ = [99] }}")
        assert np.isnan(cohort.features).sum() == 2
        assert np.isnan(cohort.labels["educ"][2])

import pytest

from nextscan.reading.times.columns import TimeColumn, time_column
from nextscan.reading.times.names import known_names


@pytest.mark.parametrize(
    ("column", "kind", "unit"),
    [
        ("days_to_visit", "years", "days"), ("visit_days", "years", "days"), ("days_from_enrollment", "years", "days"),
        ("daysSinceFirstScan", "years", "days"), ("MR Delay", "years", "days"), ("Time [days]", "years", "days"),
        ("Years_bl", "years", "years"), ("Month_bl", "years", "months"), ("Month", "years", "months"),
        ("M", "years", "months"), ("fu_months", "years", "months"), ("weeks from baseline", "years", "weeks"),
        ("interscan_interval_yrs", "years", "years"), ("days_post_stroke", "years", "days"),
        ("time_from_baseline", "time", "years"), ("TIME", "time", "years"), ("interview_age", "age", "months"),
        ("scan_age", "age", "years"), ("AGEATMR", "age", "years"), ("Age at scan", "age", "years"),
        ("Age (months)", "age", "months"), ("ageMonths", "age", "months"), ("age_mo", "age", "months"),
        ("age.at.mri.in.days", "age", "days"), ("months_old", "age", "months"), ("MRI date", "date", "years"),
        ("date_of_scan", "date", "years"), ("ScanDateTime", "date", "years"), ("INFODT", "date", "years"),
        ("clinic_date", "date", "years"), ("PMA", "age", "weeks"), ("pma_at_scan", "age", "weeks"),
        ("GA", "age", "weeks"), ("GA_weeks", "age", "weeks"), ("PMA_days", "age", "days"),
        ("gestational age at scan", "age", "weeks"), ("post-menstrual age (weeks)", "age", "weeks"),
    ],
)  # fmt: skip
def test_columns_of_time(column: str, kind: str, unit: str) -> None:
    assert time_column([column]) == TimeColumn(column, kind, unit)


@pytest.mark.parametrize(
    "column",
    [
        "date_of_birth", "birth_date", "age_at_baseline", "age_at_onset", "brain_age", "brainage", "age_group",
        "years_of_education", "education_years", "pack_years", "timepoint", "scan_time", "time_point", "RepetitionTime",
        "EchoTime", "lh_month_thickness", "Left-Hippocampus", "d", "y", "m_volume", "days_to_death", "stage", "average",
        "percentage", "image", "wm_lesion_load", "daily_steps", "survival_time", "ga_at_birth", "mega", "pma_volume",
    ],
)  # fmt: skip
def test_columns_that_are_none(column: str) -> None:
    assert time_column([column]) is None


@pytest.mark.parametrize(
    ("columns", "best"),
    [
        (["M", "EXAMDATE", "AGE"], "EXAMDATE"), (["AGE", "M"], "AGE"), (["EXAMDATE", "Years_bl", "M"], "Years_bl"),
        (["TIME", "days_to_visit"], "days_to_visit"), (["days_since_surgery", "age"], "age"),
        (["visit_date", "mri_date"], "mri_date"), (["clinic_date", "scan_date"], "scan_date"),
        (["EXAMDATE", "date_of_mri_scan"], "date_of_mri_scan"), (["date", "acq_time"], "acq_time"),
        (["age", "age_at_scan"], "age_at_scan"), (["PMA", "age"], "age"), (["GA", "PMA"], "PMA"),
    ],
)  # fmt: skip
def test_the_best_of_several(columns: list[str], best: str) -> None:
    found = time_column(columns)
    assert found is not None
    assert found.column == best


def test_scan_age_beside_an_age_at_birth_is_in_weeks() -> None:
    assert time_column(["scan_age", "birth_age"]) == TimeColumn("scan_age", "age", "weeks")


def test_gestation_is_no_time_beside_another_age() -> None:
    assert [name for name, _ in known_names(["GA", "PMA"])] == ["PMA"]
    assert [name for name, _ in known_names(["gestational_age", "age_weeks"])] == ["age_weeks"]


@pytest.mark.parametrize("column", ["HR", "hr", "h", "Wk", "d", "day", "min"])
def test_a_bare_short_unit_is_no_time(column: str) -> None:
    assert known_names([column, "hippocampus"]) == []

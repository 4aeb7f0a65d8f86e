import pytest

from nextscan.reading.columns.coding import codes_in_name
from nextscan.reading.columns.roles import baseline_of, is_change, is_label, role_of


@pytest.mark.parametrize(
    ("role", "names"),
    [
        ("sex", ["Sex", "PTGENDER", "M/F", "gender", "demo_sex_v2", "sex (1=male)", "is_female", "sex_at_birth"]),
        (
            "site",
            ["SITE", "site_id_l", "Scanner ID", "mri_info_manufacturer", "MagneticFieldStrength", "field_strength_T",
             "FLDSTRENG", "Scanner Model", "study_site", "Protocol", "acq_software_version"],
        ),
        ("group", ["DX", "DX_bl", "Research Group", "race", "PTRACCAT", "handedness", "age_group", "APOE", "Dx Code"]),
        ("amount", ["PTEDUCAT", "Years of Education", "age_at_onset", "AGE_bl", "bmi"]),
        (
            "score",
            ["MMSE", "mmse_bl", "CDR-SB", "CDRSB", "cdr_global", "ADAS11", "ADAS13", "RAVLT.immediate", "MoCA", "FAQ",
             "GDS15", "NPI-Q", "UPDRS_III", "EDSS", "PANSS_pos", "BDI-II", "VIQ", "EcogPtMem", "TRABSCOR"],
        ),
        (
            "",
            ["Left-Hippocampus", "lh_bankssts_area", "eTIV", "hand_knob_thickness", "GDS_volume", "PUTAMEN_R", "hippo",
             "WM-hypointensities", "site_effect", "sex_hormone", "group_ica_01", "IQR_thickness", "cdrom", "faqir",
             "Volume of grey matter in Lateral Occipital Cortex", "center_of_mass_x", "FDG PET", "heart_rate"],
        ),
    ],
)  # fmt: skip
def test_names_and_what_they_hold(role: str, names: list[str]) -> None:
    assert {name: role_of(name) for name in names} == dict.fromkeys(names, role)


def test_numbers_of_sites_are_identifiers_and_scores_are_decided_later() -> None:
    assert not is_label("sitenum")
    assert not is_label("site_num")
    assert is_label("mri_site_id")
    assert not is_label("MMSE")
    assert is_label("apoe4")


def test_copies_of_the_baseline_by_name() -> None:
    assert baseline_of("Hippocampus_bl", ["Hippocampus", "x"]) == "Hippocampus"
    assert baseline_of("ICV.bl", ["icv"]) == "icv"
    assert baseline_of("baseline_thickness", []) == "thickness"
    assert baseline_of("bl", []) is None
    assert baseline_of("corpus_blanc", []) is None


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("Sex (1=male, 2=female)", {"1": "male", "2": "female"}),
        ("sex_0F_1M", {"0": "female", "1": "male"}),
        ("Gender [M: 1; F: 2]", {"1": "male", "2": "female"}),
        ("gender_m1f2", {"1": "male", "2": "female"}),
        ("male", {"1": "male", "0": "female"}),
        ("demo_sex_v2", {}),
        ("sex", {}),
        ("M/F", {}),
    ],
)
def test_codes_in_names(name: str, codes: dict[str, str]) -> None:
    assert codes_in_name(name) == codes


@pytest.mark.parametrize(
    "name",
    [
        "hip_change", "hip_pct_change", "delta_hip", "hip_diff", "hip_slope", "annual_change", "atrophy_rate",
        "DeltaHip", "rate of atrophy", "hip.percent.change", "hippocampus difference", "annualised_hip",
        "hip_change_from_baseline", "change_in_hip", "pct_change_hip", "change_per_year", "hip_change_2yr", "fa_diff",
        "PBVC", "annualized atrophy",
    ],
)  # fmt: skip
def test_names_of_changes(name: str) -> None:
    assert is_change(name)


@pytest.mark.parametrize(
    "name",
    [
        "Left-Lateral-Ventricle", "lh_difference_of_means", "exchange", "heart_rate", "rate", "CDRSB", "DXCHANGE",
        "left_right_difference", "delta_years", "delta_days", "time_diff", "brain_age_delta", "mean_diff", "diff_FA_cc",
        "brain_atrophy", "Right-Cerebellum-White-Matter", "different_volume", "lh_bankssts_thickness", "growth",
    ],
)  # fmt: skip
def test_names_that_only_look_like_changes(name: str) -> None:
    assert not is_change(name)

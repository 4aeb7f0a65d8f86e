"""What is known to be wrong with real tables is found; nothing is invented."""

import pytest

from nextscan.describing import describe
from nextscan.reading import read_cohort

pytestmark = pytest.mark.filterwarnings("ignore::nextscan.errors.NextscanWarning")
OPENNEURO = [f"openneuro/OpenNeuroTransfer_ct_{part}.csv" for part in ("te", "tr")]


@pytest.fixture(scope="module")
def features(shared_data):
    return shared_data / "features"


@pytest.fixture(scope="module")
def with_pool(features):
    pools = [features / name for name in (*OPENNEURO, "fcon1000/fcon1000.csv")]
    return describe(read_cohort(features / "nimh_cz" / "LNM_data.csv", unpaired=pools))


def warnings(description):
    return {finding.code for finding in description.findings if finding.level == "warning"}


def test_longitudinal_stream_alone(features):
    description = describe(read_cohort(features / "nimh_cz" / "LNM_data.csv"))
    assert warnings(description) == {"equal-at-both-visits", "jump"}
    # the back of this person's cortex is a fifth thinner after 15 months, on both sides: 51 features beyond 3 robust sd
    assert description.of("jump")[0].subjects == ("P025",)
    assert description.of("equal-at-both-visits")[0].columns == ("EstimatedTotalIntraCranialVol",)
    gap = description.facts["gap"]
    assert (round(gap["mean"], 2), round(gap["minimum"], 2), round(gap["maximum"], 2)) == (1.19, 0.86, 2.99)
    assert description.facts["sums"] == []
    # Carry forward reaches 0.904 on held-out subjects; the median over features lies there too.
    assert description.facts["repeat"]["median_r"] == pytest.approx(0.91, abs=0.01)


def test_pool_from_other_studies(with_pool):
    assert {"equal-at-both-visits", "pool-shift"} <= warnings(with_pool)
    assert with_pool.facts["pool"]["auc"] > 0.99
    assert with_pool.facts["pool"]["median_difference"] == pytest.approx(0.52, abs=0.02)
    assert any("share no site: NIMH-CZ against" in finding.text for finding in with_pool.of("selection"))


def test_pool_columns_filled_with_zeros_are_not_compared(with_pool):
    table = with_pool.tables["shift"].set_index("feature")
    assert table.loc["Left-Thalamus-Proper", "missing_pool"] > 0.3
    assert abs(table.loc["Left-Thalamus-Proper", "difference"]) < 2  # with zeros it would be −5 and more


def test_sums_of_freesurfer_tables(features):
    description = describe(read_cohort(features / OPENNEURO[0]))
    sums = {each["parent"]: set(each["parts"]) for each in description.facts["sums"]}
    assert sums["CortexVol"] == {"lhCortexVol", "rhCortexVol"}
    assert sums["CerebralWhiteMatterVol"] == {"lhCerebralWhiteMatterVol", "rhCerebralWhiteMatterVol"}
    assert sums["SurfaceHoles"] == {"lhSurfaceHoles", "rhSurfaceHoles"}
    ventricles = {"BrainSegVolNotVent", "SupraTentorialVol", "SupraTentorialVolNotVent"}
    assert sums["BrainSegVol"] == ventricles  # the last one is subtracted
    assert description.of("identical-features")[0].columns == ("eTIV", "EstimatedTotalIntraCranialVol")


def test_more_features_than_subjects(features):
    description = describe(read_cohort(features / "aomic_piop2" / "fs_stats"))
    assert "no-pairs" in warnings(description)
    assert {each["parent"] for each in description.facts["sums"]} == {
        "CortexVol",
        "CerebralWhiteMatterVol",
        "SurfaceHoles",
    }
    assert description.of("zero-filled")[0].columns == ("Left-vessel_mean", "Right-vessel_mean")


def test_synthetic_trajectories_are_clean(features):
    description = describe(read_cohort(features / "leaspy_synthetic" / "alzheimer.csv"))
    assert warnings(description) == set()
    assert " per subject, median 10" in str(description)

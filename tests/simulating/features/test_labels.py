import numpy as np
import pytest

from nextscan.simulating import simulate
from nextscan.simulating.features.labels import STANDARD


@pytest.fixture(scope="module")
def cohort():
    return simulate(n_subjects=41_706, n_features=1, n_pairs=0, seed=1)


def test_there_are_fourteen_labels_with_the_shares_of_uk_biobank(cohort):
    assert len(STANDARD) == 14
    assert {*cohort.labels, *cohort.visit_labels} == set(STANDARD)
    assert 75 < cohort.labels["parkinsonism"].sum() < 140  # 107 of 41,706
    for name in (
        "stroke",
        "dementia",
        "sleep_disorder",
        "multiple_sclerosis",
        "epilepsy",
        "migraine",
        "mortality",
    ):
        share = STANDARD[name][0]
        assert cohort.labels[name].mean() == pytest.approx(share, abs=5 * np.sqrt(share / 41_706)), name
    age = cohort.visit_labels["age"]
    assert (age.mean(), age.std()) == (pytest.approx(64.0, abs=0.3), pytest.approx(7.6, abs=0.2))
    assert cohort.labels["sex"].mean() == pytest.approx(0.47, abs=0.01)


def test_risks_go_with_their_conditions(cohort):
    labels, age = cohort.labels, cohort.visit_labels["age"]
    ill = labels["parkinsonism"] == 1
    assert age[ill].mean() > age.mean() + 2
    assert labels["pd_polygenic_score"][ill].mean() > 0.4
    assert labels["ad_polygenic_score"][labels["dementia"] == 1].mean() > 0.5
    assert labels["sex"][labels["migraine"] == 1].mean() < 0.4

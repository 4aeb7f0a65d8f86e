import json
from dataclasses import replace

import numpy as np
import pytest

from describing.describe_world import clean_cohort, with_values
from nextscan.describing import describe
from nextscan.errors import CohortError
from nextscan.simulating import simulate


@pytest.mark.parametrize("seed", range(4))
def test_clean_cohort_raises_no_warning(seed):
    description = describe(clean_cohort(seed=seed))
    assert [finding.code for finding in description.findings if finding.level == "warning"] == []
    assert {finding.code for finding in description.findings} <= {"pool-shift"}


@pytest.mark.parametrize("seed", range(3))
def test_heavy_tails_raise_no_warning(seed):
    found = describe(clean_cohort(seed=seed, tails=4)).findings
    assert [finding.code for finding in found if finding.level == "warning"] == []


def test_input_is_unchanged():
    cohort = clean_cohort()
    before = cohort.fingerprint()
    describe(with_values(cohort, lambda values: values.__setitem__((3, 0), -5.0)))
    describe(cohort)
    assert cohort.fingerprint() == before


def test_to_dict_is_json_and_holds_everything():
    description = describe(with_values(clean_cohort(), lambda values: values.__setitem__((3, 0), np.nan)))
    told = json.loads(json.dumps(description.to_dict(), allow_nan=False))
    assert told["facts"]["subjects"] == {"all": 140, "paired": 60, "single": 80, "pool": 80}
    assert told["facts"]["visits"]["per_subject"] == {"1": 80, "2": 60}
    assert told["facts"]["missing"]["cells"] == 1
    assert len(told["tables"]["features"]["rows"]) == 24
    assert told["tables"]["features"]["columns"][:2] == ["feature", "missing"]
    assert set(told["plots"]) == {"gap", "labels", "missing_map", "correlation", "ages"}


def test_explicit_pool_leaves_others_as_drop_outs():
    cohort = clean_cohort()
    description = describe(cohort, pool=cohort.subjects[100:])
    assert description.facts["subjects"]["pool"] == 40
    assert description.facts["pool"]["subjects"] == 40
    assert set(description.tables["selection"]["group"]) == {"without follow-up", "pool"}


def test_unknown_pool_subject_is_refused():
    with pytest.raises(CohortError, match="no subject named sub-x"):
        describe(clean_cohort(), pool=["sub-x"])


def test_nothing_observed_is_refused():
    cohort = clean_cohort()
    with pytest.raises(CohortError, match="no visit with features"):
        describe(replace(cohort, features=np.full_like(cohort.features, np.nan)))


@pytest.mark.parametrize("n_visits", [1, 2, 3])
def test_tiny_cohorts_are_described(n_visits):
    cohort = clean_cohort(n_paired=2, n_single=0)
    few = describe(cohort.select_visits(np.arange(4) < n_visits))
    assert few.facts["visits"]["observed"] == n_visits
    assert next(finding.code for finding in few.findings) == ("no-pairs" if n_visits < 2 else "few-pairs")


def test_single_feature_and_no_labels():
    cohort = clean_cohort().select_features(["region3_volume"])
    bare = replace(cohort, labels=cohort.labels[[]], visit_labels=cohort.visit_labels[[]])
    description = describe(bare)
    assert description.facts["features"] == 1
    assert len(description.tables["labels"]) == 0


def test_ages_are_sampled_from_both_kinds():
    ages = describe(clean_cohort(n_paired=300, n_single=300)).plots["ages"]
    paired = np.asarray(ages["paired"])
    assert (paired.sum(), (~paired).sum()) == (500, 250)


@pytest.mark.parametrize("world", ["linear", "hard"])
def test_simulated_worlds_raise_no_warning(world):
    description = describe(simulate(n_subjects=900, n_features=60, n_pairs=150, world=world, missing=0.01))
    assert [finding.code for finding in description.findings if finding.level == "warning"] == []
    assert description.facts["sums"] == []

"""Paired differences, ties and the distance to the best possible, against known answers."""

import numpy as np
import pandas as pd
import pytest

from nextscan.report.comparison import against, excess, leaders, paired_difference, relative_difference
from nextscan.report.metric_catalogue import metric
from nextscan.report.run_folder import Run


def test_paired_difference_is_students_interval():
    # Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t(0.975, 2) = 4.302653.
    found = paired_difference([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert found.value == pytest.approx(2.0)
    assert found.high - found.value == pytest.approx(4.302652729 / np.sqrt(3))
    assert (found.n, found.outcome) == (3, "tied")


def test_subjects_without_both_scores_are_left_out():
    found = paired_difference([2.0, np.nan, 3.0, 9.0], [1.0, 5.0, 1.9, np.nan])
    assert found.n == 2
    assert found.value == pytest.approx(1.05)


def test_relative_difference_agrees_with_the_bootstrap():
    rng = np.random.default_rng(0)
    reference = rng.gamma(20, 0.2, 400)
    scores = 1.1 * reference + 0.2 * rng.normal(size=400)
    found = relative_difference(scores, reference)
    rows = rng.integers(0, 400, (4000, 400))
    ratios = scores[rows].mean(axis=1) / reference[rows].mean(axis=1) - 1
    low, high = np.quantile(ratios, [0.025, 0.975])
    assert found.value == pytest.approx(scores.mean() / reference.mean() - 1)
    assert found.low == pytest.approx(low, abs=0.0006)
    assert found.high == pytest.approx(high, abs=0.0006)
    assert found.outcome == "higher"


@pytest.mark.parametrize("scores", [[], [1.0]])
def test_no_interval_without_two_subjects(scores):
    found = relative_difference(scores, scores)
    assert np.isnan(found.low)
    assert found.outcome == "unknown"


def made(values: dict[str, tuple[float, float, float]], name: str, per_subject=None) -> Run:
    """Make a run that holds one score only."""
    scores = pd.DataFrame(
        [
            {"method": method, "group": "all", "metric": name, "value": v, "low": low, "high": high, "n": 50}
            for method, (v, low, high) in values.items()
        ]
    )
    subjects = None
    if per_subject:
        subjects = pd.DataFrame(
            [
                {"method": method, "subject": str(i), "visit": "2", "metric": name, "value": value}
                for method, column in per_subject.items()
                for i, value in enumerate(column)
            ]
        )
    none = dict.fromkeys(("feature_scores", "predictions", "fans", "calibration", "learning"))
    return Run(None, {}, scores, 0, tuple(values), subject_scores=subjects, **none)


def test_paired_scores_separate_methods_whose_intervals_overlap():
    hard = np.linspace(1, 9, 50)  # subjects differ much more than methods
    noise = np.random.default_rng(1).normal(size=50)
    columns = {
        "ridge": hard,
        "mean-change": hard + 0.3 + 0.1 * noise,
        "carry-forward": hard + 0.02 + 0.5 * (noise - noise.mean()),
    }
    pooled = {name: (column.mean(), column.mean() - 1, column.mean() + 1) for name, column in columns.items()}
    run = made(pooled, "energy_score", columns)
    assert leaders(run, metric("energy_score")) == {"ridge", "carry-forward"}
    assert leaders(made(pooled, "energy_score"), metric("energy_score")) == set(columns)


def test_the_oracle_does_not_compete():
    run = made({"oracle": (1.0, 0.9, 1.1), "ridge": (2.0, 1.9, 2.1), "carry-forward": (3.0, 2.9, 3.1)}, "crps")
    assert leaders(run, metric("crps")) == {"ridge"}


def test_direction_and_target_decide_who_is_best():
    values = {"ridge": (0.70, 0.69, 0.71), "carry-forward": (0.82, 0.81, 0.83), "mean-change": (0.95, 0.94, 0.96)}
    assert leaders(made(values, "coverage_80"), metric("coverage_80")) == {"carry-forward"}
    assert leaders(made(values, "crps"), metric("crps")) == {"ridge"}
    assert leaders(made(values, "pearson_per_feature"), metric("pearson_per_feature")) == {"mean-change"}
    assert leaders(made(values, "unheard_of"), metric("unheard_of")) == set()


def test_undefined_scores_lead_nothing():
    nothing = (float("nan"),) * 3
    assert leaders(made({"ridge": nothing, "carry-forward": (1, 0, 2)}, "crps"), metric("crps")) == {"carry-forward"}
    assert leaders(made({"ridge": nothing}, "crps"), metric("crps")) == set()


def test_excess_is_relative_to_the_oracle_on_the_same_subjects():
    oracle = np.array([1.0, 2.0, 3.0])
    columns = {"ridge": 1.3 * oracle, "oracle": oracle}
    run = made({name: (column.mean(), 0, 9) for name, column in columns.items()}, "energy_score", columns)
    assert excess(run)["ridge"].value == pytest.approx(0.3)
    assert excess(run)["ridge"].high == pytest.approx(0.3)
    assert list(excess(run)) == ["ridge"]
    assert against(run, "energy_score", "ridge", "nobody") is None


def test_scores_of_a_subject_are_averaged_over_seeds_first():
    run = made({"ridge": (2, 1, 3), "carry-forward": (2, 1, 3)}, "crps", {"ridge": [1, 3], "carry-forward": [2, 2]})
    again = run.subject_scores.assign(value=run.subject_scores["value"] + 2)
    both = Run(**{**vars(run), "subject_scores": pd.concat([run.subject_scores, again])})
    assert against(both, "crps", "ridge", "carry-forward").n == 2
    assert against(both, "crps", "ridge", "carry-forward").value == pytest.approx(0.0)

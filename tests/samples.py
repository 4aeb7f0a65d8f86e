"""Small cohorts for tests."""

import numpy as np
import pandas as pd

from nextscan.cohort import Cohort


def tiny_cohort(n_paired: int = 40, n_single: int = 20, n_features: int = 6, seed: int = 0) -> Cohort:
    """Make a small linear-Gaussian cohort: stable part, noise per visit, drift with years, two labels."""
    generator = np.random.default_rng(seed)
    n = n_paired + n_single
    visits_of = np.where(np.arange(n) < n_paired, 2, 1)
    subject_of = np.repeat(np.arange(n), visits_of)
    first = np.r_[True, np.diff(subject_of) > 0]
    gap = generator.uniform(1, 4, n)
    years = np.where(first, 0.0, gap[subject_of])
    loading = generator.normal(size=(3, n_features))
    stable = generator.normal(size=(n, 3)) @ loading + 0.3 * generator.normal(size=(n, n_features))
    noise = 0.3 * generator.normal(size=(len(subject_of), n_features))
    level = 10 * np.arange(1, n_features + 1)
    values = level + stable[subject_of] - 0.2 * years[:, None] + noise
    age = generator.uniform(45, 80, n)
    return Cohort(
        name="tiny",
        subjects=np.array([f"sub-{i:03d}" for i in range(n)]),
        subject_of=subject_of,
        visits=np.where(first, "1", "2"),
        years=years,
        features=values,
        feature_names=tuple(f"feature-{i}" for i in range(n_features)),
        labels=pd.DataFrame({"sex": np.where(generator.random(n) < 0.5, "F", "M")}),
        visit_labels=pd.DataFrame({"age": age[subject_of] + years}),
        units={"feature-0": "mm3"},
    )


def many_visits(n_subjects: int, n_visits: int = 6, n_features: int = 60, seed: int = 1) -> Cohort:
    """Make subjects with many visits, two years apart: stable part, noise per visit, drift; one law for all seeds."""
    loading = np.random.default_rng(0).normal(size=(5, n_features))
    generator = np.random.default_rng(seed)
    subject_of = np.repeat(np.arange(n_subjects), n_visits)
    visit = np.tile(np.arange(n_visits), n_subjects)
    stable = generator.normal(size=(n_subjects, 5)) @ loading + 0.5 * generator.normal(size=(n_subjects, n_features))
    noise = 0.5 * generator.normal(size=(len(subject_of), n_features))
    return Cohort(
        name="many visits",
        subjects=np.array([f"sub-{i:03d}" for i in range(n_subjects)]),
        subject_of=subject_of,
        visits=(visit + 1).astype(str),
        years=2.0 * visit,
        features=50 + stable[subject_of] - 0.1 * visit[:, None] + noise,
        feature_names=tuple(f"feature-{i}" for i in range(n_features)),
        labels=pd.DataFrame(index=range(n_subjects)),
        visit_labels=pd.DataFrame(index=range(len(subject_of))),
        units={},
    )

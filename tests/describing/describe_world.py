"""A clean, brain-like cohort to plant problems in."""

from dataclasses import replace

import numpy as np
import pandas as pd

from nextscan.cohort import Cohort


def clean_cohort(n_paired=60, n_single=80, n_features=24, seed=0, tails=None) -> Cohort:
    """Make volumes (mm³, one decimal, skewed) and thicknesses (mm, three decimals) of healthy people."""
    generator = np.random.default_rng(seed)
    n = n_paired + n_single
    subject_of = np.repeat(np.arange(n), np.where(np.arange(n) < n_paired, 2, 1))
    first = np.r_[True, np.diff(subject_of) > 0]
    years = np.where(first, 0.0, generator.uniform(1, 4, n)[subject_of])
    draw = generator.standard_normal if tails is None else lambda shape: generator.standard_t(tails, shape)
    loading = generator.normal(size=(4, n_features))
    stable = draw((n, 4)) @ loading / 2 + 0.7 * draw((n, n_features))
    z = stable[subject_of] + 0.35 * draw((len(subject_of), n_features)) - 0.05 * years[:, None]
    half = n_features // 2
    values = np.empty_like(z)
    values[:, :half] = np.round(np.exp(np.linspace(5, 10, half) + 0.15 * z[:, :half]), 1)
    values[:, half:] = np.round(2.5 * np.exp(0.05 * z[:, half:]), 3)
    names = [f"region{i}_volume" for i in range(half)] + [f"region{i}_thickness" for i in range(half, n_features)]
    age = generator.uniform(45, 80, n)
    return Cohort(
        name="clean",
        subjects=np.array([f"sub-{i:03d}" for i in range(n)]),
        subject_of=subject_of,
        visits=np.where(first, "1", "2"),
        years=years,
        features=values,
        feature_names=tuple(names),
        labels=pd.DataFrame({"sex": np.where(generator.random(n) < 0.5, "F", "M")}),
        visit_labels=pd.DataFrame(
            {"age": age[subject_of] + years, "site": generator.choice(["north", "south"], n)[subject_of]}
        ),
        units={"region0_volume": "mm3"},
    )


def with_values(cohort, change) -> Cohort:
    """Return the cohort after `change(values)` on a copy of its features."""
    values = cohort.features.copy()
    change(values)
    return replace(cohort, features=values)


def with_column(cohort, name, values) -> Cohort:
    """Return the cohort with one more feature."""
    features = np.column_stack([cohort.features, values])
    return replace(cohort, features=features, feature_names=(*cohort.feature_names, name))


def with_visit_label(cohort, name, values) -> Cohort:
    """Return the cohort with a visit label set."""
    return replace(cohort, visit_labels=cohort.visit_labels.assign(**{name: values}))

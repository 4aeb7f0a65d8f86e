"""Whether those without a follow-up resemble those with one: labels, features, and a classifier."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from nextscan.arrays import BoolArray, FloatArray, IntArray
from nextscan.cohort.findings import Finding, Level
from nextscan.describing.data import Observed
from nextscan.describing.labels import SITE, is_number, level_name
from nextscan.describing.part import Part
from nextscan.errors import some
from nextscan.wording import counted, few, percentage, signed

_LEAST = 20  # subjects in each group
_MOST = 1000  # subjects of each group given to the classifier
_CERTAIN = 0.001  # p-value from which a difference is mentioned


def selection(data: Observed) -> Part:
    """Compare the labels of paired subjects at their first visit with those of other groups.

    Groups are the pool and the remaining subjects with a single observed visit. The table
    ``selection`` holds, per label and group: the standardised difference of means (in sd of the
    paired) of a number, or the total variation distance of a category, and a p-value (Welch's z,
    Pearson's chi squared).
    """
    paired, single, pool = _groups(data)
    rows: list[dict[str, object]] = []
    findings: list[Finding] = []
    for group, members, who in (
        ("without follow-up", single, "subjects with a follow-up"),
        ("pool", pool, "paired subjects"),
    ):
        if min(len(paired), len(members)) < _LEAST:
            continue
        ours = data.cohort.labels_at(data.rows[paired])
        theirs = data.cohort.labels_at(data.rows[members])
        for name in ours:
            compared = _compare(ours[name].dropna(), theirs[name].dropna())
            if not compared:
                continue
            rows.append({"label": str(name), "group": group, **compared})
            if text := _difference(str(name), ours[name], theirs[name], compared, who, group):
                findings.append(Finding("note", "selection", text, (str(name),)))
    return Part({}, tuple(findings), {"selection": pd.DataFrame(rows)})


def _groups(data: Observed) -> tuple[IntArray, IntArray, IntArray]:
    of = data.subject[data.first]
    paired, pool = data.cohort.is_paired[of] & ~data.in_pool[of], data.in_pool[of]
    return data.first[paired], data.first[~paired & ~pool], data.first[pool]


def _compare(ours: pd.Series, theirs: pd.Series) -> dict[str, object]:
    if min(len(ours), len(theirs)) < _LEAST:
        return {}
    both = pd.concat([ours, theirs])
    if is_number(both):
        a, b = ours.to_numpy(float), theirs.to_numpy(float)
        sd = a.std(ddof=1)
        error = math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
        if sd == 0 or error == 0:
            return {}
        z = abs(a.mean() - b.mean()) / error
        return {
            "type": "number",
            "paired": a.mean(),
            "others": b.mean(),
            "difference": (b.mean() - a.mean()) / sd,
            "p": math.erfc(z / math.sqrt(2)),
        }
    from scipy.special import chdtrc

    a, b = (part.astype(str).value_counts() for part in (ours, theirs))
    levels = a.index.union(b.index)
    if len(levels) < 2:
        return {}
    counts = np.stack([a.reindex(levels, fill_value=0), b.reindex(levels, fill_value=0)]).astype(float)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    shares = counts / counts.sum(axis=1, keepdims=True)
    return {
        "type": "category",
        "paired": np.nan,
        "others": np.nan,
        "difference": 0.5 * np.abs(shares[0] - shares[1]).sum(),
        "p": float(chdtrc(len(levels) - 1, ((counts - expected) ** 2 / expected).sum())),
    }


def _difference(
    name: str, ours: pd.Series, theirs: pd.Series, compared: dict[str, object], who: str, group: str
) -> str:
    """Say a difference in words if it is certain and not small, else nothing."""
    size, p = float(str(compared["difference"])), float(str(compared["p"]))
    if p > _CERTAIN or abs(size) < (0.2 if compared["type"] == "number" else 0.1):
        return ""
    other = "the pool" if group == "pool" else "those without"
    if compared["type"] == "number":
        return f"{who} differ in {name}: mean {ours.mean():.3g}, {other} {theirs.mean():.3g} ({signed(size)} sd)"
    known = {level_name(level) for level in ours.dropna().unique()}
    strange = [strange_name for level in theirs.dropna().unique() if (strange_name := level_name(level)) not in known]
    if SITE.search(name) and size > 0.99:
        return f"{other} and {who} share no {name}: {some(sorted(known))} against {some(strange)}"
    shares = [part.dropna().map(level_name).value_counts(normalize=True) for part in (ours, theirs)]
    parts = [
        f"{level} {percentage(shares[0].get(level, 0.0))} against {percentage(shares[1].get(level, 0.0))}"
        for level in [*sorted(known), *strange][:3]
    ]
    return f"{who} differ from {other} in {name}: {', '.join(parts)}"


def shift(data: Observed, *, seed: int = 0) -> Part:
    """Compare the features of the pool with those of the paired subjects' first visits.

    The table ``shift`` holds, per feature: ``difference``, pool minus paired mean in sd of the paired;
    ``adjusted``, the same after a regression on age, its square and sex over both groups (where these
    are known), which parts another age distribution from another scanner; ``variance_ratio``, pool
    over paired; ``missing_paired`` and ``missing_pool``.

    The *classifier* is a ridge-penalised logistic regression on all features; its area under the ROC
    curve in five-fold cross-validation says how easily a subject of the pool is told from one of the
    cohort: 0.5 not at all, 1 always. At most 1,000 subjects of each group are used.
    """
    paired, _, pool = _groups(data)
    if min(len(paired), len(pool)) < _LEAST:
        return Part()
    ours, theirs = data.values[paired], data.values[pool]
    (n_a, mean_a, var_a), (n_b, mean_b, var_b) = _moments(ours), _moments(theirs)
    usable = (np.minimum(n_a, n_b) >= _LEAST) & (var_a > 0)
    sd = np.sqrt(np.where(usable, var_a, np.nan))
    covariates, names = _covariates(data, rows := np.concatenate([paired, pool]))
    adjusted = _adjusted(data, rows, len(paired), covariates) if names else np.full(len(sd), np.nan)
    table = pd.DataFrame(
        {
            "feature": data.names,
            "difference": (mean_b - mean_a) / sd,
            "adjusted": adjusted / sd,
            "variance_ratio": np.where(usable, var_b, np.nan) / sd**2,
            "missing_paired": 1 - n_a / len(paired),
            "missing_pool": 1 - n_b / len(pool),
        }
    )
    error = np.sqrt(1 / np.maximum(n_a, 1) + (var_b / sd**2) / np.maximum(n_b, 1))
    complete = usable & (table[["missing_paired", "missing_pool"]].max(axis=1) < 0.2).to_numpy()
    auc, auc_error = _auc(ours[:, complete], theirs[:, complete], seed)
    size = table["difference"].abs().to_numpy()
    certain = size > 0.5 + 4 * error
    facts = {
        "pool": {
            "subjects": len(pool),
            "paired": len(paired),
            "auc": auc,
            "auc_error": auc_error,
            "median_difference": float(table["difference"].abs().median()),
            "adjusted_for": names,
            "median_adjusted": float(table["adjusted"].abs().median()),
            "shifted": int(certain.sum()),
        }
    }
    findings = [*_shift_finding(table, facts["pool"], certain), *_absent(data, table)]
    return Part(facts, tuple(findings), {"shift": table})


def _moments(values: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    n = (~np.isnan(values)).sum(axis=0)
    mean = np.nansum(values, axis=0) / np.maximum(n, 1)
    return n, mean, np.nansum((values - mean) ** 2, axis=0) / np.maximum(n - 1, 1)


def _covariates(data: Observed, rows: IntArray) -> tuple[FloatArray, tuple[str, ...]]:
    """Return age, its square and sex of some visits, as far as there are such labels, and their names."""
    known = data.cohort.labels_at(data.rows[rows])
    columns, names = [np.ones(len(rows))], []
    if "age" in known and pd.api.types.is_numeric_dtype(known["age"]) and known["age"].notna().any():
        age = known["age"].to_numpy(float)
        age = (age - np.nanmean(age)) / max(float(np.nanstd(age)), 1e-12)
        columns += [age, age**2]
        names.append("age")
    if "sex" in known and known["sex"].nunique() == 2:
        sex = known["sex"]
        columns.append(np.where(sex.isna(), np.nan, sex == sex.dropna().iloc[0]).astype(float))
        names.append("sex")
    return np.stack(columns, axis=1), tuple(names)


def _adjusted(data: Observed, rows: IntArray, n_paired: int, covariates: FloatArray) -> FloatArray:
    """Return the effect of being in the pool beside the covariates, by least squares, (n_features,)."""
    design = np.column_stack([np.arange(len(rows)) >= n_paired, covariates]).astype(float)
    stay = ~np.isnan(design).any(axis=1)
    design, values = design[stay], data.values[rows[stay]]
    present = (~np.isnan(values)).astype(float)
    squares = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    gram = (present.T @ squares).reshape(-1, design.shape[1], design.shape[1])
    product = np.nan_to_num(values).T @ design
    enough = np.minimum(gram[:, 0, 0], gram[:, 1, 1] - gram[:, 0, 0]) >= _LEAST
    effect = np.einsum("fij,fj->fi", np.linalg.pinv(gram, hermitian=True), product)[:, 0]
    return np.where(enough, effect, np.nan)


def _auc(ours: FloatArray, theirs: FloatArray, seed: int) -> tuple[float, float]:
    """Return the cross-validated area under the ROC curve and its standard error (Hanley & McNeil 1982)."""
    if not ours.shape[1]:
        return np.nan, np.nan
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    generator = np.random.default_rng(seed)
    groups = [part[generator.permutation(len(part))[:_MOST]] if len(part) > _MOST else part for part in (ours, theirs)]
    features = np.concatenate(groups)
    truth = np.repeat([0, 1], [len(part) for part in groups])
    model = make_pipeline(
        SimpleImputer(strategy="median"),
        StandardScaler(),
        LogisticRegression(C=0.01, class_weight="balanced", tol=1e-3, max_iter=2000),
    )
    splitter = StratifiedKFold(5, shuffle=True, random_state=seed)
    score = cross_val_predict(model, features, truth, cv=splitter, method="decision_function")
    auc = float(roc_auc_score(truth, score))
    n_a, n_b = map(len, groups)
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (n_b - 1) * (q1 - auc**2) + (n_a - 1) * (q2 - auc**2)
    return auc, math.sqrt(max(variance, 0.0) / (n_a * n_b))


def _shift_finding(table: pd.DataFrame, fact: dict[str, Any], certain: BoolArray) -> list[Finding]:
    auc = fact["auc"]
    if math.isnan(auc):
        return []
    least = auc - 2 * fact["auc_error"]
    level: Level = "warning" if least > 0.8 else "note" if least > 0.6 else "info"
    order = table["difference"].abs().sort_values(ascending=False, kind="stable").index
    named = [f"{table['feature'][i]} {signed(table['difference'][i])} sd" for i in order if certain[i]]
    how = "always" if auc > 0.995 else "easily" if auc > 0.8 else "sometimes" if least > 0.6 else "hardly"
    text = f"pool and paired cohort can {how} be told apart (AUC {auc:.2f} ± {2 * fact['auc_error']:.2f})"
    if named:
        text += f"; {counted(len(named), 'feature')} shifted by more than half an sd: {few(named)}"
    adjusted = fact["median_adjusted"]
    if named and not math.isnan(adjusted):
        equal = " and ".join(fact["adjusted_for"])
        text += f" (median shift {fact['median_difference']:.2f} sd, {adjusted:.2f} at equal {equal})"
    if level == "warning":
        text += "; let held-out scores decide whether the pool helps"
    names = tuple(table["feature"][certain])
    return [Finding(level, "pool-shift", text, names)]


def _absent(data: Observed, table: pd.DataFrame) -> list[Finding]:
    gone = ((table["missing_pool"] > 0.5) & (table["missing_paired"] < 0.5)).to_numpy()
    if not gone.any():
        return []
    names = data.names[gone]
    text = (
        f"{counted(int(gone.sum()), 'feature')} mostly missing in the pool but not in the paired cohort: "
        f"{few(names)}; the pool teaches nothing about them"
    )
    return [Finding("note", "absent-in-pool", text, tuple(names))]

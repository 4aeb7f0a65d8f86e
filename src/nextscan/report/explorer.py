"""Any feature's predicted against real change, drawn in the browser from data packed into the page."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nextscan.report.methods import method_looks, title
from nextscan.report.metric_catalogue import metric
from nextscan.report.page import Fragment, render_template
from nextscan.report.run_folder import Predictions, Run, featured
from nextscan.wording import capital, count

BUDGET = 4_000_000  # bytes of packed values; base64 makes a third more of them
MISSING = -32768
_SCORES = ("rmse", "crps", "change_correlation")


@dataclass(frozen=True, eq=False)
class Packed:
    """Values as 16-bit codes with a range per feature, precise to 1/65534 of it.

    Attributes
    ----------
    codes : ndarray of int16, shape (n_features, n_series, n_rows)
        ``value = low + (code + 32767) / 65534 * (high - low)``; `MISSING` where there is none.
    low, high : ndarray of float, shape (n_features,)
    """

    codes: NDArray[np.int16]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def text(self) -> str:
        """Return the codes as base64 of little-endian 16-bit integers."""
        return base64.b64encode(self.codes.astype("<i2").tobytes()).decode()


def pack(series: NDArray[np.float32]) -> Packed:
    """Pack values of shape (n_series, n_rows, n_features); NaN means missing.

    >>> packed = pack(np.array([[[0.0], [2.0]], [[1.0], [np.nan]]], np.float32))
    >>> packed.codes[0].tolist(), packed.low.tolist(), packed.high.tolist()
    ([[-32767, 32767], [0, -32768]], [0.0], [2.0])
    """
    values = np.ascontiguousarray(series.transpose(2, 0, 1), np.float64)
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(axis=(1, 2), initial=np.inf)
    high = np.where(known, values, -np.inf).max(axis=(1, 2), initial=-np.inf)
    low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
    span = np.where(high > low, high - low, 1.0)[:, None, None]
    share = (np.where(known, values, low[:, None, None]) - low[:, None, None]) / span
    codes = np.where(known, np.rint(share * 65534) - 32767, MISSING).astype(np.int16)
    return Packed(codes, low, high)


def explorer(run: Run, predictions: Predictions) -> Fragment | None:
    """Return the feature explorer, or None where no method has a predictive mean.

    All methods are packed; of the subjects, as many as the budget of the page allows.
    """
    methods = [method for method in run.methods if predictions.of("mean", method) is not None]
    if not methods:
        return None
    n, d = predictions.truth.shape
    fitting = max(50, BUDGET // (2 * d * (1 + len(methods))))
    rows = np.arange(n) if n <= fitting else np.sort(np.random.default_rng(0).choice(n, fitting, replace=False))
    series = [predictions.real_change[rows]]
    for method in methods:
        mean = predictions.of("mean", method)
        assert mean is not None
        series.append(mean[rows] - predictions.context[rows])
    packed = pack(np.stack(series))
    looks = method_looks(run.methods)
    first = featured(run, limit=1)
    head = {
        "features": list(predictions.feature_names),
        "start": next(iter(predictions.most_changing(1)), 0),
        "methods": [
            {"title": capital(title(method)), "colour": looks[method].colour, "marker": looks[method].marker}
            for method in methods
        ],
        "shown": [methods.index(method) if method in methods else 0 for method in (first[0], first[-1])],
        "subjects": len(rows),
        "low": _short(packed.low),
        "high": _short(packed.high),
        "scores": _scores(run, methods, predictions.feature_names),
    }
    note = "" if len(rows) == n else f"{count(len(rows))} of {count(n)} subjects, chosen at random, are in this plot."
    html = render_template("explorer.html", head=head, data=packed.text(), n=d, note=note)
    return Fragment(html, script="explorer.js")


def _scores(run: Run, methods: list[str], features: tuple[str, ...]) -> list[dict[str, object]]:
    """Return per score its title and, per method, a value per feature."""
    if run.feature_scores is None:
        return []
    found: list[dict[str, object]] = []
    for name in _SCORES:
        rows = run.feature_scores[run.feature_scores["metric"] == name]
        if rows.empty:
            continue
        table = rows.pivot_table(index="feature", columns="method", values="value", dropna=False)
        values = [_short(table[m].reindex(features).to_numpy(float)) if m in table else [] for m in methods]
        found.append({"title": metric(name).title, "direction": metric(name).direction, "values": values})
    return found


def _short(values: NDArray[np.float64]) -> list[float | None]:
    """Return numbers for JSON with seven figures, None where there is none."""
    return [float(f"{value:.7g}") if np.isfinite(value) else None for value in values]

"""From native units to what SECONDGRAM's network sees, and back; learned on training subjects only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nextscan.cohort import Cohort, pairs
from nextscan.imputers.secondgram.presets import SecondgramSettings
from nextscan.preprocess import CellImputer, FeatureScaler, LabelEncoder, context_rows

FloatArray = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Encoding:
    """Scaled visits, conditions and diffusion targets.

    The diffusion target is ``whiten · (s2 - offset - slope ∘ s1)`` with scaled context s1 and scaled
    follow-up s2. For `target="follow-up"` (the paper) offset and slope are 0 and `whiten` the identity.

    Attributes
    ----------
    scaler, cells, labels
        Preprocessing.
    offset, slope : ndarray, shape (2, n_features)
        Each feature's regression on its own context value, in scaled units; row 0 for real pairs, row 1
        for a visit paired with its noised self, which has another mean (the unpaired may come from
        other sites) and another reliability.
    whiten, colour : ndarray, shape (n_features, n_features), or None for the identity
        Residuals to unit covariance and back; `colour` is the inverse of `whiten`.
    mean_gap : float
        Unit of the interval in the condition, years.
    """

    scaler: FeatureScaler
    cells: CellImputer
    labels: LabelEncoder
    offset: FloatArray
    slope: FloatArray
    whiten: FloatArray | None
    colour: FloatArray | None
    mean_gap: float
    use_years: bool
    flagged: bool

    @classmethod
    def fit(cls, train: Cohort, settings: SecondgramSettings) -> Self:
        """Learn scale, gaps, labels and, where asked for, regression and residual covariance."""
        found = pairs(train)
        scaler = FeatureScaler.fit(train, per_visit=settings.per_visit_scale)
        cells = CellImputer.fit(train.features, names=train.feature_names)
        labels = LabelEncoder.fit(train.labels_at(context_rows(train)))
        gap = found.gap[np.isfinite(found.gap) & (found.gap > 0)]
        offset, slope = np.zeros((2, 2, train.n_features))
        whiten = colour = None
        if settings.target == "residual":
            first = scaler.transform(cells.transform(train.features[found.context]), 0)
            second = scaler.transform(cells.transform(train.features[found.target]), 1)
            offset[0], slope[0] = _regress(first, second)
            whiten, colour = _whitening(second - offset[0] - slope[0] * first)
            single = np.setdiff1d(context_rows(train), found.context)
            alone = scaler.transform(train.features[single] if len(single) else train.features[found.context], 0)
            spread, noise = np.nanvar(alone, axis=0), (colour**2).sum(axis=1)
            slope[1] = np.divide(spread, spread + noise, out=np.ones_like(spread), where=spread > 0)
            offset[1] = (1 - slope[1]) * np.nanmean(alone, axis=0)
        return cls(
            scaler=scaler,
            cells=cells,
            labels=labels,
            offset=offset,
            slope=slope,
            whiten=whiten,
            colour=colour,
            mean_gap=float(gap.mean()) if len(gap) else 1.0,
            use_years=settings.use_years,
            flagged=settings.self_conditioning == "measured",
        )

    def scaled(self, features: FloatArray, visit: int) -> NDArray[np.float32]:
        """Fill gaps and scale: native (n, n_features) to [-1, 1]."""
        return self.scaler.transform(self.cells.transform(features), visit).astype(np.float32)

    @property
    def n_extra(self) -> int:
        """Number of columns of `extra`."""
        return len(self.labels.names) + 2 * self.use_years + self.flagged

    def extra(self, labels: pd.DataFrame, gap: FloatArray) -> NDArray[np.float32]:
        """Return what conditions besides the context features, shape (n, n_extra).

        Labels; interval in units of the mean training interval and whether it is known, where years
        are used; last, a flag that is 1 for a visit paired with itself, where that is flagged.
        """
        known = np.isfinite(gap)
        years = np.column_stack([np.where(known, gap, 0.0) / self.mean_gap, known])
        blocks = [self.labels.transform(labels)]
        blocks += [years] * self.use_years + [np.zeros((len(gap), 1))] * self.flagged
        return np.concatenate(blocks, axis=1).astype(np.float32)

    def native(self, target: FloatArray, context: FloatArray) -> FloatArray:
        """Return diffusion targets (..., n, n_features) to native units, given scaled contexts (n, n_features)."""
        residual = target if self.colour is None else target @ self.colour.T.astype(target.dtype)
        scaled = residual + (self.offset[0] + self.slope[0] * context).astype(target.dtype)
        native = self.scaler.inverse(scaled, 1)
        return native.astype(np.float32)

    def state(self) -> dict[str, Any]:
        """Return what was learned."""
        parts = ("scaler", "cells", "labels")
        return {name: getattr(self, name).state() if name in parts else value for name, value in vars(self).items()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Rebuild from `state`."""
        return cls(
            **{
                **state,
                "scaler": FeatureScaler.from_state(state["scaler"]),
                "cells": CellImputer.from_state(state["cells"]),
                "labels": LabelEncoder.from_state(state["labels"]),
            }
        )


def _regress(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Regress each column of `second` on the same column of `first`; slope 1 where `first` is constant."""
    centred = first - first.mean(0)
    variance = (centred**2).sum(0)
    slope = np.where(variance > 0, (centred * second).sum(0) / np.where(variance > 0, variance, 1.0), 1.0)
    return second.mean(0) - slope * first.mean(0), slope


def _whitening(residual: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return W and its inverse with W r of unit covariance, by Ledoit-Wolf on standardised residuals."""
    from sklearn.covariance import ledoit_wolf

    # Two coefficients per feature were estimated from the same pairs.
    sd = np.sqrt((residual**2).sum(0) / max(len(residual) - 2, 1))
    safe = np.where(sd > 0, sd, 1.0)
    covariance, _ = ledoit_wolf(residual / safe, assume_centered=True)
    covariance *= len(residual) / max(len(residual) - 2, 1)
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 1e-6 * values[-1])
    whiten = (vectors / np.sqrt(values)).T / safe
    colour = sd[:, None] * vectors * np.sqrt(values)  # a constant residual stays constant
    return whiten, colour

"""How hearts of the groups differ: normal laws of their traits, given sex, size of the body and heart rate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nextscan.arrays import BoolArray, FloatArray
from nextscan.simulating.hearts.beat import TRAITS

GROUPS = ("NOR", "DCM", "HCM", "MINF", "RV")
"""Normal; dilated; thick; after an infarct; abnormal right chamber: the groups of ACDC."""
COVARIATES = ("log body surface past 1.865 m2", "female, -0.5 or 0.5", "heart rate past 70, in tens")
CUT = 2.5
"""Independent normal numbers are cut here, so that there is a largest heart."""
_CUT_SD = 0.9546  # spread of a normal number cut there

# end-diastolic volume in mL and ejection fraction in %, mean and spread; correlation of their log and logit.
# Means and spreads are those of 30 patients per group of ACDC; correlations lie between those that their end-systolic
# spreads ask for and those that all groups together do (-0.68).
_VOLUMES = {
    "NOR": (129.5, 28.7, 62.5, 5.9, -0.12),
    "DCM": (283.1, 51.6, 19.7, 8.3, -0.14),
    "HCM": (131.9, 34.3, 69.9, 9.3, -0.02),
    "MINF": (180.7, 45.7, 30.9, 8.1, -0.20),
    "RV": (114.7, 37.2, 56.9, 7.3, -0.15),
}
_HEART_RATE = {"NOR": (66, 9), "DCM": (78, 12), "HCM": (66, 9), "MINF": (70, 11), "RV": (74, 11)}
# trait -> middle of each group in the order of GROUPS, and spread
_MIDDLE: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "loss": ((-2.9, -2.9, -2.9, 0.4, -2.9), (0.3, 0.3, 0.3, 0.5, 0.3)),
    "asymmetry": ((0.05, 0.03, 0.30, 0.05, 0.05), (0.05, 0.05, 0.10, 0.05, 0.05)),
    "log_wall": (tuple(np.log((92, 168, 150, 135, 90))), (0.17,) * 5),
    "log_length": (tuple(np.log((88, 103, 86, 95, 84))), (0.05,) * 5),
    "log_excursion": (tuple(np.log((13, 6, 10, 8.5, 11.5))), (0.20,) * 5),
    "log_rv_esv": (tuple(np.log((65, 95, 58, 72, 145))), (0.24, 0.25, 0.24, 0.24, 0.18)),
    "log_rv_ratio": ((0.0,) * 5, (0.06,) * 5),
    "es_time": ((0.35, 0.41, 0.365, 0.37, 0.38), (0.022,) * 5),
    "log_power": ((np.log(0.85),) * 5, (0.12,) * 5),
    "log_relaxation": (tuple(np.log((0.045, 0.055, 0.06, 0.055, 0.05))), (0.25,) * 5),
    "filling": ((-0.4, 0.0, 0.1, -0.1, -0.2), (0.30,) * 5),
    "passive": ((1.10, 0.60, 0.50, 0.70, 0.90), (0.25,) * 5),
    "kick": ((0.84,) * 5, (0.015,) * 5),
    "log_rv_delay": ((0.0,) * 5, (0.04,) * 5),
}
_EFFECTS = {  # trait -> effect of each of COVARIATES
    "log_edv": (0.83, 0.0, 0.0),
    "ef": (0.0, 0.12, 0.0),
    "log_wall": (1.0, -0.14, 0.0),
    "log_length": (0.2, -0.02, 0.0),
    "log_rv_esv": (0.8, -0.08, 0.0),
    "es_time": (0.0, 0.005, 0.012),
    "filling": (0.0, 0.0, 0.20),
    "passive": (0.0, 0.0, -0.08),
}
_LOADINGS = {  # trait -> how it goes with earlier ones of the same heart, in spreads
    "ef": {"loss": -0.35},
    "log_wall": {"log_edv": 0.45},
    "log_length": {"log_edv": 0.70},
    "log_excursion": {"log_edv": 0.20, "ef": 0.50},
    "log_rv_esv": {"log_edv": 0.30, "ef": -0.20},
    "es_time": {"ef": -0.35},
    "log_power": {"ef": -0.25},
    "log_relaxation": {"log_wall": 0.25},
    "filling": {"log_wall": 0.25},
    "passive": {"log_wall": -0.30, "ef": 0.20},
}
_BODY_SURFACE_SD = 0.11  # of its log


@dataclass(frozen=True, eq=False)
class Physiology:
    """Traits of a group are jointly normal: mean + covariates·effect + spread·root·z, z standard normal cut at `CUT`.

    Attributes
    ----------
    shares : ndarray of float, shape (n_groups,)
        Of people; they sum to 1.
    mean : ndarray of float, shape (n_groups, n_traits)
    effect : ndarray of float, shape (n_covariates, n_traits)
    spread : ndarray of float, shape (n_groups, n_traits)
    root : ndarray of float, shape (n_groups, n_traits, n_traits)
        Lower triangles with rows of length 1: roots of correlations.
    """

    shares: FloatArray
    mean: FloatArray
    effect: FloatArray
    spread: FloatArray
    root: FloatArray

    @classmethod
    def usual(cls, shares: FloatArray) -> Physiology:
        """Return the physiology of the people `simulate_hearts` makes."""
        n, at = len(TRAITS), {name: position for position, name in enumerate(TRAITS)}
        effect = np.array([_EFFECTS.get(name, (0.0, 0.0, 0.0)) for name in TRAITS]).T
        mean, spread, root = np.empty((5, n)), np.empty((5, n)), np.zeros((5, n, n))
        for name, (middles, spreads) in _MIDDLE.items():
            mean[:, at[name]], spread[:, at[name]] = middles, spreads
        for g, (edv, edv_sd, ef, ef_sd, together) in enumerate(_VOLUMES[group] for group in GROUPS):
            variance = np.log1p((edv_sd / edv) ** 2)
            of_body = (effect[0, at["log_edv"]] * _BODY_SURFACE_SD) ** 2
            mean[g, at["log_edv"]] = np.log(edv) - variance / 2
            spread[g, at["log_edv"]] = np.sqrt(variance - of_body)
            mean[g, at["ef"]], whole = _logit_normal(ef / 100, ef_sd / 100)
            spread[g, at["ef"]] = np.sqrt(whole**2 - (effect[1, at["ef"]] / 2) ** 2)
            own = together * np.sqrt(variance) * whole / spread[g, at["log_edv"]] / spread[g, at["ef"]]
            for name in TRAITS:
                loadings = {**_LOADINGS.get(name, {}), **({"log_edv": own} if name == "ef" else {})}
                for other, loading in loadings.items():
                    root[g, at[name], at[other]] = loading
                root[g, at[name], at[name]] = np.sqrt(1 - sum(loading**2 for loading in loadings.values()))
        return cls(np.asarray(shares, float), mean, effect, spread / _CUT_SD, root)

    @cached_property
    def scaled(self) -> FloatArray:
        """Roots of the covariances of the traits, shape (n_groups, n_traits, n_traits)."""
        whole: FloatArray = self.spread[:, :, None] * self.root
        return whole

    @cached_property
    def inverse(self) -> FloatArray:
        """Inverses of `scaled`."""
        return np.linalg.inv(self.scaled).astype(np.float64)

    def expected(self, covariates: FloatArray) -> FloatArray:
        """Return the middle of the traits in each group, shape (n_groups, n_traits), given three covariates."""
        middle: FloatArray = self.mean + covariates @ self.effect
        return middle

    def log_density(self, traits: FloatArray, covariates: FloatArray, log_weights: FloatArray) -> FloatArray:
        """Return the log of the density of traits over groups, up to a constant, shape (n,).

        Parameters
        ----------
        traits : ndarray of float, shape (n, n_traits)
        covariates : ndarray of float, shape (n_covariates,)
        log_weights : ndarray of float, shape (n_groups,)
            Of groups; -inf of those that are out of the question.
        """
        expected, total = self.expected(covariates), np.full(len(traits), -np.inf)
        for g in np.flatnonzero(np.isfinite(log_weights)):
            z = self.inverse[g] @ (traits - expected[g]).T
            size = np.log(np.diagonal(self.scaled[g])).sum()
            density = log_weights[g] - size - 0.5 * np.einsum("ij,ij->j", z, z)
            total = np.logaddexp(total, np.where(np.abs(z).max(axis=0) <= CUT, density, -np.inf))
        return total


def heart_rates(group: np.ndarray[tuple[int], np.dtype[np.intp]], z: FloatArray) -> FloatArray:
    """Return heart rates per minute of people of some groups, for standard normal numbers."""
    middle, spread = np.array([_HEART_RATE[name] for name in GROUPS], float).T
    rates: FloatArray = middle[group] + spread[group] * z
    return rates


def heart_rate_log_density(heart_rate: float) -> FloatArray:
    """Return the log density of a heart rate in each group, up to a constant, shape (n_groups,)."""
    middle, spread = np.array([_HEART_RATE[name] for name in GROUPS], float).T
    density: FloatArray = -np.log(spread) - 0.5 * ((heart_rate - middle) / spread) ** 2
    return density


def covariates(body_surface: FloatArray, male: BoolArray, heart_rate: FloatArray) -> FloatArray:
    """Return what traits depend on, in the order of `COVARIATES`, shape (n, n_covariates)."""
    return np.stack([np.log(body_surface / 1.865), 0.5 - np.asarray(male, float), (heart_rate - 70) / 10], axis=-1)


def _logit_normal(mean: float, sd: float) -> tuple[float, float]:
    """Return middle and spread of the normal logit of a share with a given mean and spread."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    middle, spread = np.log(mean / (1 - mean)), sd / (mean * (1 - mean))
    for _ in range(50):
        share = 1 / (1 + np.exp(-(middle + spread * nodes)))
        found = weights @ share
        middle += (mean - found) / (mean * (1 - mean))
        spread *= sd / np.sqrt(weights @ (share - found) ** 2)
    return float(middle), float(spread)

"""The worlds: numbers for a law, chosen so that cohorts look like UK Biobank's and methods differ as on it."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from nextscan.arrays import FloatArray
from nextscan.errors import SettingError
from nextscan.simulating.features.labels import STANDARD
from nextscan.simulating.features.law import Law
from nextscan.simulating.features.regions import Region, regions

World = Literal["linear", "hard"]

GAP_MEAN, GAP_SD = 2.67, 1.17  # years between visits in UK Biobank
N_STABLE, N_SLOPES = 40, 5
# the strength of the r-th factor is r ** -decay: a few, as head size, dominate
_DECAY = {"linear": 0.8, "hard": 0.9}
_SHARED_BY_TWINS = 0.5  # of the variation of a region and of its other side
_SPECIFIC_SHARE = 0.02  # of the stable variance, typical feature
_SLOPE_SD = 0.13  # spread of individual yearly change, in sd of the feature
_DRIFT = 0.05  # typical yearly loss

# effect of a label on the level and on yearly change: mean and spread over features, in sd, towards loss
_EFFECTS: dict[str, tuple[float, float, float, float]] = {
    "age": (0.0, 0.12, 0.016, 0.045),
    "sex": (-0.25, 0.15, 0.0, 0.022),
    "townsend_index": (0.03, 0.03, 0.003, 0.014),
    "ad_polygenic_score": (0.02, 0.02, 0.005, 0.016),
    "pd_polygenic_score": (0.01, 0.02, 0.002, 0.011),
    "stroke": (0.20, 0.15, 0.02, 0.035),
    "dementia": (0.60, 0.35, 0.09, 0.055),
    "parkinsonism": (0.10, 0.10, 0.02, 0.02),
    "sleep_disorder": (0.05, 0.05, 0.005, 0.01),
    "multiple_sclerosis": (0.50, 0.30, 0.05, 0.035),
    "epilepsy": (0.15, 0.15, 0.01, 0.02),
    "migraine": (0.0, 0.05, 0.0, 0.01),
    "other_movement_disorder": (0.10, 0.10, 0.01, 0.02),
    "mortality": (0.15, 0.10, 0.02, 0.02),
}

# The hard world. A pathway: what decides, by a smooth step, which way a leading factor (by its number) pulls on
# yearly change. Spread: what makes later visits noisier, from the first end to the second.
_PATHWAYS: tuple[tuple[dict[int | str, float], int], ...] = (({0: 1.5}, 1), ({1: 1.5}, 2), ({"age": 1.5}, 0))
_PATHWAY_SD = 0.15  # per year and unit of the factor, in sd of the feature
_SPREAD_BY: dict[int | str, float] = {0: 1.0, "age": 0.8}
_SPREAD_ENDS = (0.6, 1.8)
_TAIL_SHARE, _TAIL_SCALE = 0.08, 2.0

# substantia nigra pars compacta, mm3 per visit interval with and without parkinsonism (SECONDGRAM, Table 5)
NIGRA_CHANGE = {True: -2.36, False: -1.76}
_NIGRA_LEVEL = 0.8  # sd lost before the first visit by people with parkinsonism


def make_law(world: str, *, n_features: int, seed: int) -> Law:
    """Draw the numbers of a world.

    Parameters
    ----------
    world : {"linear", "hard"}
    n_features : int
    seed : int
        Another seed is another world.

    Raises
    ------
    SettingError
        If the world is unknown.
    """
    if world not in get_args(World):
        raise SettingError(f"no world named {world}; there are {', '.join(get_args(World))}")
    features = regions(n_features)
    generator = np.random.default_rng([seed, 0x6C6177])
    reliability = np.clip(
        [region.reliability for region in features] + 0.08 * generator.normal(size=n_features), 0.3, 0.9
    )
    specific = np.clip(_SPECIFIC_SHARE * np.exp(0.3 * generator.normal(size=n_features)), 0.01, 0.5)
    loading = _twinned(features, generator, N_STABLE) * np.arange(1, N_STABLE + 1)[:, None] ** -_DECAY[world]
    loading *= np.sqrt(reliability * (1 - specific) / (loading**2).sum(axis=0))
    level, drift, drift_effect = _label_effects(features, generator)
    return Law(
        world=world,
        seed=seed,
        feature_names=tuple(region.name for region in features),
        standard=STANDARD,
        gap_mean=GAP_MEAN,
        gap_sd=GAP_SD,
        centre=np.array([region.typical for region in features], np.float64),
        scale=np.array([region.sd for region in features]),
        level=level,
        drift_effect=drift_effect,
        drift=drift,
        loading=loading,
        slope=_SLOPE_SD / np.sqrt(N_SLOPES) * _twinned(features, generator, N_SLOPES),
        specific_variance=reliability * specific,
        noise_variance=1 - reliability,
        **_beyond_linear(world, features, generator),
    )


def _twinned(features: list[Region], generator: np.random.Generator, n_rows: int) -> FloatArray:
    """Return standard normal columns, alike for the two sides of a region."""
    twins = {name: i for i, name in enumerate(dict.fromkeys(region.twin for region in features))}
    shared = generator.normal(size=(n_rows, len(twins)))[:, [twins[region.twin] for region in features]]
    own = generator.normal(size=(n_rows, len(features)))
    columns: FloatArray = np.sqrt(_SHARED_BY_TWINS) * shared + np.sqrt(1 - _SHARED_BY_TWINS) * own
    return columns


def _label_effects(features: list[Region], generator: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return effects on the level, the drift, and effects on the drift."""
    loss = np.array([1.0 if region.grows else -1.0 for region in features])
    nigra = np.array([region.in_nigra for region in features])
    sd = np.array([region.sd for region in features])
    normals = _twinned(features, generator, 2 * len(STANDARD) + 1)
    drift = loss * _DRIFT * np.exp(0.5 * normals[-1])
    drift[nigra] = NIGRA_CHANGE[False] / GAP_MEAN / sd[nigra]
    level, effect = np.empty((2, len(STANDARD), len(features)))
    for row, label in enumerate(STANDARD):
        mean, spread, yearly_mean, yearly_spread = _EFFECTS[label]
        level[row] = loss * mean + spread * normals[2 * row]
        effect[row] = loss * yearly_mean + yearly_spread * normals[2 * row + 1]
        if label == "age":  # people of different ages differ by what the years between them did
            level[row] += STANDARD["age"][1] * drift
        if label == "parkinsonism":
            level[row, nigra] = -_NIGRA_LEVEL
            effect[row, nigra] = (NIGRA_CHANGE[True] - NIGRA_CHANGE[False]) / GAP_MEAN / sd[nigra]
        else:  # the published averages leave little room for what else hastens the loss there
            effect[row, nigra] *= 0.25
    return level, drift, effect


def _beyond_linear(world: str, features: list[Region], generator: np.random.Generator) -> dict[str, Any]:
    """Return what a hard world adds after the first visit; nothing in a linear one."""
    n_pathways = len(_PATHWAYS) if world == "hard" else 0
    names = ["constant", *range(N_STABLE), *STANDARD]  # what a gate and the spread are made of
    gate, payload = np.zeros((n_pathways, len(names))), np.zeros((n_pathways, 1 + N_STABLE))
    for row, (decides, pulls) in enumerate(_PATHWAYS[:n_pathways]):
        for name, weight in decides.items():
            gate[row, names.index(name)] = weight
        payload[row, 1 + pulls] = 1.0
    spread = np.zeros(len(names))
    if world == "hard":
        for name, weight in _SPREAD_BY.items():
            spread[names.index(name)] = weight
    return {
        "gate": gate,
        "payload": payload,
        "pattern": _PATHWAY_SD * _twinned(features, generator, n_pathways),
        "gate_shift": 0.5,
        "spread": spread,
        "spread_ends": np.array(_SPREAD_ENDS if world == "hard" else (1.0, 1.0)),
        "tail_share": _TAIL_SHARE if world == "hard" else 0.0,
        "tail_scale": _TAIL_SCALE,
    }

"""The public estimators: each learns from training subjects and draws the visits that are missing."""

from nextscan.imputers.base import Imputer
from nextscan.imputers.model_folder import load
from nextscan.imputers.registry import (
    BASELINES,
    SEQUENCE_BASELINES,
    VOLUME_BASELINES,
    imputer_names,
    kind_of,
    make_imputer,
)

__all__ = [
    "BASELINES",
    "SEQUENCE_BASELINES",
    "VOLUME_BASELINES",
    "Imputer",
    "imputer_names",
    "kind_of",
    "load",
    "make_imputer",
]

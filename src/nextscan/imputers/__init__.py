"""The public estimators: each learns from training subjects and draws the visits that are missing."""

from nextscan.imputers.base import Imputer
from nextscan.imputers.model_folder import load
from nextscan.imputers.registry import BASELINES, imputer_names, make_imputer

__all__ = ["BASELINES", "Imputer", "imputer_names", "load", "make_imputer"]

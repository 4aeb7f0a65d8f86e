"""Invertible transforms learned on training subjects only, for features and for volumes."""

from nextscan.preprocess.cells import CellImputer
from nextscan.preprocess.labels import LabelEncoder
from nextscan.preprocess.likeness import Likeness
from nextscan.preprocess.scale import FeatureScaler, context_rows

__all__ = ["CellImputer", "FeatureScaler", "LabelEncoder", "Likeness", "context_rows"]

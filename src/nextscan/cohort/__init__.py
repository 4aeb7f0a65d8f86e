"""Subjects and their visits: read, validate, describe, split, hide, simulate; and what was imputed."""

from nextscan.cohort.calibration import Calibration
from nextscan.cohort.cohort import Cohort, concatenate
from nextscan.cohort.derivative import write_derivative
from nextscan.cohort.describe import describe
from nextscan.cohort.description import Description, Finding
from nextscan.cohort.imputation import Imputation
from nextscan.cohort.read import read_cohort
from nextscan.cohort.task import (
    Pairs,
    Split,
    Targets,
    Task,
    folds,
    hide,
    merge,
    pairs,
    split_validation,
    targets,
)
from nextscan.cohort.volume_imputation import PredictedVolume, VolumeImputation
from nextscan.cohort.write import complete_table, write_draws

__all__ = [
    "Calibration",
    "Cohort",
    "Description",
    "Finding",
    "Imputation",
    "Pairs",
    "PredictedVolume",
    "Split",
    "Targets",
    "Task",
    "VolumeImputation",
    "complete_table",
    "concatenate",
    "describe",
    "folds",
    "hide",
    "merge",
    "pairs",
    "read_cohort",
    "split_validation",
    "targets",
    "write_derivative",
    "write_draws",
]

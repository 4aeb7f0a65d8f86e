"""Values: subjects and their visits, tasks (pairs, splits, hidden follow-ups), and what was imputed."""

from nextscan.cohort.calibration import Calibration
from nextscan.cohort.cohort import Cohort, concatenate
from nextscan.cohort.findings import Finding
from nextscan.cohort.imputation import Imputation
from nextscan.cohort.known import Known
from nextscan.cohort.showing import shown_visits
from nextscan.cohort.task import (
    Pairs,
    Split,
    Targets,
    Task,
    check_splits,
    folds,
    hide,
    merge,
    pairs,
    split_validation,
    targets,
)
from nextscan.cohort.volume_imputation import PredictedVolume, VolumeImputation

__all__ = [
    "Calibration",
    "Cohort",
    "Finding",
    "Imputation",
    "Known",
    "Pairs",
    "PredictedVolume",
    "Split",
    "Targets",
    "Task",
    "VolumeImputation",
    "check_splits",
    "concatenate",
    "folds",
    "hide",
    "merge",
    "pairs",
    "shown_visits",
    "split_validation",
    "targets",
]

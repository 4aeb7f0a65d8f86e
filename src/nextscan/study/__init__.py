"""Studies: hide real follow-ups, impute them with every method, score and compare."""

from nextscan.study.differences import paired_differences
from nextscan.study.evaluate import evaluate

__all__ = ["evaluate", "paired_differences"]

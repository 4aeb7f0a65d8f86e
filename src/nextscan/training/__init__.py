"""One training loop for every network: gradient policies, early stopping, exact resume, seeds as an axis."""

from nextscan.training.gradient_policy import ClipAndSkip, Decision, GradientPolicy, Plain
from nextscan.training.loop import Problem, TrainingResult, TrainingSettings, settings_document, train

__all__ = [
    "ClipAndSkip",
    "Decision",
    "GradientPolicy",
    "Plain",
    "Problem",
    "TrainingResult",
    "TrainingSettings",
    "settings_document",
    "train",
]

"""One training loop for every network: gradient policies, early stopping, exact resume, seeds as an axis."""

from nextscan.training.gradient_policy import ClipAndSkip, Decision, GradientPolicy, Plain
from nextscan.training.loop import train
from nextscan.training.problem import Problem, TrainingResult
from nextscan.training.processes import Processes, together
from nextscan.training.settings import TrainingSettings, settings_document

__all__ = [
    "ClipAndSkip",
    "Decision",
    "GradientPolicy",
    "Plain",
    "Problem",
    "Processes",
    "TrainingResult",
    "TrainingSettings",
    "settings_document",
    "together",
    "train",
]

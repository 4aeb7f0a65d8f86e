"""Simulated cohorts, and the law each was drawn from: how well anybody can do at best."""

from nextscan.simulating.brains.cohort import simulate_brains
from nextscan.simulating.brains.law import BrainLaw
from nextscan.simulating.features.law import Law
from nextscan.simulating.features.stream import simulate
from nextscan.simulating.hearts.cohort import simulate_hearts
from nextscan.simulating.hearts.law import HeartLaw
from nextscan.simulating.law_file import (
    load_brain_law,
    load_heart_law,
    load_law,
    save_brain_law,
    save_heart_law,
    save_law,
)

__all__ = [
    "BrainLaw",
    "HeartLaw",
    "Law",
    "load_brain_law",
    "load_heart_law",
    "load_law",
    "save_brain_law",
    "save_heart_law",
    "save_law",
    "simulate",
    "simulate_brains",
    "simulate_hearts",
]

"""Simulated cohorts, and the law each was drawn from: how well anybody can do at best."""

from nextscan.cohort.simulate.law import Law
from nextscan.cohort.simulate.law_file import load_law, save_law
from nextscan.cohort.simulate.stream import simulate

__all__ = ["Law", "load_law", "save_law", "simulate"]

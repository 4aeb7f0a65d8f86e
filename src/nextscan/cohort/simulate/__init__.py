"""Simulated cohorts, and the law each was drawn from: how well anybody can do at best."""

from nextscan.cohort.simulate.brains import simulate_brains
from nextscan.cohort.simulate.brains_law import BrainLaw, load_brain_law, save_brain_law
from nextscan.cohort.simulate.law import Law
from nextscan.cohort.simulate.law_file import load_law, save_law
from nextscan.cohort.simulate.stream import simulate

__all__ = ["BrainLaw", "Law", "load_brain_law", "load_law", "save_brain_law", "save_law", "simulate", "simulate_brains"]

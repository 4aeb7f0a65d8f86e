"""Modules that map noisy data, level and condition to a prediction; they know no schedule."""

"""Invertible transforms learned on training subjects only."""

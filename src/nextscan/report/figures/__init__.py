"""Figures: pure functions of arrays that return matplotlib figures, in one style, without pyplot."""

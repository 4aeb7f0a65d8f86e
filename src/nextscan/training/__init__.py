"""One training loop for every network: gradient policies, early stopping, exact resume, seeds as an axis."""

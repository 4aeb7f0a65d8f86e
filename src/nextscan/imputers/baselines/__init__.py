"""What any method must beat: rules and regressions of features, in closed form, and the oracle that none can."""

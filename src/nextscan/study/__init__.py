"""Hide, score, compare: methods, seeds and folds as resumable jobs, one long table."""

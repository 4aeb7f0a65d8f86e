"""One file for each way in which people lay out visits, and what is needed to write it back."""

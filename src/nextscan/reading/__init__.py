"""Files people have, made a `Cohort`: tables, UK-Biobank exports, FreeSurfer tables, BIDS folders."""

from nextscan.reading.read import read_cohort

__all__ = ["read_cohort"]

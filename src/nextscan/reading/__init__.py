"""Files people have, made a `Cohort`: tables, UK-Biobank exports, FreeSurfer tables, BIDS folders."""

from nextscan.reading.inferred import write_schema
from nextscan.reading.read import read_cohort

__all__ = ["read_cohort", "write_schema"]

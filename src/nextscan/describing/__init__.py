"""What a cohort holds, and what in it may mislead a study."""

from nextscan.cohort.findings import Finding
from nextscan.describing.describe import describe
from nextscan.describing.description import Description

__all__ = ["Description", "Finding", "describe"]

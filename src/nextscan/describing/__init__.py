"""What a cohort holds, and what in it may mislead a study."""

from nextscan.describing.describe import describe
from nextscan.describing.description import Description
from nextscan.describing.findings import Finding

__all__ = ["Description", "Finding", "describe"]

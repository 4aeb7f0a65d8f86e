"""What one check contributes to a description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from nextscan.cohort.findings import Finding


@dataclass(frozen=True, eq=False)
class Part:
    """What one check contributes to a `Description`."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    plots: Mapping[str, Any] = field(default_factory=dict)

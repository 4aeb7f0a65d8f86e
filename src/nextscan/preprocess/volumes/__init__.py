"""Volumes put on one grid and one scale per subject, in a way that can be undone."""

from nextscan.preprocess.volumes.preparer import Prepared, VolumePreparer

__all__ = ["Prepared", "VolumePreparer"]

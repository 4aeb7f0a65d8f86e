"""The long table and run records become tables, figures and one self-contained page."""

from nextscan.report.description.page import write_description
from nextscan.report.evaluation import write_report

__all__ = ["write_description", "write_report"]

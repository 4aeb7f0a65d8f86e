"""What was imputed, written as users keep their data: completed tables, draws, BIDS derivatives."""

from nextscan.writing.derivative import write_derivative
from nextscan.writing.tables import complete_table, write_draws

__all__ = ["complete_table", "write_derivative", "write_draws"]

"""Pure functions of truth, draws and mask."""

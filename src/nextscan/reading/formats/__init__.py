"""Files and frames that hold tables: how they are opened, and how they write cells and numbers."""

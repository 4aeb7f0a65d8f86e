"""Cells and columns of tables: how they are read, and what a column can mean."""

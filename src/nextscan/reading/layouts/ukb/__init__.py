"""UK-Biobank exports: their columns, fields and values."""

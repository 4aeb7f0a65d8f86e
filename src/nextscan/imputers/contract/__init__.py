"""The executable contract that every imputer passes."""

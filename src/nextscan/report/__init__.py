"""The long table and run records become tables, figures and one self-contained page."""

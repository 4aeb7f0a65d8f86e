"""The page that `describe` writes."""

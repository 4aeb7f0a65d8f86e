"""Films of a run: those that it kept, the player of a page, files that move."""

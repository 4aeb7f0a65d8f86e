"""One image: its header, values, name and transforms, and how two of them lie on each other."""

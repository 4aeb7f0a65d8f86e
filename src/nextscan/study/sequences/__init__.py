"""Studies of films: all frames that are not shown are imputed, and their volumes and images scored."""

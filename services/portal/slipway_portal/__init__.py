"""The front page: what is here, and whether it answers."""

"""The full-text index, in its own file."""

"""Names in filters: those of runs, and those that the store does not have."""

"""Tables of runs, and their columns."""

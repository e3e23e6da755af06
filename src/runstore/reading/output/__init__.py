"""Reading the output of runs: whole, in windows, and by search."""

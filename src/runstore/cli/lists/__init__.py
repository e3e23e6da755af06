"""How lists of runs and lines are shown."""

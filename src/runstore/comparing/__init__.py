"""Comparing runs: what differs, in parameters, code, surroundings, results; and why."""

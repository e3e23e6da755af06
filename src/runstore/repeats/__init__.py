"""Repeated runs: their spread, and which group is best."""

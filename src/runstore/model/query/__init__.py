"""Filters: their text, their tree, and their evaluation in Python."""

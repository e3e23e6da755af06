"""Filters: their text, their tree, and what they mean in Python."""

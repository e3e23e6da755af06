"""Grids of many runs: their order, windows of rows, columns and changes."""

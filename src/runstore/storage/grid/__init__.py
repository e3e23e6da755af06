"""Metrics, parameters and tags for a grid of many runs."""

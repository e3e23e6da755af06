"""Runs that are recorded after the fact."""

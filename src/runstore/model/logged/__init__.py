"""Logged data: calls, values, media."""

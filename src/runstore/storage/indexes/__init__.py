"""Indexes that searches need and starts do not wait for."""

"""Runs as plain values, independent of storage and display."""

"""Runs that another process executes or has started."""

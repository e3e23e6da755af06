"""Runs that another process executes, or has begun."""

"""Signals that Python would forget, or notice late, in a program that starts processes."""

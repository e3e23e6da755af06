"""Repeating a recorded run: its command, its code and the differences between then and now."""

"""What runs log: calls, values, media."""

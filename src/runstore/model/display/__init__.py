"""Display of values."""

"""Why two runs may have different results."""

"""Finding runs and reading their data."""

"""Finding runs and reading what they hold."""

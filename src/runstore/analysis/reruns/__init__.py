"""What was run before: the same, or nearly the same."""

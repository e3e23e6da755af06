"""What was run before: the earlier run that did the same, and those that are near."""

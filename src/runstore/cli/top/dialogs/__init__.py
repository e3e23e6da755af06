"""Questions, lists and lines to type in."""

"""Lines of text: search patterns, queries for an index, and matches."""

"""Lines of text: patterns, what an index can be asked, and what was found."""

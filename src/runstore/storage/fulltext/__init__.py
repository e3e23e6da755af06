"""The index of texts, in a file of its own."""

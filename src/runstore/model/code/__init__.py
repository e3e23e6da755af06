"""The code of a run: its patch, its documents, and the programs that run it."""

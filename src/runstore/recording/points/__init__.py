"""The metrics that a run logs: its channels, their files, and the import of these."""

"""One file per command, found by name and imported when called."""

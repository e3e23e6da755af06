"""One file per command, found by its name and imported when it is called."""

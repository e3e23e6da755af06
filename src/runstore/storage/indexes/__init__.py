"""Search indexes that are built without delaying the start of runs."""

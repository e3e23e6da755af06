"""The search in texts of runs on a server."""

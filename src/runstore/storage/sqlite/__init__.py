"""SQLite: connections, files, descriptors, forks."""

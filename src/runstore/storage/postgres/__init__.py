"""PostgreSQL: servers, connections, dialect, tables."""

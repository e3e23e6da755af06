"""Connections to a server: pool, transactions, values, the limit of waiting, errors."""

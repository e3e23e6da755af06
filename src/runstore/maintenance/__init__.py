"""Maintenance of a store: trash, garbage collection, checks, removal of secrets."""

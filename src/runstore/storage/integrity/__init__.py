"""Integrity checks of rows: schema, hashes, history, references, leftovers."""

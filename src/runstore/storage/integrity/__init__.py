"""Integrity checks of rows: schema, hashes, history, references, orphan rows."""

"""Curifactory's classes on top of this store, and `store.json`."""

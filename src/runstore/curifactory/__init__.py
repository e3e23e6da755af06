"""The classes of Curifactory on this store, and `store.json`."""

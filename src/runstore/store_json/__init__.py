"""The file `store.json`: the list of runs in Curifactory's format, in sync with the database."""

"""The file `store.json`: the list of runs as Curifactory writes it, in step with the database."""

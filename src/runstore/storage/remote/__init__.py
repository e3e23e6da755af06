"""Contents of artifacts outside a folder of the store: in the database, or in a bucket."""

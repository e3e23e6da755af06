"""Whether rows are whole: schema, hashes, history, references, leftovers."""

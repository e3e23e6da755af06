"""Results of operations on a store."""

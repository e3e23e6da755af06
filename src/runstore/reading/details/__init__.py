"""What a page shows of one run, beside its record."""

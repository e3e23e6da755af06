"""Details of a run for its page, in addition to its record."""

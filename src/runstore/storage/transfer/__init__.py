"""Transfer of runs between stores: their records are read, checked, merged and written."""

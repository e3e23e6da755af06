"""The display of runs, pages and stores; loaded on demand."""

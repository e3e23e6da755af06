"""How runs, pages and stores show themselves; loaded when they do."""

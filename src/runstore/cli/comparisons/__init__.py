"""The common parts of `diff`, `compare` and `why`: options, lines and tables."""

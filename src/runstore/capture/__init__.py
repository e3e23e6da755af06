"""Facts about code, machine and program, each with the reason if it is unknown."""

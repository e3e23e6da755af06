"""Parameters on the command line of a program, and metrics in its output."""

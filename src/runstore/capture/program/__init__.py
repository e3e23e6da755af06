"""The program that runs: its command, files and modules."""

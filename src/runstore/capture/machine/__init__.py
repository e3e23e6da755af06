"""The machine, the process and the software around it."""

"""The grammar of the command line: names of commands, and usage errors."""

"""The command line: parse arguments, call the store, print. Rules about runs are below it."""

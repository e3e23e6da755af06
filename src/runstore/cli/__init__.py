"""The command line: parse, call the store, print. Rules about runs live further down."""

"""The state of the code according to git, and the code beyond the commit."""

"""Runs things as runs: experiment modules over parameter files, and any command."""

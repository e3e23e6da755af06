"""Removal of secrets from rows and contents."""

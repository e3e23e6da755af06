"""Secrets in rows and contents, removed."""

"""Whose stores and folders are used, and places of the user's own."""

"""Conclusions from several runs."""

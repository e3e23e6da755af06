"""Filters as SQL: conditions, orders, groups, and the way a search goes."""

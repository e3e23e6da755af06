"""Translation of filters to SQL: conditions, orders, groups, and search strategies."""

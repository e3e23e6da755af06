"""The screens that open over the table."""

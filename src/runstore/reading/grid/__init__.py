"""What a grid of many runs shows: their order, some rows, some columns, what changed."""

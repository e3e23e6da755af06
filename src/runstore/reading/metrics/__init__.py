"""Reading metrics: summaries, series, and the points of many runs as one table."""

"""Metric points: files in flight, chunks, summaries."""

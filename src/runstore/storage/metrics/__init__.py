"""Metric points: files in flight, chunks, summaries.

`where` names a series by the row id of its run, the index of its set and the row id of its key, in
this order, in which they are hashed.
"""

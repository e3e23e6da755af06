"""Exports of runs for other engines: a dataset of Parquet files."""

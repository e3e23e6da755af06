"""Runs as files for engines that read much: a dataset of Parquet files."""

"""What a running program writes: its run, metrics, output, artifacts and tags."""

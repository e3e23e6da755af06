"""What a grid of many runs shows of their metrics, parameters and tags."""

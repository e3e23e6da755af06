"""Parameter sets: made, encoded, decoded, flattened."""

"""Parameter sets: construction, encoding, decoding, flattening."""

"""What a run is: plain values that know nothing of how they are kept or shown."""

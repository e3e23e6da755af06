"""What a run prints: kept while it is shown, masked on request, and read from programs."""

"""The output of runs: kept while it is shown, masked on request, and read from programs."""

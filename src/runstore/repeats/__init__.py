"""Statistics over repeats: groups of runs that differ in a seed, their means, the best."""

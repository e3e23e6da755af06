"""Estimate pi by throwing darts at a square."""

import random


def run(params, manager):
    """Work on one parameter set; print what comes out."""
    rng = random.Random(params.seed)
    hits = 0
    for _ in range(params.darts):
        hits += rng.random() ** 2 + rng.random() ** 2 < 1
    print(f"{manager.get_reference_name()} {params.name}: pi is about {4 * hits / params.darts}")

"""Estimate pi by throwing darts at a square."""

import random


def run(params, manager):
    """Run one parameter set, and log the estimate a hundred times."""
    rng = random.Random(params.seed)
    hits = 0
    for dart in range(1, params.darts + 1):
        hits += rng.random() ** 2 + rng.random() ** 2 < 1
        if dart % max(1, params.darts // 100) == 0:
            manager.log(pi=4 * hits / dart, step=dart)

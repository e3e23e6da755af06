"""Few darts and many."""

from dataclasses import dataclass


@dataclass
class Darts:
    """The settings of one estimate."""

    name: str
    darts: int
    seed: int = 1


def get_params():
    """Return the parameter sets of this file, each with a unique name."""
    return [
        Darts("few", darts=100),
        Darts("many", darts=100_000),
    ]

"""Settings of a classifier."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Settings:
    """One classifier of scikit-learn, its options, and the split of the images."""

    name: str
    model: str
    options: dict[str, Any] = field(default_factory=dict)
    test_share: float = 0.25
    seed: int = 7

"""What a classifier is trained with."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Settings:
    """One classifier of scikit-learn, its options, and how the images are split."""

    name: str
    model: str
    options: dict[str, Any] = field(default_factory=dict)
    test_share: float = 0.25
    seed: int = 7

"""Libraries that are there only where somebody installed them."""

from __future__ import annotations

import importlib
from typing import Any

from runstore.errors import MissingExtraError


def library(name: str, extra: str) -> Any:
    """Return a library.

    Args:
        name: As it is imported.
        extra: Which extra of this package installs it.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise MissingExtraError(
            f"{name} is not installed.", hint=f"Install it with: pip install 'runstore[{extra}]'"
        ) from error

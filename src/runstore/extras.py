"""Libraries that are there only where somebody installed them."""

from __future__ import annotations

import importlib
from typing import Any

from runstore.errors import MissingExtraError


def library(name: str, extra: str) -> Any:
    """Return a library.

    Args:
        name: As it is imported, such as `pandas` or `scipy.special`.
        extra: Which extra of this package installs it.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if error.name not in {name, package}:
            raise
        raise MissingExtraError(
            f"{package} is not installed.",
            hint=f"Install it with: pip install 'runstore[{extra}]'",
        ) from error

"""Optional libraries."""

from __future__ import annotations

import importlib
from typing import Any

from runstore.errors import MissingExtraError


def library(name: str, extra: str) -> Any:
    """Import an optional library.

    Args:
        name: Its import name, such as `pandas` or `scipy.special`.
        extra: The extra of this package that installs it.

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

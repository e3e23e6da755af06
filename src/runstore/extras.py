"""Optional libraries."""

from __future__ import annotations

import importlib
from typing import Any

from runstore.errors import MissingExtraError, genuine


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
            f"{package} is not installed.", hint=how_to_install(extra)
        ) from error


def how_to_install(extra: str) -> str:
    """Return the command that installs an extra, from the folder or file that runstore is from.

    Source: PEP 610, direct_url.json.
    """
    import json
    from importlib.metadata import PackageNotFoundError, distribution
    from pathlib import Path
    from shlex import quote
    from urllib.parse import unquote, urlsplit

    try:
        told = json.loads(distribution("runstore").read_text("direct_url.json") or "{}")
        url = urlsplit(str(told.get("url", "")))
        is_editable = bool(told.get("dir_info", {}).get("editable"))
    except genuine(PackageNotFoundError, OSError, ValueError, AttributeError):
        return f"In a checkout of runstore, install it with: pip install '.[{extra}]'"
    place = Path(unquote(url.path))
    is_local = url.scheme == "file" and place.exists()
    wanted = quote(f"{place if is_local else 'runstore'}[{extra}]")
    return f"Install it with: pip install {'-e ' if is_local and is_editable else ''}{wanted}"

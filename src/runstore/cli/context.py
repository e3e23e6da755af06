"""What every command shares: which store it works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from runstore.store import Store


def open_store(*, create: bool = False) -> Store:
    """Open the store that `--store` names, or else the project's.

    Args:
        create: Whether a missing store is made; what only reads does not make one.
    """
    from runstore.store import Store

    return Store.open(store_location(), create=create)


def store_location() -> str | None:
    """Return what `--store` was given; None without it."""
    location: str | None = click.get_current_context().find_root().params.get("store")
    return location

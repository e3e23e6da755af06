"""runstore top: runs on a full screen. Textual is imported only here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runstore.errors import MissingExtraError
from runstore.extras import how_to_install

if TYPE_CHECKING:
    from runstore.cli.top.app import TopApp


def app_class() -> type[TopApp]:
    """Return the program.

    Raises:
        MissingExtraError: textual is not installed.
    """
    try:
        import textual  # noqa: F401 - only whether it is installed
    except ImportError as error:
        raise MissingExtraError("textual is not installed.", hint=how_to_install("top")) from error
    from runstore.cli.top.app import TopApp

    return TopApp

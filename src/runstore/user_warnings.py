"""Warnings that point at the line of the user's program that is executed."""

from __future__ import annotations

import os
import sys
import warnings

from runstore.errors import StoreWarning


def warn(message: str, category: type[Warning] = StoreWarning) -> None:
    """Say on the user's own line of code what runstore worked around."""
    warnings.warn(message, category, stacklevel=_user_frame())


def _user_frame() -> int:
    """Return the stack level of the nearest caller outside this package."""
    level = 2
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to look at callers cheaply
    here = os.path.dirname(__file__)  # noqa: PTH120 - importing nothing more for a text test
    while frame.f_back is not None and frame.f_code.co_filename.startswith(here):
        frame = frame.f_back
        level += 1
    return level - 1

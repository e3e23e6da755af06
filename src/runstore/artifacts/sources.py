"""Files and folders of the program, as sources of artifacts and inputs."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

from runstore.errors import InvalidValueError, NotFoundError, genuine
from runstore.model.display.formatting import cropped
from runstore.storage.sqlite.descriptors import with_room
from runstore.storage.sqlite.pool import files_in_use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

NOT_RECORDED = "The input was not recorded."

_SHOWN = 200  # characters of a path


def checked_source(path: Path, *, is_input: bool = False, hint: str = "") -> Path:
    """Return a path of an input, or of something to save, that can be read.

    Args:
        path: The path.
        is_input: Whether it is an input.
        hint: The hint if it cannot be read.

    Raises:
        NotFoundError: It does not exist, or cannot be read.
    """
    kept = NOT_RECORDED if is_input else "Nothing was saved."
    try:
        about = path.stat()
        is_in_use = (about.st_dev, about.st_ino) in files_in_use()
        if stat.S_ISREG(about.st_mode) and not is_in_use:
            with_room(lambda: path.open("rb").close())
    except genuine(OSError, ValueError) as error:
        raise unreadable_source(path, error, kept=kept, hint=hint) from error
    if is_in_use:
        raise InvalidValueError(
            f"{_shown(path)} is a file of a store in use.",
            kept=kept,
            hint="To copy a store: runstore copy",
        )
    if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
        raise InvalidValueError(f"{_shown(path)} is neither a file nor a folder.", kept=kept)
    return path


def unreadable_source(path: Path, error: Exception, *, kept: str, hint: str = "") -> NotFoundError:
    """Return the error about a file of the program that cannot be read."""
    reason = getattr(error, "strerror", None) or str(error)
    return NotFoundError(f"{_shown(path)} cannot be read: {reason}.", kept=kept, hint=hint)


def _shown(path: Path) -> str:
    """Return a path for a message; a text that is no path can be long."""
    return repr(cropped(str(path), _SHOWN))


def opened(path: Path) -> BinaryIO:
    """Open a file for reading, whose path may come from a store.

    Raises:
        OSError: It cannot be read, or is a pipe or a device, which may have no end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return path.open("rb")

"""Paths: as SQLite takes them, read whole before they are shared, and what is found there."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-~")


def file_uri(path: Path, options: str) -> str:
    """Return a file as a URI with options, such as `mode=ro`; any bytes of a name are kept.

    Without `urllib`, which may be out of reach: its first import fails in a program whose
    working directory is gone, or whose user cannot read the folder of its Python any more.

    Source: SQLite, Uniform Resource Identifiers, 3.53.
    """
    name = "".join(
        chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in os.fsencode(path.absolute())
    )
    return f"file://{name}?{options}"


def parsed(path: Path) -> Path:
    """Return a path that any code may use in the middle of any other.

    Before Python 3.13, a path is parsed when it is first used, in several steps: a finalizer that
    uses it between two of them fails.
    """
    os.fspath(path)
    return path


def is_own_uid(uid: int) -> bool:
    """Check whether files of this owner belong to the user of this process.

    Below `sudo`, the files of the user who called it do as well.
    """
    if sys.platform == "win32":  # owners are not told apart by numbers there
        return True
    user = os.geteuid()
    return uid == user or (user == 0 and str(uid) == os.environ.get("SUDO_UID"))


def read_plain_file(path: str | os.PathLike[str], at_most: int) -> tuple[bytes, os.stat_result]:
    """Return the contents of a file that anybody may have put there, and its status.

    Nothing is waited for: a pipe or a device is no such file.

    Raises:
        OSError: It cannot be read, is no plain file, or is larger than `at_most` bytes.
    """
    _check_plain(os.stat(path), at_most)  # noqa: PTH116 - opening a device may do something
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    with os.fdopen(os.open(path, os.O_RDONLY | flags), "rb") as file:
        found = os.fstat(file.fileno())
        _check_plain(found, at_most)
        return file.read(at_most), found


def _check_plain(found: os.stat_result, at_most: int) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_size > at_most:
        raise OSError("no plain file of a sane size")

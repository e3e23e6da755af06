"""Fingerprints of files whose text is not kept, to detect changes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from runstore.errors import genuine
from runstore.model.values import sha256

# Bytes read of all files together; beyond that, size and time are used.
_READ_LIMIT_BYTES = 64 << 20
_DIGITS = 16


class Fingerprints:
    """Fingerprints of the files of one work tree, with a common limit of bytes read."""

    def __init__(self) -> None:
        self._left_bytes = _READ_LIMIT_BYTES

    def of(self, place: Path, *, is_secret: bool) -> str:
        """Return the fingerprint of a file, a link or a device: text without a space.

        Nothing derived from the contents of secret files may be stored.

        Raises:
            OSError: It cannot be read, or is a folder, such as a nested repository.
        """
        about = place.lstat()
        if stat.S_ISDIR(about.st_mode):
            raise IsADirectoryError(0, "it is a repository of its own")
        if stat.S_ISLNK(about.st_mode):
            return f"link:{_digest(os.fsencode(os.readlink(place)))}:{_of_target(place)}"  # noqa: PTH115 - text as it is
        if not stat.S_ISREG(about.st_mode):
            return f"kind:{stat.S_IFMT(about.st_mode):o}"
        if is_secret or about.st_size > self._left_bytes:
            return _by_time(about)
        self._left_bytes -= about.st_size
        try:
            return digest_of_file(place)
        except PermissionError:
            return _by_time(about)


def _of_target(link: Path) -> str:
    try:
        return _by_time(link.stat())
    except genuine(OSError):
        return "broken"


def _by_time(about: os.stat_result) -> str:
    return f"size:{about.st_size}:time:{about.st_mtime_ns}"


def digest_of_file(place: str | Path) -> str:
    """Return the fingerprint of the contents of a file."""
    import hashlib

    found = hashlib.sha256()
    with open(place, "rb") as opened:  # noqa: PTH123 - often a text
        while part := opened.read(1 << 20):
            found.update(part)
    return f"sha256:{found.hexdigest()[:_DIGITS]}"


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()[:_DIGITS]

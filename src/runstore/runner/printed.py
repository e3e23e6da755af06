"""Keeping what a run prints, while it is shown as ever."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from runstore.active import warn


class _Copying(io.TextIOBase):
    """A stream that passes on what is written to it, and keeps a copy."""

    def __init__(self, shown: TextIO, copy: _Copy) -> None:
        self._shown = shown
        self._copy = copy

    def write(self, text: str) -> int:
        self._copy.write(text)
        return self._shown.write(text)

    def flush(self) -> None:
        self._shown.flush()

    def __getattr__(self, name: str) -> Any:
        # Programs ask for the encoding, the file descriptor, the underlying buffer …
        return getattr(self._shown, name)

    def isatty(self) -> bool:
        return self._shown.isatty()

    def fileno(self) -> int:
        return self._shown.fileno()

    def writable(self) -> bool:
        return True


class _Copy:
    """The file that the copies of both streams go to, in the order of their writing."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO | None = path.open(
            "a", encoding="utf-8", errors="backslashreplace", buffering=1
        )
        self._path = path
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        with self._lock:
            if self._file is None:
                return
            try:
                self._file.write(text)
            except OSError as error:
                with suppress(OSError):
                    self._file.close()
                self._file = None
                warn(f"{self._path} holds the output until now only: {error}.")

    def close(self) -> None:
        with self._lock, suppress(OSError):
            if self._file is not None:
                self._file.close()
            self._file = None


@contextmanager
def kept_in(path: Path) -> Iterator[None]:
    """Keep what Python code prints to stdout and stderr in a file as well, within the block.

    Output that other programs or C code write to the terminal by themselves is shown, not kept.
    """
    copy = _Copy(path)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Copying(before[0], copy), _Copying(before[1], copy)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        copy.close()

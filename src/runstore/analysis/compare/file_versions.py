"""A file in one version of the code: its text, if any, and its identity."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from runstore.value_classes import dataclass, field

FILE_LIMIT_BYTES = 1 << 20
PLAIN_FILE = "100644"
SUBMODULE = "160000"
_BYTES = "bytes:"
_BINARY_LOOK_BYTES = 8000  # as git looks for a NUL
_TYPE_DIGITS = 3  # of a mode: `100` a file, `120` a link, `160` a submodule
LARGE = f"over {FILE_LIMIT_BYTES >> 20} MB"


@dataclass(frozen=True, slots=True)
class FileState:
    """One file in one version of the code.

    Attributes:
        text: Its contents; None if they are binary, too large or not known.
        identity: Equal for equal contents; None if they are not known.
        mode: As git has it: `100644`, `100755`, `120000` for a link; None when unknown.
        remark: The reason for a missing text.
        data: The contents if they are not the text in UTF-8, as far as they are known.
    """

    text: str | None
    identity: str | None
    mode: str | None = None
    remark: str = ""
    data: bytes | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of_text(cls, text: str, mode: str | None) -> FileState:
        """Return a file with this text; a file that is too large keeps its digest alone."""
        data = text.encode("utf-8", "surrogatepass")
        digest = hashlib.sha256(data).hexdigest()
        if len(data) > FILE_LIMIT_BYTES:
            return cls(None, digest, mode, f"{LARGE}; {len(data):,} bytes")
        return cls(text, digest, mode)

    @classmethod
    def of_bytes(cls, data: bytes, digest: str, mode: str | None) -> FileState:
        """Return a file with these contents.

        Args:
            data: All of them.
            digest: Identity of contents that are not text.
            mode: As git has it.
        """
        if b"\0" in data[:_BINARY_LOOK_BYTES]:
            return cls(None, digest, mode, f"binary; {len(data):,} bytes", data)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            # As in a captured patch, so that both can be compared.
            return cls(data.decode("utf-8", "replace"), f"{_BYTES}{digest}", mode, data=data)
        return cls.of_text(text, mode)

    @property
    def contents(self) -> bytes | None:
        """All bytes; None if they are not known."""
        if self.data is not None or self.text is None:
            return self.data
        return self.text.encode("utf-8", "surrogatepass")

    @property
    def is_exact(self) -> bool:
        """Whether the text is the contents, without replacements for invalid UTF-8."""
        return self.text is not None and "\ufffd" not in self.text

    @property
    def kind(self) -> str:
        """Its kind in git, a file, a link or a submodule, as the first digits of its mode."""
        return (self.mode or PLAIN_FILE)[:_TYPE_DIGITS]


Version = Mapping[str, FileState]
"""Files by path."""


def differs(old: FileState, new: FileState) -> bool:
    """Return whether two states are different, as far as that is known."""
    if mode_remark(old, new):
        return True
    if old.text is not None and new.text is not None:
        return old.text != new.text or has_other_bytes(old, new)
    return old.identity is None or old.identity != new.identity


def has_other_bytes(old: FileState, new: FileState) -> bool:
    """Return whether files with the same text are different beyond it."""
    both = (old.identity or "", new.identity or "")
    return both[0] != both[1] and all(one.startswith(_BYTES) for one in both)


def mode_remark(old: FileState | None, new: FileState | None) -> str:
    """Return the difference of modes; empty if they are equal or one is unknown."""
    if not old or not new or None in {old.mode, new.mode} or old.mode == new.mode:
        return ""
    return f"mode {old.mode} → {new.mode}"

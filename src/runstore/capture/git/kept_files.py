"""Texts of files that are in no commit, masked and limited in size."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from runstore.capture.git.source_files import is_code, is_secret_file, masked_path, shown
from runstore.capture.secrets import mask_text
from runstore.errors import genuine
from runstore.model.code.documents import ENCODING
from runstore.model.facts import Facts, FactValue
from runstore.model.values import blake2b, free_name

UNTRACKED_LIMIT_BYTES = 1 << 22
_NAMED_AT_MOST = 50
# Masked texts of the previous run, None if nothing was masked, by the digest of name and text:
# programs start many runs with the same files.
_masked_before: dict[bytes, str | None] = {}


class KeptFiles:
    """Texts of files by name, as many as fit."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.texts: dict[str, str] = {}
        self.masked: dict[bytes, str | None] = {}
        self.left_out: list[str] = []
        self.unknown: dict[str, str] = {}
        self.room = UNTRACKED_LIMIT_BYTES
        self.done: set[str] = set()
        self.marks: list[str] = []
        self.names: set[str] = set()
        self.unkept: list[str] = []

    def read(self, names: Iterable[str], limit_bytes: int) -> None:
        """Read files; binary, large and secret files are only named."""
        for name in names:
            if name not in self.done:
                self.done.add(name)
                why = self._keep(name, limit_bytes)
                if why:
                    self.left_out.append(f"{masked_path(name)} ({why})")
                    self.unkept.append(name)

    def _keep(self, name: str, limit_bytes: int) -> str:
        """Keep one file; return the reason if it is left out."""
        if is_secret_file(name):
            return "may hold secrets"
        try:
            text, encoding, why = _text_of(self.root / name, limit_bytes)
        except genuine(OSError, ValueError) as error:
            return str(getattr(error, "strerror", None) or error)
        if why:
            return why
        if len(text) > self.room:
            limit = UNTRACKED_LIMIT_BYTES >> 20
            self.unknown["untracked.cut"] = f"they are larger than {limit} MiB"
            return "no room left"
        self.room -= len(text)
        masked = self.texts[self._masked_name(name)] = self._mask_text(text, name)
        if masked != text:
            self._note_masked(name)
        if encoding:
            known = self.unknown.get(ENCODING)
            told = f"{masked_path(name)} ({encoding})"
            self.unknown[ENCODING] = f"{known}; {told}" if known else told
        return ""

    def _mask_text(self, text: str, name: str) -> str:
        whole = f"{name}\0{text}".encode("utf-8", "surrogatepass")
        key = blake2b(whole, digest_size=32).digest()
        if key in _masked_before:
            masked = _masked_before[key]
        else:
            masked = mask_text(text, name)
            masked = None if masked == text else masked
        self.masked[key] = masked
        return text if masked is None else masked

    def _masked_name(self, name: str) -> str:
        """Return the unique path of a file without tokens, and note if it had some."""
        masked = free_name(masked_path(name), self.names)
        self.names.add(masked)
        if masked != shown(name):
            self._note_masked(name)
        return masked

    def _note_masked(self, name: str) -> None:
        self.unknown["untracked.masked"] = f"secrets in {masked_path(name)} were masked"

    def _mark(self, names: Sequence[str]) -> None:
        """Note fingerprints of files whose text is not kept, to detect changes."""
        from runstore.capture.program.fingerprints import Fingerprints

        fingerprints = Fingerprints()
        for name in names:
            try:
                mark = fingerprints.of(self.root / name, is_secret=is_secret_file(name))
            except genuine(OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or error
                self.unknown["untracked.others"] = f"{masked_path(name)}: {why}"
            else:
                self.marks.append(f"{mark} {self._masked_name(name)}")

    def facts(self) -> Facts:
        """Return the document, and its missing parts."""
        global _masked_before  # noqa: PLW0603 - what the next run may reuse
        _masked_before = self.masked
        if self.left_out:
            more = len(self.left_out) - _NAMED_AT_MOST
            named = self.left_out[:_NAMED_AT_MOST] + ([f"{more} more"] if more > 0 else [])
            self.unknown["untracked.rest"] = "; ".join(named)
        if self.unkept:
            self._mark(sorted(self.unkept))
        # The order does not depend on that of reading.
        text = json.dumps(self.texts, ensure_ascii=False, indent=1, sort_keys=True)
        documents = {"untracked": text} if self.texts else {}
        is_marked = self.marks and "untracked.others" not in self.unknown
        values: dict[str, FactValue] = (
            {"untracked.others": tuple(sorted(self.marks))} if is_marked else {}
        )
        return Facts(values=values, documents=documents, unknown=self.unknown)


def _text_of(file: Path, limit_bytes: int) -> tuple[str, str, str]:
    """Return the text of a file with its encoding if that is not UTF-8, or the reason for none."""
    about = file.lstat()
    # A link can lead anywhere, and a pipe may never end.
    if not stat.S_ISREG(about.st_mode):
        return "", "", "not a plain file"
    if about.st_size > limit_bytes:
        return "", "", f"larger than {limit_bytes >> 10} KiB"
    with file.open("rb") as opened:
        data = opened.read(limit_bytes + 1)
    if b"\0" in data:
        return "", "", "not text"
    try:
        return data.decode("utf-8"), "", ""
    except UnicodeDecodeError:
        # Each byte of code is kept: Latin-1 maps all of them to characters.
        return (
            (data.decode("latin-1"), "latin-1", "") if is_code(file.name) else ("", "", "not text")
        )

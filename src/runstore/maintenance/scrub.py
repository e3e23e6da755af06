"""Permanent removal of secrets from a store: from its rows, files, logs and free pages.

This removes secrets that were recorded: a token that a program printed, a password among
parameters. The rest of a text is kept. Changed contents are stored under their new digest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from runstore.artifacts import previews
from runstore.errors import RunstoreError, UsageError, genuine, suppressed
from runstore.inflight import take_in
from runstore.model.scrubbing import (
    SHORTEST,
    Scrubbed,
    Wanted,
    WantedByRules,
    WantedPattern,
    masked_value,
)
from runstore.reading.names import record_of
from runstore.storage.backend import RUNS
from runstore.storage.files.safe_files import levels_below, reader, remove_file, replacing
from runstore.storage.files.spool import uid_of
from runstore.storage.fulltext.index_file import SearchFile
from runstore.storage.integrity.references import References
from runstore.storage.scrub.contents import ContentsTable
from runstore.storage.scrub.rows import RowScrubber
from runstore.store_json.lists import Lists
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.storage.backend import Backend

_CHUNK_BYTES = 1 << 20
_OUTPUT_IN_FLIGHT = (".output", ".points")
# Files that a store keeps beside its database; other files in the folder are not its own.
_TEXTS = ("store.json*", "params_registry.json*")
_COPIES = ("runstore.db.*", "runstore.db-wal.left-*")
_LOGS = ("runstore.db", "runstore.db-wal")


def wanted(secrets: tuple[str, ...] = (), pattern: str | None = None) -> Wanted:
    """Return the secrets to remove; by default those masked by today's rules.

    Raises:
        UsageError: A secret is too short, or the pattern is invalid.
    """
    if pattern is not None:
        import re

        try:
            found = WantedPattern(pattern)
        except re.error as error:
            raise UsageError(f"{pattern!r} is not a valid regular expression: {error}.") from None
        if found.masked("") != "":
            raise UsageError(f"{pattern!r} matches an empty text.", kept="Nothing was changed.")
        return found
    if not secrets:
        return _by_rules()
    if any(len(one) < SHORTEST for one in secrets):
        raise UsageError(
            f"A secret has fewer than {SHORTEST} characters and would match everywhere.",
            kept="Nothing was changed.",
            hint="Pass the whole secret, or use --pattern.",
        )
    return Wanted(secrets)


def _by_rules() -> WantedByRules:
    from runstore.capture.secrets import mask_arguments, mask_command, mask_message, mask_text

    def facts(text: str) -> str:
        try:
            found = json.loads(text)
            values = found["values"]
            for name, value in values.items():
                if name.endswith(("command.argv", "command.arguments")):
                    values[name] = list(mask_arguments(value))
                elif name.endswith("command.line"):
                    values[name] = mask_command(value)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return masked_value(text, mask_message)
        after = text if found == json.loads(text) else json.dumps(found)
        return masked_value(after, mask_message)

    commands = dict.fromkeys(("runs.cli", "runs.reproduce"), mask_command)
    # The kind of a document is unknown here, so that it is inferred from its contents.
    documents = {"documents.body": lambda text: masked_value(text, mask_text)}
    names = {"experiments.name": lambda name: mask_arguments([name])[0]}
    by_column = {**commands, **documents, **names, "runs.facts": facts}
    return WantedByRules(mask_message, by_column)


def scrub(backend: Backend, secrets: Wanted, *, is_dry: bool = True) -> Scrubbed:
    """Remove secrets from a store, and return the affected places; a second call changes nothing.

    Raises:
        StoreError: The store cannot be written.
        StoreLockedError: Another program uses the database.
    """
    if not is_dry and (refusal := backend.database.driver.refusal) is not None:
        raise refusal
    found = Scrubbed(is_dry=is_dry)
    work = _Scrubber(backend, secrets, found)
    if not is_dry:
        take_in(backend)
    work.contents()
    work.rows()
    work.files()
    if not is_dry:
        work.wipe()
    return found


class _Kept(NamedTuple):
    """Contents with secrets."""

    digest: str
    path: Path
    is_text: bool


class _Scrubber:
    def __init__(self, backend: Backend, secrets: Wanted, found: Scrubbed) -> None:
        self._backend = backend
        self._secrets = secrets
        self._found = found
        self._is_dry = found.is_dry
        self._is_by_rules = isinstance(secrets, WantedByRules)
        self._objects = backend.objects
        self._table = ContentsTable(backend.database)

    # Rows

    def rows(self) -> None:
        """Replace secrets in the rows."""
        scrubber = RowScrubber(self._backend.database.driver, self._secrets)
        counts = scrubber.counted() if self._is_dry else scrubber.removed()
        for name, count in sorted(counts.items()):
            self._found.add(name, "masked", count)
        for name, count in sorted(scrubber.left.items()):
            self._found.add(name, "left", count, "remove it with: runstore scrub --secret")

    # Contents

    def contents(self) -> None:
        """Replace text contents that contain secrets, and remove others."""
        if self._is_by_rules:
            return
        for one in list(self._contents_with_secrets()):
            names = self._table.names_of(one.digest)
            shown = ", ".join(names) or f"unreferenced contents {one.digest[:12]}"
            if not names or not one.is_text:
                note = "" if one.is_text else "not text, so that it cannot be masked"
                self._found.add(shown, "removed", note=note)
                if not self._is_dry:
                    self._table.remove(one.digest)
                    self._discard(one)
            elif self._is_dry:
                self._found.add(shown, "replaced", note=f"its digest {one.digest[:12]} changes")
            else:
                after = self._replace(one)
                self._found.add(
                    shown, "replaced", note=f"digest {one.digest[:12]}, now {after[:12]}"
                )

    def _contents_with_secrets(self) -> Iterator[_Kept]:
        for path in self._objects.files():
            digest = self._objects.digest_at(path)
            if digest is None:
                continue
            with suppressed(OSError):
                with self._opened(path, digest) as file:
                    has_some, is_text = self._look_in(file)
                if has_some:
                    yield _Kept(digest, path, is_text)

    def _opened(self, path: Path, digest: str) -> BinaryIO:
        """Open contents, even if they are damaged; those of a server are copied here first."""
        try:
            return reader(path, levels=levels_below(path, self._backend.path))
        except FileNotFoundError:
            return self._objects.opened(digest, self._objects.stored_size(path))

    def _look(self, path: Path) -> tuple[bool, bool]:
        with reader(path, levels=levels_below(path, self._backend.path)) as file:
            return self._look_in(file)

    def _look_in(self, file: BinaryIO) -> tuple[bool, bool]:
        """Return whether a file contains secrets, and whether it is text."""
        from codecs import getincrementaldecoder

        decoder = getincrementaldecoder("utf-8")()
        has_some, is_text, before = False, True, b""
        while some := file.read(_CHUNK_BYTES):
            has_some = has_some or self._secrets.is_in(before + some)
            before = some[-self._secrets.reach :]
            if is_text:
                try:
                    is_text = "\0" not in decoder.decode(some)
                except UnicodeDecodeError:
                    is_text = False
        return has_some, is_text

    def _replace(self, one: _Kept) -> str:
        with self._objects.in_use(), self._objects.aside(".txt") as aside:
            with reader(one.path, levels=3) as source, aside.open("xb") as target:
                self._copy_masked(source, target)
            kept = self._objects.adopt(aside)
            media_type = self._table.media_type_of(one.digest)
            preview = (
                None
                if media_type is None
                else previews.preview_of(self._objects.path_of(kept.digest), media_type)
            )
            self._table.replace(one.digest, kept, preview)
        self._discard(one)
        return kept.digest

    def _copy_masked(self, source: BinaryIO, target: BinaryIO) -> None:
        target.writelines(self._secrets.masked(line.decode()).encode() for line in source)

    def _discard(self, one: _Kept) -> None:
        with self._objects.alone():
            if not References(self._backend.database).unneeded([one.digest]):
                return  # saved again meanwhile
            self._objects.remove(one.path)

    # Files

    def files(self) -> None:
        """Replace secrets in files beside the database, and remove copies with secrets."""
        if self._is_by_rules:
            return
        for path in self._beside(_COPIES):
            self._remove_copy(path)
        for path in filter(self._objects.is_leftover, self._objects.files()):
            self._remove_copy(path)
        for path in self._beside(_TEXTS):
            self._mask_file(path)
        for path in filter(self._is_of_this_store, self._backend.spool.every_file()):
            self._of_the_spool(path)
        self._folders_of_runs()

    def _beside(self, patterns: tuple[str, ...]) -> list[Path]:
        folders = [self._backend.path, *self._backend.part(Lists).folders()]
        return [
            path
            for folder in dict.fromkeys(folders)
            for one in patterns
            for path in sorted(folder.glob(one))
        ]

    def _name(self, path: Path) -> str:
        if path.is_relative_to(self._backend.path):
            return path.relative_to(self._backend.path).as_posix()
        return str(path)

    def _has_some(self, path: Path) -> tuple[bool, bool]:
        try:
            return self._look(path)
        except genuine(OSError) as error:
            if not isinstance(error, FileNotFoundError):
                self._found.add(self._name(path), "left", note=error.strerror or str(error))
            return False, False

    def _remove_copy(self, path: Path) -> None:
        if self._has_some(path)[0]:
            self._found.add(self._name(path), "removed", note="a backup copy")
            if not self._is_dry:
                remove_file(path, levels=levels_below(path, self._backend.path))

    def _mask_file(self, path: Path) -> None:
        has_some, is_text = self._has_some(path)
        if not has_some:
            return
        if not is_text:
            self._found.add(self._name(path), "left", note="not text; remove it yourself")
            return
        self._found.add(self._name(path), "masked")
        if not self._is_dry:
            self._write(path)

    def _write(self, path: Path) -> None:
        """Rewrite a text file atomically."""
        levels = levels_below(path, self._backend.path)
        with replacing(path, levels=levels) as target, reader(path, levels=levels) as source:
            os.fchmod(target.fileno(), os.fstat(source.fileno()).st_mode & 0o777)
            self._copy_masked(source, target)

    def _is_of_this_store(self, path: Path) -> bool:
        """Check whether a spool file belongs to this store; private folders are shared."""
        if path.is_symlink() or not path.is_file():
            return False
        if path.parent == self._backend.spool.place:
            return True
        try:
            record_of(self._backend, uid_of(path))
        except RunstoreError:
            return False
        return True

    def _of_the_spool(self, path: Path) -> None:
        if path.suffix in _OUTPUT_IN_FLIGHT:
            if self._has_some(path)[0]:
                note = "a run is writing it; scrub again when the run has ended"
                self._found.add(self._name(path), "left", note=note)
        else:
            self._mask_file(path)

    def _folders_of_runs(self) -> None:
        folder = self._backend.path / RUNS
        if folder.is_symlink():
            return
        for place, _, names in os.walk(folder):
            for name in sorted(names):
                self._mask_file(Path(place, name))

    # Free pages

    def wipe(self) -> None:
        """Rewrite the database without its free pages, and empty its log."""
        with suppressed(OSError):
            SearchFile(self._backend.path / _LOGS[0]).remove()
        for table in self._backend.database.driver.wipe():
            note = "old rows; let the owner of the table run: VACUUM (FULL)"
            self._found.add(table, "left", note=note)
        for name in _LOGS:
            path = self._backend.path / name
            if path.exists() and self._has_some(path)[0]:
                note = "another program has it open; stop it, and scrub again"
                self._found.add(name, "left", note=note)

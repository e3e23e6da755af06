"""The texts of runs during one search: indexed ones, and those that must be read."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from runstore.errors import NotFoundError, StoreCorruptError, genuine, suppressed
from runstore.model.text.output import OutputLine, plain_text
from runstore.model.text.required_literals import Needed
from runstore.storage.artifacts import OutputPart
from runstore.storage.database import Database
from runstore.storage.files.objects import Objects
from runstore.storage.files.output import Printed, open_output, read_lines
from runstore.storage.files.spool import uid_of
from runstore.storage.fulltext.candidates import Document, PossibleDocuments, TextCandidates
from runstore.storage.fulltext.index import FIELD_NUMBERS
from runstore.storage.fulltext.pieces import checksum_of, pieces_of
from runstore.storage.rows import as_int, as_optional_text, as_text
from runstore.value_classes import NamedTuple

TEXTS_OF_RUN = "SELECT notes, error, traceback FROM runs WHERE id = ?"
RUNS_WITH_OUTPUT = "SELECT DISTINCT run_id FROM outputs WHERE size_bytes > 0"
OUTPUTS_OF_RUN_ID = """
    SELECT part, digest, size_bytes FROM outputs WHERE run_id = ? ORDER BY part
"""
RUNS_OF_UIDS = """
    SELECT id, uid FROM runs WHERE uid IN (SELECT value FROM json_each(?) texts)
"""
CHANGED_SINCE = "SELECT id FROM runs WHERE changed > ?"
UNREAD_RUNS = "SELECT run_id FROM parts WHERE taken_bytes < 0"
PIECE = """
    SELECT p.digest, p.size_bytes, d.begin, d.size_bytes, d.first_line, d.checksum
    FROM documents d JOIN parts p ON p.id = d.part_id WHERE d.id = ?
"""


class Piece(NamedTuple):
    """Some lines of output: the number of the first one, and their bytes."""

    first_line: int
    data: bytes


class IndexState(NamedTuple):
    """The index within a transaction, and the change number up to which all runs are indexed."""

    connection: sqlite3.Connection
    seen: int


class RunTexts:
    """The texts of the runs of one store, for one search.

    Attributes:
        apart: Runs whose texts must be read because the index is not up to date.

    Args:
        database: The runs.
        objects: The output of runs that have ended.
        live: Files of printed lines in the spool, by uid.
        known: The state of the index; None without an index.
    """

    def __init__(
        self,
        database: Database,
        objects: Objects,
        live: Mapping[str, Sequence[Path]],
        known: IndexState | None = None,
    ) -> None:
        self._database = database
        self._objects = objects
        self._index = known.connection if known else None
        found = database.driver.fetch_all(RUNS_OF_UIDS, (json.dumps(list(live)),))
        self._live: dict[int, Sequence[Path]] = {run_id: live[uid] for run_id, uid in found}
        self.apart = self._not_indexed(known.seen if known else -1)

    def _not_indexed(self, seen: int) -> set[int]:
        """Return the runs whose texts must be read, by the change that the index has seen."""
        changed = self._database.driver.fetch_all(CHANGED_SINCE, (seen,))
        apart = {row[0] for row in changed}
        if self._index is not None:
            apart |= {row[0] for row in self._index.execute(UNREAD_RUNS).fetchall()}
        return apart

    @property
    def calls_python(self) -> bool:
        """Whether statements about the runs can call functions of this program."""
        return self._database.driver.calls_python

    def runs_with_output(self) -> set[int]:
        """Return the row ids of all runs that printed something."""
        kept = self._database.driver.fetch_all(RUNS_WITH_OUTPUT)
        return {row[0] for row in kept} | self.live_runs

    def candidates(
        self,
        needed: Needed,
        fields: Iterable[str],
        *,
        in_one_document: bool,
        exact: str,  # noqa: ARG002 - the index ignores case
    ) -> TextCandidates | None:
        """Return the documents that may match; None without an index.

        Args:
            needed: The folded texts that a match must contain.
            fields: The fields to search.
            in_one_document: Whether a single document must contain everything.
            exact: A text that a match must contain with the same case; empty for none.
        """
        if self._index is None:
            return None
        numbers = [FIELD_NUMBERS[name] for name in fields]
        return PossibleDocuments(self._index, needed, numbers, in_one_document=in_one_document)

    def notes_and_errors(self, run_id: int) -> tuple[str | None, str | None, str | None]:
        """Return notes, error and traceback of a run."""
        try:
            row = self._database.driver.fetch_one(TEXTS_OF_RUN, (run_id,))
        except StoreCorruptError:  # one of them is too long
            return self._database.texts_of(run_id)
        notes, error, traceback = map(as_optional_text, row or (None, None, None))
        return notes, error, traceback

    # Output

    @property
    def live_runs(self) -> set[int]:
        """Runs with output that is not indexed yet."""
        return set(self._live)

    def is_live(self, run_id: int) -> bool:
        """Check whether a run has output that is not indexed yet."""
        return run_id in self._live

    def piece(self, document: int) -> Piece:
        """Return the lines of a document; empty if the file was removed or changed.

        Raises:
            sqlite3.DatabaseError: The file is intact, so that the index must be damaged.
        """
        assert self._index is not None  # noqa: S101 - documents come from there
        row = self._index.execute(PIECE, (document,)).fetchone()
        if row is None:
            raise sqlite3.DatabaseError(f"document {document} belongs to no part")
        digest, whole_size, begin, size, first_line, checksum = row
        data = b""
        with suppressed(OSError):
            data = _read_at(self._objects.path_of(digest), begin, size)
        if checksum_of(data) == checksum:
            return Piece(first_line, data)
        with suppress(NotFoundError, StoreCorruptError):
            # Contents on a server are fetched, if there is no copy on this machine.
            data = _read_at(self._objects.whole(digest, whole_size), begin, size)
            if checksum_of(data) == checksum:
                return Piece(first_line, data)
            raise sqlite3.DatabaseError(f"document {document} differs from its file")
        return Piece(first_line, b"")

    def output_files(self, run_id: int) -> list[Printed]:
        """Return the output of a run, without missing and damaged files."""
        parts = self._parts(run_id)
        found = [self._contents(part) for part in parts]
        seen = {part.part for part in parts}
        live = [path for path in self._live.get(run_id, ()) if path.name not in seen]
        return [one for one in found if one is not None] + live

    def _contents(self, part: OutputPart) -> Printed | None:
        """Return a part of the output; None if it is missing or damaged."""
        with suppress(NotFoundError, StoreCorruptError):
            return self._objects.whole(part.digest, part.size_bytes)
        return None

    def _parts(self, run_id: int) -> list[OutputPart]:
        rows = self._database.driver.fetch_all(OUTPUTS_OF_RUN_ID, (run_id,))
        return [
            OutputPart(as_text(part), as_text(digest), as_int(size)) for part, digest, size in rows
        ]

    def output_pieces(self, run_id: int, documents: Sequence[Document] | None) -> Iterator[Piece]:
        """Yield the lines of some documents of a run, or of all its output without an index."""
        if documents is not None and self._index is not None and not self.is_live(run_id):
            yield from (self.piece(one.id) for one in documents)
            return
        for printed in self.output_files(run_id):
            yield from self._pieces_of(printed)

    def _pieces_of(self, printed: Printed) -> Iterator[Piece]:
        """Yield the lines of one file; nothing if it was removed."""
        number = 1
        try:
            with open_output(printed) as file:
                for _, data in pieces_of(file):
                    yield Piece(number, data)
                    number += data.count(b"\n")
        except genuine(OSError):
            return

    def output_lines(self, run_id: int) -> Iterator[OutputLine]:
        """Yield the printed lines of a run, in order."""
        return read_lines(self.output_files(run_id))

    def output_text(self, run_id: int) -> str | None:
        """Return the whole output of a run as text without colours; None if there is none."""
        if run_id not in self._live and not any(one.size_bytes for one in self._parts(run_id)):
            return None
        return "\n".join(plain_text(line.text) for line in self.output_lines(run_id))


def _read_at(path: Path, begin: int, size: int) -> bytes:
    with open_output(path) as file:
        file.seek(begin)
        return file.read(size)


def by_run(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return files of the spool by the uid of their run, without empty ones."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in files:
        try:
            if path.lstat().st_size:
                found[uid_of(path)].append(path)
        except genuine(OSError):
            continue  # imported just now
    return found

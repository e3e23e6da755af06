"""The texts of runs on a server during one search: prefiltered there, and read in blocks."""
# ruff: noqa: S608 - nothing but constants, and marks of parameters, are put into SQL

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Union

from runstore.errors import FilterError
from runstore.model.display.formatting import size_text
from runstore.model.text.required_literals import Needed
from runstore.storage.artifacts import OutputPart
from runstore.storage.database import Database
from runstore.storage.files.objects import Objects
from runstore.storage.files.output import Printed
from runstore.storage.fulltext.candidates import Document
from runstore.storage.fulltext.index import FIELD_NUMBERS, OUTPUT_FIELD
from runstore.storage.fulltext.run_texts import RunTexts
from runstore.storage.postgres import objects
from runstore.storage.postgres.search.expression import PRINTED_BODY, Prefilter, simplified_in
from runstore.storage.postgres.search.trigrams import RUNS_WITH, RUNS_WITHOUT
from runstore.storage.rows import as_int, as_optional_text, as_text

Texts = tuple[Union[str, None], Union[str, None], Union[str, None]]

# Bound of the time that one search may read texts on the server.
READS_AT_MOST_S = 120.0
_SLOW_S = 2.0
_RUNS_AT_ONCE = 1024
_LAST_ID = 2**62
_BYTES_AT_ONCE = 64 << 20
_INLINE_BYTES = 64 << 10
# How many of the next runs are read with one that is checked.
_FIRST_AHEAD, _MOST_AHEAD = 8, 256

SIZES = """
    SELECT run_id, sum(size_bytes) FROM outputs WHERE run_id BETWEEN ? AND ? AND size_bytes > 0
    GROUP BY run_id ORDER BY run_id DESC
"""
_PRINTED_BYTES = f"""
    SELECT o.run_id AS id, 0 AS part, o.size_bytes AS size, c.body
    FROM outputs o LEFT JOIN LATERAL (
        SELECT {PRINTED_BODY} AS body FROM object_parts p WHERE p.digest = o.digest OFFSET 0
    ) c ON true
    WHERE o.run_id {{runs}} AND o.size_bytes > 0
"""
_WRITTEN_BYTES = """
    SELECT r.id, 0 AS part, 0 AS size,
        convert_to(concat_ws(chr(10), r.notes, r.error, r.traceback), 'UTF8') AS body
    FROM runs r WHERE r.id BETWEEN :first AND :last
"""
_IN_RANGE, _LISTED = "BETWEEN :first AND :last", "IN (SELECT value FROM json_each(:runs))"
# Output without contents in the database may be on this machine.
PRINTED_BY = f"""
    SELECT DISTINCT t.id FROM {simplified_in(_PRINTED_BYTES, is_printed=True)}
    WHERE t.text IS NULL OR CASE WHEN t.size <= :row THEN {{strict}} ELSE {{loose}} END
"""
WRITTEN_IN = f"SELECT t.id FROM {simplified_in(_WRITTEN_BYTES, is_printed=False)} WHERE {{strict}}"
TEXTS_OF_RUNS = """
    SELECT id, notes, error, traceback FROM runs WHERE id IN (SELECT value FROM json_each(?))
"""
CONTENTS_OF_RUNS = """
    SELECT o.run_id, o.part, o.digest, o.size_bytes,
        CASE WHEN o.size_bytes <= ? THEN p.body END
    FROM outputs o LEFT JOIN object_parts p ON p.digest = o.digest AND p.part = 0
    WHERE o.run_id IN (SELECT value FROM json_each(?)) ORDER BY o.run_id, o.part
"""


class ServerTexts(RunTexts):
    """The texts of the runs of one store on a server, for one search.

    Args:
        database: The runs.
        objects: The output of runs that have ended.
        live: Files of printed lines in the spool, by uid.
        tell: Receives a message for users if the search takes long.
        has_index: Whether the server has an index of printed texts.
    """

    def __init__(
        self,
        database: Database,
        objects: Objects,
        live: Mapping[str, Sequence[Path]],
        tell: Callable[[str], None],
        *,
        has_index: bool = False,
    ) -> None:
        super().__init__(database, objects, live)
        self.has_index = has_index
        self._tell = tell
        self._without_index: Sequence[tuple[Sequence[int], int]] | None = None
        self._read_s, self._read_bytes = 0.0, 0
        self._next: list[int] = []
        self._ahead = _FIRST_AHEAD
        self._outputs: dict[int, list[OutputPart]] = {}
        self._data: dict[str, bytes] = {}
        self._words: dict[int, Texts] = {}

    def candidates(
        self, needed: Needed, fields: Iterable[str], *, in_one_document: bool, exact: str
    ) -> ServerDocuments:
        """Return the documents that may match."""
        prefilter = Prefilter(needed, exact)
        return ServerDocuments(self, prefilter, fields, in_one_document=in_one_document)

    def rows(self, statement: str, parameters: Mapping[str, object], size: int) -> Sequence[int]:
        """Return the row ids that a statement finds, which reads texts of some size.

        Raises:
            FilterError: The search has read texts for too long.
        """
        begin = time.monotonic()
        found = self._database.driver.fetch_all(statement, parameters)
        was_quick = self._read_s < _SLOW_S
        self._read_s += time.monotonic() - begin
        self._read_bytes += size
        if self._read_s > READS_AT_MOST_S:
            raise FilterError(
                f"The search was stopped after reading {size_text(self._read_bytes)} of output in"
                f" {READS_AT_MOST_S:.0f} s.",
                hint="Limit it to an experiment, or with a filter such as started > -7d.",
            )
        if was_quick and self._read_s > _SLOW_S:
            self._tell(
                "The server reads the output of all runs for this search, which takes some time."
                " Limit it to an experiment or with a filter to make it faster."
            )
        return [as_int(row[0]) for row in found]

    def sizes(self, first: int, last: int) -> Sequence[tuple[int, int]]:
        """Return the runs of a range that printed something, newest first, and how much."""
        found = self._database.driver.fetch_all(SIZES, (first, last))
        return [(as_int(run_id), as_int(size)) for run_id, size in found]

    def without_index(self) -> Sequence[tuple[Sequence[int], int]]:
        """Return the runs whose output is not indexed yet, in groups, with the sizes."""
        if self._without_index is None:
            groups: list[tuple[list[int], int]] = []
            found = self._database.driver.fetch_all(RUNS_WITHOUT)
            for run_id, size in found:
                runs, so_far = groups.pop() if groups else ([], 0)
                if runs and so_far + size > _BYTES_AT_ONCE:
                    groups.append((runs, so_far))
                    runs, so_far = [], 0
                runs.append(as_int(run_id))
                groups.append((runs, so_far + as_int(size)))
            self._without_index = groups
        return self._without_index

    # Texts of candidates, read together with those of the next ones

    def expect(self, run_ids: Sequence[int]) -> None:
        """Name the runs that are probably checked next, in their order."""
        self._next = list(run_ids)

    def notes_and_errors(self, run_id: int) -> Texts:
        """Return notes, error and traceback of a run."""
        self._read(run_id)
        return self._words[run_id]

    def output_files(self, run_id: int) -> list[Printed]:
        """Return the output of a run, without missing and damaged files."""
        self._read(run_id)
        return super().output_files(run_id)

    def _parts(self, run_id: int) -> list[OutputPart]:
        self._read(run_id)
        return self._outputs[run_id]

    def _contents(self, part: OutputPart) -> Printed | None:
        data = self._data.get(part.digest)
        if data is not None and hashlib.sha256(data).hexdigest() == part.digest:
            return data
        return super()._contents(part)

    def _not_indexed(self, seen: int) -> set[int]:  # noqa: ARG002 - as for an index
        return set()

    def _read(self, run_id: int) -> None:
        """Read the texts of a run and of the next ones, unless they are known."""
        if run_id in self._outputs:
            return
        self._outputs, self._words = {}, {}
        place = self._next.index(run_id) if run_id in self._next else len(self._next)
        wanted = [run_id, *self._next[place + 1 : place + self._ahead]]
        self._ahead = min(self._ahead * 2, _MOST_AHEAD)
        ids = json.dumps(wanted)
        with self._database.driver.read() as connection:
            words = connection.execute(TEXTS_OF_RUNS, (ids,)).fetchall()
            contents = connection.execute(CONTENTS_OF_RUNS, (_INLINE_BYTES, ids)).fetchall()
        self._words = dict.fromkeys(wanted, (None, None, None))
        for one, *texts in words:
            notes, error, traceback = map(as_optional_text, texts)
            self._words[one] = (notes, error, traceback)
        self._outputs = {one: [] for one in wanted}
        self._data = {}
        for one, part, digest, size, data in contents:
            self._outputs[one].append(OutputPart(as_text(part), as_text(digest), as_int(size)))
            if data is not None:
                self._data[digest] = data


class _RunBlock:
    """The runs of a range of row ids whose texts may match.

    Attributes:
        written: Those whose notes or errors may match.
        printed: Those whose output may match, as far as it was looked at.
        ranges: Ranges of runs with output that was not looked at yet, with its size, newest first.
    """

    def __init__(self, written: set[int], sizes: Iterable[tuple[int, int]]) -> None:
        self.written = written
        self.printed: set[int] = set()
        self.ranges: list[tuple[int, int, int]] = []
        for run_id, size in sizes:
            if self.ranges and self.ranges[-1][2] + size <= _BYTES_AT_ONCE:
                _, last, so_far = self.ranges.pop()
                self.ranges.append((run_id, last, so_far + size))
            else:
                self.ranges.append((run_id, run_id, size))


class ServerDocuments:
    """The runs whose texts may match, found by the server in blocks of runs.

    Args:
        texts: The texts of the runs.
        prefilter: The conditions that the server checks.
        fields: The fields to search.
        in_one_document: Whether a single text must contain everything, or the run as a whole.
    """

    def __init__(
        self,
        texts: ServerTexts,
        prefilter: Prefilter,
        fields: Iterable[str],
        *,
        in_one_document: bool,
    ) -> None:
        self._texts = texts
        self._raw = prefilter.raw
        self._loose = prefilter.loose
        self._strict = prefilter.strict if in_one_document else prefilter.loose
        self._parameters = prefilter.parameters
        self._has_trigrams = prefilter.has_trigrams
        self._few: _RunBlock | None = None
        numbers = [FIELD_NUMBERS[name] for name in fields]
        self._has_output = OUTPUT_FIELD in numbers
        self._written = [Document(one, 0) for one in numbers if one != OUTPUT_FIELD]
        self._blocks: dict[int, _RunBlock] = {}

    def runs(self, at_most: int) -> set[int] | None:
        """Return the runs that may match, found by the index; None if they may be many."""
        if self._few is None and self._has_trigrams and self._texts.has_index:
            self._few = self._found_by_index(at_most)
            if self._few is not None:
                self._texts.expect(sorted(self._few.written | self._few.printed, reverse=True))
        return None if self._few is None else self._few.written | self._few.printed

    def _found_by_index(self, at_most: int) -> _RunBlock | None:
        found = _RunBlock(set(), ())
        if self._has_output:
            statement = RUNS_WITH.format(strict=self._strict, loose=self._loose)
            limited = {**self._parameters, "at_most": at_most + 1}
            found.printed.update(self._texts.rows(statement, limited, 0))
            for runs, size in self._texts.without_index():
                if len(found.printed) > at_most:
                    return None
                some = {**self._between(0, 0), "runs": json.dumps(runs)}
                found.printed.update(self._texts.rows(self._printed_by(_LISTED), some, size))
        if self._written:
            found.written.update(self._written_in(0, _LAST_ID))
        return found if len(found.printed | found.written) <= at_most else None

    def _printed_by(self, runs: str) -> str:
        return PRINTED_BY.format(
            runs=runs, raw=self._raw, strict=self._strict, loose=self._loose or "true"
        )

    def _written_in(self, first: int, last: int) -> Sequence[int]:
        statement = WRITTEN_IN.format(raw=self._raw, strict=self._strict)
        return self._texts.rows(statement, self._between(first, last), 0)

    def of_run(self, run_id: int) -> Sequence[Document]:
        """Return the documents of a run that may match."""
        block = self._few or self._looked_at(run_id)
        found = [*self._written] if run_id in block.written else []
        return [*found, _PRINTED] if run_id in block.printed else found

    def _looked_at(self, run_id: int) -> _RunBlock:
        """Return the block of a run, whose texts were looked at."""
        place = run_id // _RUNS_AT_ONCE
        if place not in self._blocks:
            self._blocks[place] = self._of_block(place * _RUNS_AT_ONCE)
        block = self._blocks[place]
        for one in block.ranges:
            if one[0] <= run_id <= one[1]:
                block.ranges.remove(one)
                self._look_at(block, *one)
                break
        return block

    def _of_block(self, first: int) -> _RunBlock:
        last = first + _RUNS_AT_ONCE - 1
        written: set[int] = set()
        if self._written and self._strict is None:
            written = set(range(first, last + 1))
        elif self._written:
            written = set(self._written_in(first, last))
        block = _RunBlock(written, self._texts.sizes(first, last) if self._has_output else ())
        self._texts.expect(sorted(written, reverse=True))
        return block

    def _look_at(self, block: _RunBlock, first: int, last: int, size: int) -> None:
        """Find the runs of a range whose output may match."""
        if self._strict is None:
            block.printed.update(range(first, last + 1))
        else:
            statement = self._printed_by(_IN_RANGE)
            found = self._texts.rows(statement, self._between(first, last), size)
            block.printed.update(found)
        self._texts.expect(sorted(block.printed | block.written, reverse=True))

    def _between(self, first: int, last: int) -> Mapping[str, object]:
        return {"first": first, "last": last, "row": objects.PART_BYTES, **self._parameters}


_PRINTED = Document(OUTPUT_FIELD, 0)

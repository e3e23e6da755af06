"""Verification of stored values by their hashes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from runstore.errors import StoreCorruptError
from runstore.model.params.decode import is_tree
from runstore.model.params.flatten import flatten
from runstore.model.params.parameter_set import tree_hash
from runstore.storage.driver import Connection, Driver
from runstore.storage.metrics import chunks
from runstore.storage.metrics.levels import row_digest
from runstore.storage.metrics.table import summary_digest
from runstore.storage.rows import as_text, is_int
from runstore.value_classes import NamedTuple

_SERIES = """
    coalesce(r.reference, 'run ' || c.run_id) || ': ' || coalesce(k.key, CAST(c.key_id AS TEXT))
    FROM {table} c LEFT JOIN runs r ON r.id = c.run_id LEFT JOIN metric_keys k ON k.id = c.key_id
"""
_CHUNKS = (
    "SELECT c.run_id, c.set_index, c.key_id, c.chunk_index, c.count, c.chunk, c.digest,"
    + _SERIES.format(table="metric_chunks")
)
_LEVELS = (
    "SELECT c.run_id, c.set_index, c.key_id, c.level, c.place, c.blocks, c.digest,"
    + _SERIES.format(table="metric_levels")
)
_SUMMARIES = (
    "SELECT c.run_id, c.set_index, c.key_id, c.digest, c.count, c.nan_count, c.first, c.last,"
    " c.min, c.max, c.total, c.last_step, c.last_at," + _SERIES.format(table="metric_summaries")
)
_DOCUMENTS = """
    SELECT d.hash, d.body, (
        SELECT r.reference || ': ' || l.name FROM run_documents l JOIN runs r ON r.id = l.run_id
        WHERE l.hash = d.hash LIMIT 1
    ) FROM documents d
"""
_TREES = """
    SELECT v.tree_key, v.tree, (
        SELECT r.reference || ': ' || p.name FROM run_params p JOIN runs r ON r.id = p.run_id
        WHERE p.tree_key = v.tree_key LIMIT 1
    ) FROM param_values v
"""
_NUMBERS = """
    SELECT p.key, p.number, v.tree, r.reference
    FROM params p JOIN run_params s USING (run_id, set_index)
    JOIN param_values v ON v.tree_key = s.tree_key JOIN runs r ON r.id = p.run_id
    WHERE p.number IS NOT NULL AND p.text IS NULL ORDER BY v.tree_key
"""


class Altered(NamedTuple):
    """Values that differ from their hashes, and the number of rows older than the hashes."""

    names: list[str]
    not_covered: int


def altered(driver: Driver) -> Altered:
    """Return the stored values that differ from their hashes; reads all of them."""
    names: list[str] = []
    not_covered = 0
    with driver.read() as connection:
        for look in (_chunks, _levels, _summaries, _documents, _trees, _numbers):
            for name in look(connection):
                if name is None:
                    not_covered += 1
                else:
                    names.append(name)
    return Altered(names, not_covered)


def _chunks(connection: Connection) -> Iterator[str | None]:
    for row in connection.execute(_CHUNKS):
        *place, chunk, digest, name = row
        if digest is not None:
            is_chunk = isinstance(chunk, bytes) and all(map(is_int, place))
            if not is_chunk or chunks.chunk_digest(place, chunk) != digest:
                yield f"{as_text(name)}: points"
            continue
        yield None
        try:
            is_whole = chunks.taken_apart(chunk).points == place[-1]
        except StoreCorruptError:
            is_whole = False
        if not is_whole:
            yield f"{as_text(name)}: points"


def _levels(connection: Connection) -> Iterator[str]:
    for *place, blocks, digest, name in connection.execute(_LEVELS):
        is_row = isinstance(blocks, bytes) and all(map(is_int, place))
        if not is_row or row_digest(place, blocks) != digest:
            yield f"{as_text(name)}: levels of detail"


def _summaries(connection: Connection) -> Iterator[str | None]:
    for row in connection.execute(_SUMMARIES):
        place, digest, cells, name = row[:3], row[3], row[4:13], row[13]
        if digest is None:
            yield None
        elif not _is_summary(place, cells) or summary_digest(place, cells) != digest:
            yield f"{as_text(name)}: summary"


def _is_summary(place: Sequence[Any], cells: Sequence[Any]) -> bool:
    are_whole = all(map(is_int, (*place, *cells[:2], *cells[7:])))
    return are_whole and all(one is None or type(one) in {int, float} for one in cells[2:7])


def _documents(connection: Connection) -> Iterator[str]:
    for digest, body, name in connection.execute(_DOCUMENTS):
        if type(body) is not str or sha256(body.encode()).hexdigest() != digest:
            yield as_text(name, f"the captured text {as_text(digest):.12}")


def _trees(connection: Connection) -> Iterator[str]:
    for key, tree, name in connection.execute(_TREES):
        if type(tree) is not str or tree_hash(tree) != key:
            yield f"{as_text(name, f'the values {as_text(key):.12}')}: parameters"


def _numbers(connection: Connection) -> Iterator[str]:
    """Yield indexed numbers that differ from the values of their parameter set."""
    last, numbers = None, {}
    for key, number, tree, name in connection.execute(_NUMBERS):
        if tree != last:
            last = tree
            numbers = {one[0]: one[1] for one in flatten(tree)} if is_tree(tree) else {}
        if key in numbers and numbers[key] is not None and numbers[key] != number:
            yield f"{as_text(name)}: parameter {as_text(key)}"

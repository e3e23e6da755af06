"""Edits of many runs at once, each with an operation that can be undone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstore.model.tags import tag_key, tag_value
from runstore.model.values import check_text
from runstore.reading.liveness import settle_all
from runstore.reading.names import IN_TRASH, run_named, runs_named, the_one
from runstore.storage.grid.cells import Cells
from runstore.storage.trash import InTrash
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.storage.backend import Backend


class Done(NamedTuple):
    """An edit of runs, and the operation to undo it; None if nothing changed."""

    uids: tuple[str, ...]
    operation: str | None


def checked_tags(changes: Mapping[Any, Any]) -> dict[str, str | None]:
    """Return changes of tags in stored form, with secrets masked; None removes a tag.

    Raises:
        InvalidValueError: A key or a value is not valid for a tag.
    """
    from runstore.artifacts.masking import masked_tags

    return masked_tags(
        {
            tag_key(key): None if value is None else tag_value(value)
            for key, value in changes.items()
        }
    )


def edit_runs(
    backend: Backend,
    names: Sequence[str],
    author: str,
    *,
    tags: Mapping[str, Any],
    notes: Sequence[str | None] = (),
) -> Done:
    """Change tags and notes of runs atomically; durable on return.

    None removes a tag; without notes, they stay unchanged.

    Raises:
        InvalidValueError: Tags or notes cannot be stored. Nothing was changed.
        RunNotFoundError: There is no such run. Nothing was changed.
    """
    changes = checked_tags(tags)
    texts = [check_text(text, "notes") for text in notes]
    uids = _uids(backend, names)
    return Done(uids, backend.edits.change(uids, changes, author, notes=texts))


def trash_runs(backend: Backend, names: Sequence[str], author: str, *, is_forced: bool) -> Done:
    """Move runs to the trash; see `Store.delete`."""
    settle_all(backend)
    uids = _uids(backend, names)
    return Done(uids, backend.trash.put(uids, author, is_forced=is_forced))


def restore_runs(backend: Backend, names: Sequence[str], author: str) -> Done:
    """Restore runs from the trash, ignoring runs that are not in it."""
    known = _known(backend, names)
    lookups = InTrash(backend.database)
    place = f"the trash of {backend.place}"
    uids = [
        name
        if name in known
        else the_one(runs_named(lookups, name), name, place, hint=IN_TRASH).uid
        for name in names
    ]
    unique = tuple(dict.fromkeys(uids))
    return Done(unique, backend.trash.take_out(unique, author))


def undo_operation(backend: Backend, operation: str, author: str) -> tuple[str, ...]:
    """Undo one operation, and return the uids of the runs.

    Raises:
        ConflictError: It was undone already, or the same field was changed since. Nothing was
            changed.
        NotFoundError: There is no such edit.
    """
    undone = backend.edits.undo_operation(operation, author)
    return tuple(dict.fromkeys(one.uid for one in undone))


def _uids(backend: Backend, names: Sequence[str]) -> tuple[str, ...]:
    """Return the uids of runs, each once, without looking up uids one by one."""
    known = _known(backend, names)
    uids = [name if name in known else run_named(backend, name).uid for name in names]
    return tuple(dict.fromkeys(uids))


def _known(backend: Backend, names: Sequence[str]) -> Collection[str]:
    return Cells(backend.database).ids_of(names)

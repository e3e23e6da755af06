"""Records of the spool: what each sets, and its import into the database.

Each run loads this module, and few import artifacts, whose modules take longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from runstore.errors import NotFoundError
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.status import Status
from runstore.storage.backend import Backend
from runstore.storage.database import no_run
from runstore.storage.files.objects import Objects
from runstore.storage.files.spool import Record
from runstore.storage.late_params import add_params, replace_params
from runstore.storage.rows import facts_from_text, from_micros


def subjects_of(record: Record) -> set[tuple[str, str, str]]:
    """Return what a record sets, which a later record may set again."""
    names: Iterable[str] = ("",)
    kind, body = record.kind, record.body
    if kind == "tags":
        names = body["changes"]
    elif kind in {"artifact", "input"}:
        names = (body["path" if kind == "artifact" else "name"],)
    elif kind in {"replaced", "sets"}:
        kind = "params"
    return {(record.uid, kind, name) for name in names}


def import_record(backend: Backend, record: Record) -> None:
    """Write the data of a record to the database.

    Raises:
        RunstoreError: The database refuses it.
        OSError: Its contents cannot be read or written.
        AttributeError, KeyError, TypeError, ValueError, OverflowError: The record is invalid.
    """
    if record.kind not in _IMPORTS:
        raise ValueError(record.kind)
    _IMPORTS[record.kind](backend, record)


def _end(backend: Backend, record: Record) -> None:
    ending = {**record.body, "status": Status(record.body["status"])}
    backend.database.finish_run(record.uid, **ending)


def _artifact(backend: Backend, record: Record) -> None:
    from runstore.model.artifacts import Artifact, Preview

    uid, body = record.uid, record.body
    saved = Artifact(
        run_uid=uid,
        path=body["path"],
        digest=body["digest"],
        size_bytes=body["size_bytes"],
        media_type=body["media_type"],
        saved_at=from_micros(body["saved_at"]),
    )
    preview = None
    if body["preview"] is not None:
        import base64

        kind, text = body["preview"]
        preview = Preview(media_type=kind, body=base64.b64decode(text))
    if backend.database.run_by_uid(uid) is None:
        raise no_run(uid)
    folder = backend.spool.objects_of(record)
    aside = None if folder is None else Objects(folder)
    with backend.objects.in_use():
        if aside is not None:
            with (
                suppress(NotFoundError),  # imported before, except for the row
                aside.opened(saved.digest, saved.size_bytes) as source,
            ):
                backend.objects.keep_open(source)
        backend.objects.share(saved.digest, saved.size_bytes)
        backend.artifacts.put(saved, preview)
    if aside is not None:
        aside.remove(aside.path_of(saved.digest))


def _input(backend: Backend, record: Record) -> None:
    from runstore.model.artifacts import Input

    body = record.body
    modified = body["modified_at"]
    times = {
        "used_at": from_micros(body["used_at"]),
        "modified_at": None if modified is None else from_micros(modified),
    }
    backend.artifacts.put_input(record.uid, Input(**{**body, **times}))


def _tags(backend: Backend, record: Record) -> None:
    body = record.body
    backend.edits.change([record.uid], body["changes"], body["author"], of_program=True)


def _notes(backend: Backend, record: Record) -> None:
    body = record.body
    backend.edits.change([record.uid], {}, body["author"], notes=[body["notes"]], of_program=True)


def _facts(backend: Backend, record: Record) -> None:
    facts = facts_from_text(record.body["facts"])
    facts = facts._replace(documents=record.body["documents"])
    backend.database.attach_facts(record.uid, facts)


def _params(backend: Backend, record: Record) -> None:
    body = record.body
    add_params(
        backend.database,
        record.uid,
        ParameterSet(body["name"], body["hash"], body["tree"]),
        body["set_name"],
        body["author"],
        is_replacing=record.kind == "replaced",
    )


def _sets(backend: Backend, record: Record) -> None:
    sets = tuple(ParameterSet(**one) for one in record.body["sets"])
    replace_params(backend.database, record.uid, sets)


_IMPORTS: Mapping[str, Callable[[Backend, Record], None]] = {
    "end": _end,
    "artifact": _artifact,
    "input": _input,
    "tags": _tags,
    "notes": _notes,
    "facts": _facts,
    "params": _params,
    "replaced": _params,
    "sets": _sets,
}

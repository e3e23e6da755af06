"""The store itself."""

from __future__ import annotations

import runstore
from runstore.config import current_author
from runstore.location import FOLDER
from runstore.storage.backend import Backend
from runstore.storage.query.changes import Changes
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint
from runstore.web.schemas import FLAG, TEXT, WHOLE, optional, record


def name_of(backend: Backend) -> str:
    """Return the name of a store: its database, its folder, or the folder of its project."""
    if backend.server is not None:
        return backend.server.database
    path = backend.path
    return path.parent.name if path.name == FOLDER and path.parent.name else path.name


def _store(call: Call) -> Answer:
    backend = call.store.backend
    counts = Changes(backend.database).counts()
    return json_answer(
        {
            "name": name_of(backend),
            "path": backend.place,
            "version": runstore.__version__,
            "schema_version": counts.schema_version,
            "read_only": call.served.is_read_only or not backend.database.is_writable,
            "author": current_author(),
            "changed": counts.changed,
            "runs": counts.kept,
            "trashed": counts.trashed,
            "experiments": counts.experiments,
        }
    )


ENDPOINTS = (
    Endpoint(
        path="/store",
        answer=_store,
        about="Return information about the store.",
        result=record(
            name=TEXT,
            path=TEXT,
            version=TEXT,
            schema_version=WHOLE,
            read_only=FLAG,
            author=optional(TEXT),
            changed=WHOLE,
            runs=WHOLE,
            trashed=WHOLE,
            experiments=WHOLE,
        ),
    ),
)

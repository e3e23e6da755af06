"""The store itself."""

from __future__ import annotations

import runstore
from runstore.config import current_author
from runstore.storage.query.changes import Changes
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint
from runstore.web.schemas import FLAG, TEXT, WHOLE, optional, record


def _store(call: Call) -> Answer:
    backend = call.store.backend
    counts = Changes(backend.database).counts()
    return json_answer(
        {
            "name": call.store.path.name,
            "path": str(call.store.path),
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
        about="Return what is known of the store.",
        result=record(
            {
                "name": TEXT,
                "path": TEXT,
                "version": TEXT,
                "schema_version": WHOLE,
                "read_only": FLAG,
                "author": optional(TEXT),
                "changed": WHOLE,
                "runs": WHOLE,
                "trashed": WHOLE,
                "experiments": WHOLE,
            }
        ),
    ),
)

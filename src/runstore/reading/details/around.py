"""The runs related to a run: neighbours in its experiment, parent and children."""

from __future__ import annotations

from runstore.errors import RunNotFoundError
from runstore.model.run import Run
from runstore.reading.names import as_now, children_of, readers_of, record_of
from runstore.storage.backend import Backend
from runstore.value_classes import NamedTuple


class Around(NamedTuple):
    """The runs related to a run.

    Attributes:
        previous: The run with the next lower number in its experiment.
        next: The run with the next higher number.
        parent: The parent run, even if it is in the trash; None if unknown.
        children: The child runs, oldest first.
        sources: The runs whose artifacts it used, by uid.
        readers: The runs that used its artifacts, oldest first.
    """

    previous: Run | None
    next: Run | None
    parent: Run | None
    children: tuple[Run, ...]
    sources: tuple[Run, ...]
    readers: tuple[Run, ...]


def runs_around(backend: Backend, run: Run) -> Around:
    """Return the runs related to a run."""
    beside = (
        backend.database.run_beside(run, is_before=True),
        backend.database.run_beside(run, is_before=False),
    )
    previous, following = (as_now(backend, [one])[0] if one else None for one in beside)
    used = dict.fromkeys(
        one.source_uid for one in backend.artifacts.inputs_of(run.uid) if one.source_uid
    )
    return Around(
        previous,
        following,
        parent=_known(backend, run.parent_uid),
        children=children_of(backend, run.uid),
        sources=tuple(one for uid in used if (one := _known(backend, uid))),
        readers=readers_of(backend, run.uid),
    )


def _known(backend: Backend, uid: str | None) -> Run | None:
    try:
        return None if uid is None else record_of(backend, uid)
    except RunNotFoundError:
        return None

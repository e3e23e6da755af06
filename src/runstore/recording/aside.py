"""Starts of runs whose server cannot be reached: they are recorded on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from runstore.config import author_named
from runstore.errors import (
    NotFoundError,
    ServerUnreachableError,
    StoreError,
    StoreLockedError,
    StoreUnavailableError,
)
from runstore.location import make_own_folder
from runstore.model import reference as names
from runstore.model.facts import Facts
from runstore.reading.names import kept_run, run_named
from runstore.recording.active import ActiveRun
from runstore.recording.request import StartRequest
from runstore.recording.starting import start
from runstore.storage.backend import Backend
from runstore.storage.postgres import away
from runstore.storage.postgres.waiting import PARENT_NAME, kept_in_place
from runstore.user_warnings import afterwards, warn

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.recording.past.runs import PastRequest
    from runstore.storage.postgres.database import ServerDatabase
    from runstore.storage.postgres.location import ServerLocation

_warned: set[str] = set()


def start_on_server(
    backend: Backend, asked: StartRequest, store: Any, aside: Callable[[], Any]
) -> ActiveRun:
    """Start a run on a server, or on this machine if the server cannot be reached.

    Runs that wait on this machine are in the store that `aside` returns.

    Raises:
        StoreUnavailableError: Neither of them accepted the run.
    """
    server = cast("ServerLocation", backend.server)
    # If an answer of the server is lost, it may have the run: both are then the same run.
    asked = asked._replace(uid=asked.uid or names.new_uid())
    reason = away.remembered(server.folder)
    if reason is None:
        try:
            backend.make()
            with cast("ServerDatabase", backend.database).driver.impatient():
                return start(backend, asked, store)
        except (ServerUnreachableError, StoreLockedError) as error:
            why = error.what
    else:
        why = f"The server of {server.shown} cannot be reached: {reason}."
    return _start_aside(server, asked, aside, why)


def record_on_server(
    backend: Backend,
    asked: PastRequest,
    artifacts: Mapping[str, Any] | None,
    author: str | None,
    aside: Callable[[], Any],
) -> Run:
    """Record a past run on a server, or on this machine if the server cannot be reached.

    Raises:
        StoreUnavailableError: Neither of them accepted the run.
    """
    from runstore.recording.past.runs import past_run, write

    server, who, past = cast("ServerLocation", backend.server), author_named(author), None
    try:
        backend.make()
        past = past_run(backend, asked)
        write(backend, past, artifacts, who)
        return kept_run(backend, past.new.uid)
    except (ServerUnreachableError, StoreLockedError) as error:
        why = error.what
    with recorded_aside(server, why):
        other = aside().backend
        past = past_run(other, asked) if past is None else past
        write(other, past, artifacts, who)
        return kept_run(other, past.new.uid)


def _start_aside(
    server: ServerLocation, asked: StartRequest, aside: Callable[[], Any], why: str
) -> ActiveRun:
    run: ActiveRun | None = None
    try:
        with recorded_aside(server, why):
            run = _started(aside(), asked)
    except BaseException as error:  # of a signal handler, or a warning that is an error
        if run is not None:
            run.execution.end_by(error)
        raise
    return run


@contextmanager
def recorded_aside(server: ServerLocation, why: str) -> Iterator[None]:
    """Warn that the block records on this machine, and keep its store in place meanwhile."""
    try:
        make_own_folder(server.folder, server.shown)
        with afterwards(), kept_in_place(server.folder):
            _warn_once(server, why)
            yield
    except StoreError as error:
        raise StoreUnavailableError(
            f"{why} The run cannot be recorded on this machine either: {error.what}",
            kept="No run was recorded.",
            hint=f"Check the server, and the space and permissions of {server.folder}.",
        ) from error


def _started(store: Any, asked: StartRequest) -> ActiveRun:
    """Start a run in the store of this machine.

    A parent that only the server can look up becomes its parent when it is delivered.
    """
    backend, later = store.backend, None
    if isinstance(asked.parent, str):
        try:
            asked = asked._replace(parent=run_named(backend, asked.parent))
        except NotFoundError:
            later = asked.parent
            asked = asked._replace(parent=None)
    run = start(backend, asked, store)
    if later is not None:
        backend.database.attach_facts(run.uid, Facts(values={PARENT_NAME: later}))
    return run


def _warn_once(server: ServerLocation, why: str) -> None:
    """Warn once per store and process."""
    if server.shown in _warned:
        return
    _warned.add(server.shown)
    warn(
        f"{why} Runs are recorded on this machine, with provisional references, in"
        f" {server.folder}. They are delivered by the next program that uses the store while the"
        " server is available, or with: runstore push"
    )

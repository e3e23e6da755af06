"""The connections of a process to a database: opened, kept while idle, watched, given up."""

from __future__ import annotations

import errno
import os
import random
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from runstore.errors import StoreError, StoreUnavailableError, genuine, suppressed
from runstore.extras import library
from runstore.storage.driver import ThreadState
from runstore.storage.files.locks import pause
from runstore.storage.postgres import away
from runstore.storage.postgres.connections.meanings import KEPT, unreachable, unusable
from runstore.storage.postgres.location import ServerLocation
from runstore.storage.postgres.waiting import WAITING, count_waiting
from runstore.storage.sqlite.descriptors import (
    identity_of,
    keep_for_ever,
    none_left,
    occupy_closed_streams,
    too_few_files,
    with_room,
)
from runstore.user_warnings import warn_in_background

if TYPE_CHECKING:
    from psycopg import Connection as Raw

    from runstore.storage.postgres.connections.waits import SilentError, WatchedConnection

# How long a program that was connected waits for the server to return, for example after a
# restart, from when it was first missed.
RETURNS_WITHIN_S = 30.0
# The same for the start of a run, which is recorded on this machine otherwise.
STARTS_WITHIN_S = 5.0
# How long the network may confirm nothing, or the server answer nothing, before a connection
# counts as lost. Statements that only read may take longer, as long as the server works on them.
SILENT_AT_MOST_S = 30.0
# The same for the answer to the start of a run.
STARTS_ANSWERED_WITHIN_S = 10.0
# How long to wait for a free connection, which is usual when many programs start at once, and
# when a warning says so.
FREES_WITHIN_S = 10.0
_IDLE_AT_MOST = 4
_TELLS_FULL_AFTER_S = 1.0
# How long a failed attempt to connect counts.
_FAILS_AT_MOST_S = 60.0
# If it is off, the server reads backslashes in strings of SQL differently. It reports the value.
_STRINGS = "standard_conforming_strings"
# How long to wait for the answer to a statement that was interrupted here.
_ANSWER_S = 5.0
# States of a connection. Source: PostgreSQL 18, libpq, PQtransactionStatus.
_IDLE, _ACTIVE, _IN_TRANSACTION = 0, 1, (2, 3)
# The result of the end of a pipeline. Source: PostgreSQL 18, libpq, PQresultStatus.
_SYNC = 10


class ThreadPatience(ThreadState):
    """State of a thread."""

    def __init__(self) -> None:
        super().__init__()
        self.is_impatient = False


# Of each open connection: device and inode of its socket. A program that becomes a daemon closes
# all descriptors, and its own files reuse the numbers.
_sockets: weakref.WeakKeyDictionary[Any, tuple[int, int] | None] = weakref.WeakKeyDictionary()


def _is_whole(raw: Any) -> bool:
    return identity_of(raw.pgconn.socket) == _sockets.get(raw)


def close_socket(raw: Any) -> None:
    """Close a connection, unless the program has closed its socket."""
    if raw.closed or _is_whole(raw):
        raw.close()
    else:
        keep_for_ever(raw)


def is_idle(raw: Any) -> bool:
    """Check whether no statement and no transaction of a connection is open."""
    return bool(raw.pgconn.transaction_status == _IDLE)


def is_in_transaction(raw: Any) -> bool:
    """Check whether a transaction of a connection is open, and no statement."""
    return raw.pgconn.transaction_status in _IN_TRANSACTION


class _Idle:
    """The idle connections of one process."""

    # Connections inherited by a forked child: closing them would end the parent's sessions.
    left_by_fork: list[Any] = []  # noqa: RUF012 - shared by design

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.free: list[Any] = []
        # At the end of the process, its last work in the background may still need connections.
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True
        self.drop()

    def drop(self) -> None:
        if self.pid != os.getpid():
            self.left_by_fork.extend(self.free)
            return
        while self.free:
            with suppressed(IndexError, OSError):
                close_socket(self.free.pop())


class ConnectionPool:
    """The connections of this process to a database.

    They are kept in a plain list instead of `psycopg_pool`, whose threads do not survive a fork; a
    thread takes one for each block. `path` is the URL without passwords.
    """

    def __init__(self, location: ServerLocation, own: ThreadPatience) -> None:
        self.location = location
        self.path = location.shown
        self._own = own
        self.psycopg = library("psycopg", "postgres")
        # They need psycopg.
        from runstore.storage.postgres.connections import waits
        from runstore.storage.postgres.connections.adapters import adapters

        self._waits = waits
        self._adapters = adapters()
        self._is_closed = False
        self._has_told = False
        self._idle = _Idle()
        self._in_use: weakref.WeakSet[Any] = weakref.WeakSet()
        self._was_connected = False
        self._away_since: float | None = None
        # The last failed attempt to connect, and until when it counts.
        self._failure: tuple[float, Exception] | None = None
        weakref.finalize(self, _Idle.close, self._idle)

    def take(self, patience_s: float | None = None) -> Raw[Any]:
        """Return an idle connection, or a new one, for exclusive use until it is given back.

        By default, it waits for a server that is away as long as this thread waits for other
        writers.
        """
        if self._is_closed:
            raise StoreUnavailableError(
                f"The store {self.path} was closed.",
                hint="Open it again with: runstore.Store.open(…)",
            )
        idle = self._idle
        if idle.pid != os.getpid():
            idle.close()
            idle = self._idle = _Idle()
            weakref.finalize(self, _Idle.close, idle)
        while idle.free:
            with suppress(IndexError):  # another thread was faster
                raw = idle.free.pop()
                if not raw.closed and _is_whole(raw):
                    return cast("Raw[Any]", raw)
                close_socket(raw)
        return self._connected(patience_s)

    def _connected(self, patience_s: float | None = None) -> Raw[Any]:
        """Return a new connection, waiting for a server that this program was connected to.

        All calls together wait until some time after the first one found it away.
        """
        begin = time.monotonic()
        if patience_s is None:
            patience_s = self._own.patience_s
        gives_up = float("inf") if patience_s is None else begin + patience_s
        while True:
            tried_at = time.monotonic()
            if self._failure is not None and tried_at < self._failure[0]:
                raise self._not_connected(self._failure[1], 0.0)
            try:
                raw = with_room(self._opened)
            except genuine(OSError) as error:
                raise self._without_descriptors(error) from error
            except self.psycopg.OperationalError as error:
                now = time.monotonic()
                self._away_since = self._away_since or now
                is_full = away.is_full(str(error))
                returns_by = self._away_since + self._worth_waiting_s(is_full=is_full)
                if now >= min(returns_by, gives_up):
                    # For a free connection, it has waited several times.
                    took_s = now - (begin if is_full else tried_at)
                    self._fail_for(error, took_s)
                    raise self._not_connected(error, took_s) from error
                if is_full and now - begin >= _TELLS_FULL_AFTER_S:
                    self._tell_full(error)
                # At different times in each of many programs.
                pause(random.uniform(0.1, 0.5) if is_full else 0.1)  # noqa: S311 - no secret
            else:
                if raw.info.parameter_status(_STRINGS) == "off":
                    # Poolers keep this setting of a client; they refuse options at its start.
                    raw.execute(f"SET {_STRINGS} = on")
                self._was_connected, self._away_since, self._failure = True, None, None
                away.forget(self.location.folder)
                self._in_use.add(raw)
                _sockets[raw] = identity_of(raw.pgconn.socket)
                return raw

    def _without_descriptors(self, error: OSError) -> StoreUnavailableError:
        """Return the error for a connection that failed in this process, not at the server."""
        return too_few_files(
            f"No connection to {self.path} can be opened: {error.strerror}.", KEPT, error
        )

    def _opened(self, timeout_s: float | None = None) -> WatchedConnection:
        """Return a new connection; by default, the URL has the time limit.

        Raises:
            OSError: This program has used all its descriptors.
            OperationalError: The server cannot be reached, or refuses.
        """
        timeout = {} if timeout_s is None else {"connect_timeout": round(timeout_s)}
        try:
            occupy_closed_streams()
            return self._waits.WatchedConnection.connect(
                self.location.url,
                autocommit=True,
                prepare_threshold=None,
                cursor_factory=self.psycopg.RawCursor,
                context=self._adapters,
                client_encoding="utf8",  # as the adapters write texts
                **{**_usual(self.location.url), **timeout},
            )
        except self.psycopg.OperationalError as error:
            if none_left():
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) from error
            raise

    def _another(self, timeout_s: float) -> WatchedConnection:
        """Return a connection to ask what the server does for another one."""
        raw = self._opened(timeout_s)
        raw.on_silence = self._waits.silence_ends
        return raw

    def _not_connected(self, error: Exception, took_s: float) -> StoreError:
        """Return the error for a failed connection, and note it if the server is away."""
        ping, reason = self.psycopg.pq.Ping, away.reason_of(str(error))

        def is_running() -> bool:
            found = self.psycopg.pq.PGconn.ping(self.location.url.encode())
            return found not in {ping.NO_RESPONSE, ping.REJECT}

        if not away.is_unreachable(str(error), is_running):
            return unusable(self.path, reason)
        away.remember(self.location.folder, took_s, reason)
        found = unreachable(f"The server of {self.path} cannot be reached: {reason}.")
        if waiting := count_waiting(self.location.folder):
            runs = "1 run waits" if waiting == 1 else f"{waiting:,} runs wait"
            place = self.location.folder / WAITING
            found.kept = f"{runs} on this machine; to list them: runstore ls --store {place}"
            found.hint = "When the server is available again, deliver them with: runstore push"
        return found

    @property
    def is_of_parent(self) -> bool:
        """Whether this process was forked since the connections were opened."""
        return self._idle.pid != os.getpid()

    def leave_to_parent(self, one: Any) -> None:
        """Keep a connection or a transaction that a forked child inherited as it is."""
        _Idle.left_by_fork.append(one)

    def close(self) -> None:
        """Close every connection; one in use is closed once it is idle."""
        self._is_closed = True
        self._idle.close()

    def reconnected(self, raw: Raw[Any]) -> Raw[Any]:
        """Return a new connection for one that the server closed."""
        close_socket(raw)
        self._idle.drop()  # the others were closed as well
        made = self._connected()
        self.watch(made, "a query", self.answers_within_s, is_patient=True)
        return made

    def is_of_process(self, error: Exception) -> bool:
        """Check whether only the process of a connection does not answer, not the server."""
        return self.is_silence(error) and not error.is_away

    def give_back(self, raw: Raw[Any]) -> None:
        """Return a connection, rolling back a transaction that is still open."""
        if self.is_of_parent:  # a child was forked inside the block
            self.leave_to_parent(raw)
            return
        idle, server = self._idle, raw.pgconn
        with suppress(self.psycopg.Error):
            is_open = not raw.closed and is_in_transaction(raw)
            if is_open and not server.pipeline_status:
                raw.execute("ROLLBACK")
        # A statement that a signal handler interrupted leaves the connection in the middle of it.
        is_usable = not raw.closed and is_idle(raw) and not server.pipeline_status
        is_wanted = not (self._is_closed or idle.is_closed) and len(idle.free) < _IDLE_AT_MOST
        if not (is_usable and is_wanted):
            close_socket(raw)
        else:
            cast("WatchedConnection", raw).on_silence = None
            idle.free.append(raw)

    def is_silence(self, error: Exception) -> TypeGuard[SilentError]:
        """Check whether an error means that a connection was silent for too long."""
        return isinstance(error, self._waits.SilentError)

    def note_silence(self, error: Exception) -> None:
        """Let later calls wait less if this error means that the whole server is silent."""
        if self.is_silence(error) and error.is_away:
            self._away_since = self._away_since or time.monotonic() - error.silent_s
            self._fail_for(error, error.silent_s)
            away.remember(self.location.folder, error.silent_s, str(error))

    def _worth_waiting_s(self, *, is_full: bool) -> float:
        """How long to wait for a server that refuses connections, in seconds."""
        if self._was_connected:
            return self.returns_within_s
        return FREES_WITHIN_S if is_full else 0.0

    def _tell_full(self, error: Exception) -> None:
        if not self._has_told:
            self._has_told = True
            reason = away.reason_of(str(error))
            warn_in_background(
                f"{self.path} has no free connection: {reason}. Trying again for"
                f" {self._worth_waiting_s(is_full=True):.0f} s."
            )

    def _fail_for(self, error: Exception, took_s: float) -> None:
        """Fail at once for a while, so that not each call waits again for a silent server."""
        self._failure = (time.monotonic() + min(_FAILS_AT_MOST_S, 2 * took_s), error)

    def await_answer(self, raw: Any) -> None:
        """Wait until the server has finished or cancelled statements that were interrupted.

        Otherwise it could commit them after their effects were looked for.
        """
        deadline = time.monotonic() + _ANSWER_S
        server = raw.pgconn
        with suppress(self.psycopg.Error):
            if server.transaction_status != _ACTIVE:
                return
            raw.cancel_safe(timeout=_ANSWER_S)
            is_pipeline = bool(server.pipeline_status)
            if is_pipeline:
                server.pipeline_sync()
            while time.monotonic() < deadline:
                server.flush()
                server.consume_input()
                if server.is_busy():
                    pause(0.005)
                    continue
                result = server.get_result() if is_pipeline else None
                if not is_pipeline or (result is not None and result.status == _SYNC):
                    return

    @property
    def returns_within_s(self) -> float:
        """How long to wait for a server that is away, in seconds."""
        is_impatient = self._own.is_impatient
        return min(STARTS_WITHIN_S, RETURNS_WITHIN_S) if is_impatient else RETURNS_WITHIN_S

    @property
    def answers_within_s(self) -> float:
        """How long to wait for an answer of the server, in seconds."""
        is_impatient = self._own.is_impatient
        limit_s = min(STARTS_ANSWERED_WITHIN_S, SILENT_AT_MOST_S)
        return self._waits.allowed_s(
            self.location.url, limit_s if is_impatient else SILENT_AT_MOST_S
        )

    def watch(
        self, raw: Raw[Any], doing: str, limit_s: float, *, is_patient: bool = False
    ) -> None:
        """Limit how long a connection is silent until it is given back; see `Watch`."""

        def tell(since: float, reason: str) -> None:
            if not self._has_told:
                self._has_told = True
                self._waits.report(self.path, since, doing, reason)

        cast("WatchedConnection", raw).on_silence = self._waits.Watch(
            raw, limit_s, is_patient=is_patient, tell=tell, another=self._another
        )

    def interrupt(self) -> None:
        """Cancel running statements of all threads; each fails with a `StoreError`."""
        for raw in [*self._in_use]:
            with suppress(self.psycopg.Error):
                raw.cancel_safe(timeout=_ANSWER_S)


def _usual(url: str) -> Mapping[str, Any]:
    """Return connection parameters that the URL may override."""
    usual: dict[str, Any] = {
        "application_name": "runstore",
        "connect_timeout": 5,
        # After the first third, an idle network is asked three times.
        "keepalives_idle": max(1, round(SILENT_AT_MOST_S / 3)),
        "keepalives_interval": max(1, round(SILENT_AT_MOST_S / 5)),
        "keepalives_count": 3,
        "tcp_user_timeout": round(SILENT_AT_MOST_S * 1000),
    }
    return {name: value for name, value in usual.items() if f"{name}=" not in url}

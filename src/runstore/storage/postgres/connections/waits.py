"""Waiting for a server that is silent: reported after some seconds, and limited.

The network may work while nothing answers: a process of the server hangs, a proxy swallows
packets, or somebody holds a lock. This module imports psycopg, and is imported when a store on a
server is opened.
"""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from runstore.errors import is_of_signal
from runstore.storage.postgres import away
from runstore.user_warnings import warn_in_background
from runstore.value_classes import NamedTuple

# The silence after which a warning names what is waited for.
TELLS_AFTER_S = 5.0
# How long to ask the server what it does, and to cancel a statement.
_PROBE_S = 2.0
# How long an answer may take after its statement has ended.
_ON_ITS_WAY_S = 0.5
# A statement begins on the server after it was sent.
_ROUNDING_S = 1.0
# Behind a pooler, the process has another number: it executes a statement as old as the silence.
_PROCESS = """
    SELECT a.state = 'active', coalesce(' (' || a.wait_event || ')', ''), (
        SELECT string_agg(concat_ws(' ', 'process', b.pid, 'of', b.usename), ', ')
        FROM pg_stat_activity b WHERE b.pid = ANY (pg_blocking_pids(a.pid))
    ) FROM pg_stat_activity a
    WHERE a.pid = $1 OR (
        a.state = 'active' AND a.datname = current_database() AND a.usename = current_user
        AND a.query_start < clock_timestamp() - $2 * interval '1 second'
        AND NOT EXISTS (SELECT 1 FROM pg_stat_activity c WHERE c.pid = $1)
    )
    ORDER BY 3 LIMIT 1
"""
_TIMEOUT = re.compile(r"\bstatement_timeout\s*=\s*'?(\d+)\s*(us|ms|s|min|h|d)?")
_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
# The server cancels statements itself then; this is for its answer.
_GRACE_S = 5.0


class WatchedConnection(psycopg.Connection[Any]):
    """A connection whose silence is noticed while it is waited for.

    Attributes:
        on_silence: Called about ten times a second while nothing arrives, with the time of the
            last answer (`time.monotonic`).
    """

    on_silence: Callable[[float], None] | None = None

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Wait for a generator of psycopg."""
        try:
            return super().wait(self._watched(gen), *args, **options)
        except Exception as error:  # noted before psycopg removes its traceback
            is_of_signal(error)
            raise

    def _watched(self, gen: Any) -> Any:
        since = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                if ready := (yield wanted):
                    since = time.monotonic()
                elif self.on_silence is not None:
                    self.on_silence(since)
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value


class Activity(NamedTuple):
    """What a server does for a statement.

    Attributes:
        reason: The same for users.
        is_locked: Whether the statement waits for a lock.
        is_working: Whether it is being executed, as far as the server knows.
        is_away: Whether the server does not answer other questions either.
    """

    reason: str
    is_locked: bool = False
    is_working: bool = False
    is_away: bool = False


class Watch:
    """Watches one use of a connection.

    Args:
        raw: The connection.
        limit_s: The silence after which the statement is given up, in seconds.
        is_patient: Whether to wait longer while the server is working.
        tell: Reports a silence: the time of the last answer, and the reason.
        another: Returns another connection, to ask what the server does.
    """

    def __init__(
        self,
        raw: psycopg.Connection[Any],
        limit_s: float,
        *,
        is_patient: bool,
        tell: Callable[[float, str], None],
        another: Callable[[float], psycopg.Connection[Any]],
    ) -> None:
        self._raw = raw
        self._limit_s = self._step_s = limit_s
        self._is_patient = is_patient
        self._tell = tell
        self._has_told = False
        self._another = another

    def __call__(self, since: float) -> None:
        """React to a silence.

        Raises:
            psycopg.OperationalError: It lasts too long.
        """
        silent_s = time.monotonic() - since
        must_tell = not self._has_told and silent_s >= min(TELLS_AFTER_S, self._limit_s)
        if not must_tell and silent_s < self._limit_s:
            return
        activity = self._activity(silent_s)
        if must_tell:
            self._has_told = True
            self._tell(since, activity.reason)
        if silent_s < self._limit_s:
            return
        if self._is_patient and activity.is_working:
            self._limit_s = silent_s + self._step_s
            return
        if self._has_answer():
            return
        self._end()
        if activity.is_locked:
            raise psycopg.errors.LockNotAvailable(activity.reason)
        raise SilentError(activity.reason, silent_s, is_away=activity.is_away)

    def _has_answer(self) -> bool:
        """Check whether the answer arrived while the server was asked."""
        arrived = select.poll()
        arrived.register(self._raw.pgconn.socket, select.POLLIN)
        return bool(arrived.poll(1000 * _ON_ITS_WAY_S))

    def _end(self) -> None:
        """Cancel the statement, and close its connection."""
        # Without this ability, a cancellation could wait without end.
        if psycopg.capabilities.has_cancel_safe():
            with suppress(psycopg.Error):
                self._raw.cancel_safe(timeout=_PROBE_S)
        self._raw.close()

    def _activity(self, silent_s: float) -> Activity:
        """Ask the server what it does for this connection."""
        try:
            with closing(self._another(_PROBE_S)) as other:
                asked = [self._raw.pgconn.backend_pid, max(0.0, silent_s - _ROUNDING_S)]
                found = other.execute(_PROCESS, asked).fetchone()
        except psycopg.Error as error:
            reason = away.reason_of(str(error))
            return Activity(f"the server does not answer: {reason}", is_away=True)
        is_active, event, holders = found or (False, "", None)
        if holders is not None:
            return Activity(f"it is locked by {holders}", is_locked=True)
        if is_active:
            return Activity(f"the server is working{event}", is_working=True)
        return Activity("its process on the server does not answer")


class SilentError(psycopg.OperationalError):
    """The server did not answer for too long; if it is away, nor other questions."""

    def __init__(self, reason: str, silent_s: float, *, is_away: bool) -> None:
        super().__init__(f"{reason}, for {silent_s:.0f} s")
        self.silent_s = silent_s
        self.is_away = is_away


def silence_ends(since: float) -> None:
    """Limit the silence of a connection that is only asked for what the server does."""
    if time.monotonic() - since > _PROBE_S:
        raise SilentError("no answer", _PROBE_S, is_away=True)


@lru_cache(maxsize=64)
def allowed_s(url: str, default_s: float) -> float:
    """Return the silence that a URL allows, in seconds.

    A `statement_timeout` in its options counts first, then `tcp_user_timeout`.
    """
    parameters = conninfo_to_dict(url)
    if found := _TIMEOUT.search(str(parameters.get("options") or "")):
        timeout_s = int(found[1]) * _UNITS_S[found[2] or "ms"]
        return timeout_s + _GRACE_S if timeout_s else float("inf")
    allowed_ms = str(parameters.get("tcp_user_timeout") or "")
    return int(allowed_ms) / 1000 if allowed_ms.isdigit() and int(allowed_ms) else default_s


def report(path: str, since: float, doing: str, reason: str) -> None:
    """Report to users that the server has been silent since a time of `time.monotonic`."""
    silent_s = time.monotonic() - since
    begin = time.strftime("%H:%M:%S", time.localtime(time.time() - silent_s))
    warn_in_background(
        f"{path} has not answered {doing} for {silent_s:.0f} s, since {begin}: {reason}."
        " Still waiting."
    )

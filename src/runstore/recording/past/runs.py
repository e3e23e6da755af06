"""Recording past runs, which ran without runstore or before it was used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Any

from runstore.artifacts.masking import tags_to_keep
from runstore.artifacts.saving import Saving
from runstore.capture.program.command import command_line
from runstore.errors import InvalidValueError, RunstoreError, StoreUnavailableError, genuine, shown
from runstore.model import arguments
from runstore.model import reference as names
from runstore.model.facts import Facts, ProcessIdentity
from runstore.model.logged.values import is_likely_time, metric_time
from runstore.model.params.build import parameter_sets
from runstore.model.query.times import moment
from runstore.model.status import FINAL, Status
from runstore.model.values import check_text
from runstore.reading.metrics.summaries import refresh
from runstore.reading.names import run_named
from runstore.recording.outcome import (
    EXIT_CODES,
    checked_end_status,
    kept_text,
    status_by_parts,
    texts_of,
)
from runstore.recording.past.points import points_of
from runstore.storage.new_runs import NewRun
from runstore.storage.past_runs import PastRun, add_to_run, write_past_run
from runstore.storage.rows import from_micros, now_micros
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.storage.artifacts import Noted
    from runstore.storage.backend import Backend
    from runstore.storage.metrics.chunks import Columns
    from runstore.storage.metrics.point_records import KeyOf

_ENDS_WITH_ZONE = re.compile(r"[t ].*\d ?(?:z|[+-]\d{2}(?::?\d{2})?)$", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
# Clocks differ, and people confuse local time with UTC; anything later is a mistake.
_AHEAD_AT_MOST = timedelta(days=1)
_COMMIT_DIGITS = range(4, 65)
_NOTHING_RECORDED = "Nothing was recorded."
_NONE: Mapping[KeyOf, int] = {}


class PastRequest(NamedTuple):
    """A request to record a past run; see `Store.record` for each field."""

    experiment_name: str
    started_at: Any
    ended_at: Any = None
    status: Status | str | None = None
    params: Any = None
    metrics: Mapping[Any, Any] | None = None
    tags: Mapping[str, Any] | None = None
    notes: str | None = None
    error: BaseException | str | None = None
    traceback: TracebackType | str | None = None
    exit_code: int | None = None
    parent: Any = None
    cli: str | None = None
    commit: str | None = None
    hostname: str | None = None


def past_run(backend: Backend, asked: PastRequest) -> PastRun:
    """Return a past run, validated and ready to write; see `Store.record`."""
    name = names.check_experiment_name(asked.experiment_name)
    began, ended = _moments(asked.started_at, asked.ended_at)
    sets = parameter_sets(asked.params)
    new = NewRun(
        uid=names.new_uid(),
        experiment_name=name,
        status=Status.RUNNING,
        started_at=began,
        timestamp=names.local_timestamp(began),
        parameter_sets=sets,
        parent_uid=None if asked.parent is None else run_named(backend, asked.parent).uid,
        notes=check_text(asked.notes, "notes"),
        cli=None if asked.cli is None else command_line(check_text(asked.cli, "cli"), ()),
        process=_on(arguments.name_or_none(asked.hostname, "hostname", "gpu-3")),
        facts=_of_commit(arguments.name_or_none(asked.commit, "commit", "3f2a8c1")),
        tags={} if asked.tags is None else tags_to_keep(asked.tags),
    )
    if asked.tags is not None:
        arguments.mapping(asked.tags, "tags", {"phase": "pilot"})
    code = asked.exit_code
    code = None if code is None else arguments.count(code, "exit_code", *EXIT_CODES)
    told, trace = texts_of(asked.error, asked.traceback)
    by_parts = status_by_parts(asked.error, asked.traceback, code)
    ended_as = by_parts if asked.status is None else checked_end_status(asked.status, FINAL)
    return PastRun(
        new=new,
        status=ended_as,
        ended_at=ended,
        error=kept_text(check_text(told, "error")),
        traceback=kept_text(check_text(trace, "traceback")),
        exit_code=code,
        points=_points(
            asked.metrics, [one.name for one in sets], began if ended is None else ended
        ),
    )


def write(
    backend: Backend, past: PastRun, artifacts: Mapping[Any, Any] | None, author: str
) -> None:
    """Write a past run, its files first; all of it or nothing. Durable on return.

    Raises:
        StoreError: The store did not accept the run.
    """
    with _kept(backend, past.new.uid, artifacts) as kept:
        write_past_run(backend.database, past._replace(artifacts=kept), author)


def add(
    backend: Backend,
    run: Run,
    metrics: Mapping[Any, Any] | None,
    artifacts: Mapping[Any, Any] | None,
    author: str,
) -> None:
    """Add metrics and files to an ended run; see `Store.add`."""
    refresh(backend.metrics, backend.spool)  # the points of its own program come first
    totals, _ = backend.metrics.totals(run.uid)
    last_steps = {series: last_step for series, (_, last_step) in totals.items()}
    set_names = [one.name for one in run.parameter_sets]
    points = _points(metrics, set_names, now_micros(), last_steps)
    with _kept(backend, run.uid, artifacts) as kept:
        add_to_run(backend.database, run.uid, points, kept, author)


@contextmanager
def _kept(
    backend: Backend, uid: str, artifacts: Mapping[Any, Any] | None
) -> Iterator[list[Noted]]:
    """Store the contents of artifacts; the block adds them to the database."""
    wanted = arguments.mapping(
        {} if artifacts is None else artifacts, "artifacts", {"model.pt": "out/model.pt"}
    )
    if not wanted:
        yield []
        return
    room = backend.part(Saving)
    with room.objects.in_use():
        try:
            kept = [noted for name, one in wanted.items() for noted in room.keep(uid, name, one)]
        except RunstoreError:
            raise
        except genuine(OSError) as refused:
            raise StoreUnavailableError(
                f"The artifacts could not be kept: {refused.strerror or refused}.",
                kept=_NOTHING_RECORDED,
                hint="Check the store's folder and the free space on its disk, or omit them.",
            ) from refused
        yield kept


def _points(
    metrics: Any, set_names: Sequence[str], at: int, last_steps: Mapping[KeyOf, int] = _NONE
) -> Mapping[KeyOf, Columns]:
    try:
        return points_of({} if metrics is None else metrics, set_names, at, last_steps)
    except InvalidValueError as error:
        raise InvalidValueError(error.what, kept=_NOTHING_RECORDED, hint=error.hint) from None


def _moments(started_at: Any, ended_at: Any) -> tuple[int, int | None]:
    began = _moment(started_at, "started_at")
    ended = None if ended_at is None else _moment(ended_at, "ended_at")
    if ended is not None and ended < began:
        raise InvalidValueError(
            f"The run ended before it started: {from_micros(began)} to {from_micros(ended)}.",
            kept=_NOTHING_RECORDED,
            hint="Check started_at and ended_at, and their time zones.",
        )
    return began, ended


def _moment(given: Any, name: str) -> int:
    """Return a past time in microseconds since 1970."""
    if isinstance(given, str):
        given = _read(given, name)
    if isinstance(given, datetime):
        if not _is_aware(given, name):
            raise InvalidValueError(
                f"{name} has no time zone: {_told(given)}.",
                kept=_NOTHING_RECORDED,
                hint=f"Pass {name}.astimezone() for local time, or"
                f" {name}.replace(tzinfo=timezone.utc) for UTC.",
            )
        # Not its own subtraction: subclasses, such as those of pandas, return other types.
        at = datetime.__sub__(given, _EPOCH) // _MICROSECOND
    else:
        at = _seconds(given, name)
    if not 0 <= at <= now_micros() + _AHEAD_AT_MOST // _MICROSECOND:
        when = "in the future" if at > 0 else "before 1970"
        raise InvalidValueError(
            f"{name} is {when}: {_told(given)}.",
            kept=_NOTHING_RECORDED,
            hint="Pass the time of the run.",
        )
    return at


def _read(text: str, name: str) -> datetime:
    """Return the time of a text with a time zone."""
    try:
        at = moment(text, from_micros(now_micros())).begin
    except (ValueError, OverflowError):
        raise _no_time(text, name) from None
    if not _ENDS_WITH_ZONE.search(text.strip()):
        raise InvalidValueError(
            f"{name} has no time zone: {text!r:.60}.",
            kept=_NOTHING_RECORDED,
            hint="Write it with its zone, such as '2025-03-01T10:30:00+01:00' or '…Z' for UTC.",
        )
    return at


def _is_aware(given: datetime, name: str) -> bool:
    try:
        return given.utcoffset() is not None
    except genuine(Exception):  # a time zone is anybody's code; NaT of pandas has none
        raise _no_time(given, name) from None


def _no_time(given: Any, name: str) -> InvalidValueError:
    return InvalidValueError(
        f"{name} is not a valid time: {shown(given)}.",
        kept=_NOTHING_RECORDED,
        hint="Pass an aware datetime, such as datetime.now().astimezone(), seconds since 1970, or"
        " a text such as '2025-03-01T10:30:00Z'.",
    )


def _told(given: Any) -> str:
    return f"{given!s:.60}" if isinstance(given, datetime) else shown(given)


def _seconds(given: Any, name: str) -> int:
    try:
        at = metric_time(given)
    except InvalidValueError:
        raise _no_time(given, name) from None
    if not is_likely_time(at):
        raise _no_time(given, name)
    return at


def _on(hostname: str | None) -> ProcessIdentity | None:
    if not hostname:
        return None
    return ProcessIdentity(hostname=hostname, boot_id=None, pid=None, started_ticks=None)


def _of_commit(commit: str | None) -> Facts:
    if not commit:
        return Facts()
    digits = commit.strip().lower()
    if len(digits) not in _COMMIT_DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise InvalidValueError(
            f"commit is not a git commit: {shown(commit)}.",
            kept=_NOTHING_RECORDED,
            hint="Pass the output of 'git rev-parse HEAD'.",
        )
    return Facts(values={"git.commit": digits})

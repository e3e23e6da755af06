"""Store: open, record, read and edit runs."""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType

from runstore import background, current
from runstore.config import (
    author_named,
    current_author,
    is_there,
    is_usable,
    working_directory,
)
from runstore.errors import (
    ServerUnreachableError,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreReadOnlyError,
    StoreUnavailableError,
    UsageError,
    genuine,
    shown,
)
from runstore.location import (
    check_can_be_made,
    check_place,
    find_place,
    make_folder,
    offer_own_folder,
    unreachable,
    warn_of_store_apart,
)
from runstore.model import arguments
from runstore.model.once import once
from runstore.model.values import check_text
from runstore.recording.readiness import OPENING, RESUMING, STARTING, be_ready
from runstore.recording.request import StartRequest, checked_command
from runstore.storage.sqlite.descriptors import ran_out
from runstore.storage.sqlite.paths import DATABASE, absolute
from runstore.user_warnings import afterwards, warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, Literal

    from runstore.analysis.compare.comparison import Comparison
    from runstore.analysis.explain.explanation import Explanation
    from runstore.analysis.reruns.lookup import Earlier
    from runstore.analysis.reruns.subjects import Similar
    from runstore.config import IfDone
    from runstore.exports.dataset import Exported
    from runstore.maintenance.settle import Settled
    from runstore.model.artifacts import Artifact, Input
    from runstore.model.metric_directions import Direction
    from runstore.model.metrics import MetricSummary, Series
    from runstore.model.query.tree import Query
    from runstore.model.results.deletion import Amount, Collected, Deletion
    from runstore.model.results.events import Event
    from runstore.model.results.experiments import Experiment
    from runstore.model.results.findings import Finding
    from runstore.model.results.groups import RunGroup
    from runstore.model.results.transfers import Progress, Transfer
    from runstore.model.run import Run
    from runstore.model.status import Status
    from runstore.model.text.kept_output import Output
    from runstore.model.text.matches import FoundTexts
    from runstore.reading.directions import Directions
    from runstore.reading.metrics.points_table import PointsTable
    from runstore.reading.pages import Page
    from runstore.reading.saved_queries import SavedQueries
    from runstore.reading.source import Source
    from runstore.recording.active import ActiveRun
    from runstore.repeats.pivot import Several
    from runstore.repeats.pivot_table import Pivot
    from runstore.storage.backend import Backend
    from runstore.storage.database import Database
    from runstore.storage.edits import Undone
    from runstore.storage.integrity.history import Verified
    from runstore.storage.postgres.location import ServerLocation
    from runstore.waiting import WaitingRuns

TRASH_KEPT = timedelta(days=30)
# How long opening a store may deliver runs that wait on this machine; starts do not wait for that.
_DELIVERED_WITHIN_S = 10.0


class _Unchanged:
    """The default of an edit: leave the field as it is."""

    def __repr__(self) -> str:
        return "UNCHANGED"


_UNCHANGED = _Unchanged()


class Store:
    """Recorded runs, in one folder.

    Safe to share between threads, and usable in a forked child. Use `Store.open`.

    An exception that leaves its `with` block ends the active runs that were begun in it.

    Attributes:
        backend: Its parts, for internal use; not part of the public API.
    """

    def __init__(self, backend: Backend) -> None:
        from runstore.storage.backend import Backend

        if not isinstance(backend, Backend):
            raise UsageError(
                f"Expected a store to be opened by Store.open, got Store({shown(backend)}).",
                hint=f"Write: Store.open({shown(backend)})",
            )
        self.backend = backend
        backend.open_store = Store.open
        backend.take_lines = _take_lines
        backend.show_changes = _show_changes

    @property
    def path(self) -> Path:
        """The folder."""
        return self.backend.path

    @classmethod
    def open(
        cls, location: str | os.PathLike[str] | None = None, *, create: bool | None = None
    ) -> Store:
        """Open a store.

        Args:
            location: A folder, `sqlite:///relative/folder`, `sqlite:////absolute/folder` or
                `postgresql://user@host/database`; a relative folder starts from the working
                directory as it is now. None finds the store of the project: see
                `runstore.location.find_place`.
            create: Whether to create a missing store now; if False, a missing store is an error.
                By default, a named store is created now. The store of the project is created
                when the first run is recorded, and reading it is an error until then.

        Raises:
            StoreUnavailableError: The folder cannot be created or reached.
            StoreCorruptError: The file is not a run database, or it is damaged; it is unchanged.
            UntrustedStoreError: Another user created the store's folder or one above it.
        """
        place = find_place(location)
        try:
            return cls._open(place, create=create, is_told=location is not None)
        except genuine(OSError, ImportError) as error:
            _name_limit(error, place)
            raise

    @classmethod
    def _open(cls, place: str | ServerLocation, *, create: bool | None, is_told: bool) -> Store:
        _load_storage(place)
        from runstore.inflight import take_in
        from runstore.storage.backend import Backend, no_store

        if not isinstance(place, str):
            return cls._on_server(place, create=create is not False, is_starting=bool(create))
        if is_there(os.path.join(place, DATABASE)):
            backend = Backend(place, _database_at(place, create=create is not False))
            store = cls(backend)
            take_in(backend)
            return store
        if create is False:
            raise no_store(place)
        check_can_be_made(place)
        check_place(place)
        backend = Backend(place)
        backend.maker = functools.partial(_made_at, place, is_told=is_told)
        store = cls(backend)
        if create or (create is None and is_told):
            backend.make()
            take_in(backend)
        return store

    @classmethod
    def _on_server(
        cls,
        server: ServerLocation,
        *,
        create: bool,
        is_starting: bool = False,
        delivers: bool = True,
    ) -> Store:
        from runstore.inflight import take_in
        from runstore.storage.backend import Backend
        from runstore.storage.postgres import away
        from runstore.storage.postgres.database import ServerDatabase
        from runstore.storage.postgres.waiting import is_waiting

        if create and away.remembered(server.folder):
            return cls._to_reach_later(server, delivers=delivers)
        try:
            database = ServerDatabase(server, create=create)
        except (ServerUnreachableError, StoreLockedError):
            if not create:
                raise
            return cls._to_reach_later(server, delivers=delivers)
        offer_own_folder(server.folder, server.shown)
        backend = Backend(server.folder, database, server=server)
        store = cls(backend)
        take_in(backend)
        _show_changes(backend)  # of other machines
        if delivers and is_waiting(server.folder):
            _waiting(backend).deliver_some(0.0 if is_starting else _DELIVERED_WITHIN_S)
        return store

    @classmethod
    def _to_reach_later(cls, server: ServerLocation, *, delivers: bool) -> Store:
        """Return a store whose server is connected to on first use; runs can be started."""
        from runstore.storage.backend import Backend
        from runstore.storage.postgres.database import ServerDatabase

        backend = Backend(server.folder, server=server)

        def connect() -> Database:
            database = ServerDatabase(server)
            if delivers:
                background.do_later(_waiting(backend).delivery())
            return database

        backend.maker = connect
        return cls(backend)

    def close(self) -> None:
        """Close the connections, after writing facts that are still being captured.

        Active runs end with the process; their ends are kept until the store is next opened.
        """
        with afterwards():
            self._close()

    def _let_go(self, error: BaseException | None) -> None:
        block = current.leave_store(self)
        if block is None:
            return
        self.backend.let_go(error, block)
        if self.backend.server is not None:
            _waiting(self.backend).let_go(error, block)

    def _close(self) -> None:
        background.wait_until_done()
        if self.backend.server is not None:
            _waiting(self.backend).close()
        self.backend.close()

    def __enter__(self) -> Store:
        current.enter_store(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with afterwards.leaving(error):
            # A generator that its caller no longer needs has not failed.
            self._let_go(None if kind is GeneratorExit else error)
            self._close()

    def __dir__(self) -> list[str]:
        """Return the names to complete: without the parts for internal use."""
        return [name for name in super().__dir__() if name != "backend"]

    if not TYPE_CHECKING:  # type checkers would accept any name

        def __getattr__(self, name: str) -> Any:
            """Raise an error with the likely method for a name that a store does not have."""
            from runstore.model.habits import no_such_method

            raise no_such_method(name, dir(type(self)))

        def __getitem__(self, key: object) -> None:
            """Raise an error with the method that returns a run."""
            raise TypeError(
                f"A store has no items. Use store.get({shown(key)}), or store.list() for all runs."
            )

        def __iter__(self) -> Iterator[Run]:
            """Raise an error with the method that returns all runs."""
            raise TypeError("A store cannot be iterated. Use store.list(limit=None).")

    def __repr__(self) -> str:
        return f"<Store {self.backend.place!r}>"

    def _repr_html_(self) -> str:
        """Return the store as HTML; notebooks call this."""
        from runstore.reading.shown.store import store_html

        return store_html(self.backend)

    # Copies: the same store in this process; a store of the same folder in another process

    def __copy__(self) -> Store:
        return self

    def __deepcopy__(self, _memo: object) -> Store:
        return self

    def __reduce__(self) -> tuple[Callable[..., Store], tuple[Any, ...]]:
        return _store_at, (absolute(self.backend.folder), self.backend.server)

    # Starting

    @arguments.hinted('Write: store.start("mnist", params={"lr": 0.1}).')
    def start(
        self,
        experiment_name: str,
        *,
        params: Any = None,
        seed: Any = None,
        name: str | None = None,
        notes: str | None = None,
        tags: Mapping[str, Any] | Iterable[str] | None = None,
        capture: bool = True,
        parent: str | ActiveRun | Run | None = None,
        cli: str | None = None,
        argv: Sequence[str] | None = None,
        full_store: bool = False,
        live: bool = False,
        if_done: IfDone = "run",
        is_told_by_params: bool = False,
        is_other_process: bool = False,
    ) -> ActiveRun:
        """Start a run with the next number of its experiment; durable on return.

        Args:
            experiment_name: Any printable text up to 255 bytes.
            params: A mapping or dataclass of values, one `ParameterSet`, or several of these.
            seed: Added to the parameters as `seed`; recorded only.
            name: Display name of the run, kept as the tag `name`; it need not be unique.
            notes: Free text about the run.
            tags: Values by key, such as `{"phase": "pilot"}`, or a list of keys without values.
            capture: Whether to record git, host and environment. Slow facts are read in the
                background and added later.
            parent: Parent run; by default the run whose block surrounds this call, in this
                process or in the one that started it.
            cli: The command line to show; by default that of this process.
            argv: The exact arguments; by default those of this process.
            full_store: Whether the run has a folder of plain files.
            live: Whether this is an interactive session, which has no defined end.
            if_done: Action if a complete run had the same parameters, code and inputs: `run`
                without checking, `warn` and run, `skip`, or `error`. The last two raise
                `AlreadyRanError`.
            is_told_by_params: Whether experiment and parameters cover all of `argv`. If so, runs
                are the same if their program is, whatever the rest of the command.
            is_other_process: Whether `argv` is the command of another process, whose Python and
                packages are recorded instead of those of this one.

        Raises:
            AlreadyRanError: An identical run exists, and `if_done` is `skip` or `error`.
            InvalidValueError: The name or a value cannot be stored; the message names it.
            StoreError: The store did not accept the run.
            UsageError: `if_done` is not one of its choices, or requires `capture`; or `seed` and
                `params` disagree.
        """
        request = StartRequest(
            experiment_name,
            params,
            seed=seed,
            name=name,
            notes=notes,
            tags=tags,
            capture=capture,
            parent=parent,
            cli=cli,
            argv=argv,
            full_store=bool(full_store),
            live=live,
            if_done=if_done,
            is_told_by_params=is_told_by_params,
            is_other_process=is_other_process,
        )
        return started(self, request)

    def record(
        self,
        experiment_name: str,
        *,
        started_at: datetime | float | str,
        ended_at: datetime | float | str | None = None,
        status: Status | str | None = None,
        params: Any = None,
        metrics: Mapping[Any, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        notes: str | None = None,
        artifacts: Mapping[str, Any] | None = None,
        error: BaseException | str | None = None,
        traceback: TracebackType | str | None = None,
        exit_code: int | None = None,
        parent: str | ActiveRun | Run | None = None,
        cli: str | None = None,
        commit: str | None = None,
        hostname: str | None = None,
        author: str | None = None,
    ) -> Run:
        """Record a past run, all of it or nothing; durable on return.

        It gets the next run number. Nothing of this process is captured, and the run does not
        become the current one. An event records who added it.

        Args:
            experiment_name: Any printable text up to 255 bytes.
            started_at: Start of the run: an aware datetime, seconds since 1970, or text with a
                time zone, such as `2025-03-01T10:30:00Z`.
            ended_at: End of the run; None if unknown.
            status: `complete`, `pruned`, `error`, `interrupted` or `lost`. By default `complete`,
                or `error` if there is an error, a traceback or an exit status other than 0.
            params: See `start`.
            metrics: By key: a number, a list or array of values, a `Series`, or a mapping with
                `values` and, if they are known, `steps` and `times`. Steps count from 0 by
                default, and times are the end of the run, or else its start. A key such as
                `("baseline", "loss")` is a metric of a parameter set.
            tags: Values by key; see `tag`.
            notes: Free text about the run.
            artifacts: Files and objects to keep, by artifact name; see `ActiveRun.save`.
            error: The error, as an exception or a few lines of text.
            traceback: The full traceback; by default that of the exception.
            exit_code: The exit status.
            parent: Parent run; None for none.
            cli: The command line; secrets are masked.
            commit: The commit of the code, in hexadecimal digits.
            hostname: The name of the machine.
            author: The author of the event; by default the user of this process.

        Raises:
            InvalidValueError: A value cannot be stored, a time has no time zone, is in the future,
                or the end is before the start. Nothing was recorded.
            NotFoundError: There is no such file or parent. Nothing was recorded.
            StoreError: The store did not accept the run. Nothing was recorded.
            UsageError: The status is not an end.
        """
        from runstore.recording.past.runs import PastRequest, past_run, write

        asked = PastRequest(
            experiment_name,
            started_at=started_at,
            ended_at=ended_at,
            status=status,
            params=params,
            metrics=metrics,
            tags=tags,
            notes=notes,
            error=error,
            traceback=traceback,
            exit_code=exit_code,
            parent=parent,
            cli=cli,
            commit=commit,
            hostname=hostname,
        )
        if self.backend.server is not None:
            return _waiting(self.backend).record(asked, artifacts, author)
        past = past_run(self.backend, asked)
        self.backend.make()
        write(self.backend, past, artifacts, author_named(author))
        return self._kept(past.new.uid)

    def add(
        self,
        name: str | Run | ActiveRun,
        *,
        metrics: Mapping[Any, Any] | None = None,
        artifacts: Mapping[str, Any] | None = None,
        author: str | None = None,
    ) -> Run:
        """Add metrics and files to an ended run, all or nothing; durable on return.

        Events record each addition, with its time and author; the end of the run is unchanged. To
        log to an active run, use `attach`.

        Args:
            name: The run, or any name of it.
            metrics: See `record`. By default, steps continue from the last step of the metric,
                and times are the current time.
            artifacts: See `record`; an artifact of the same name is replaced.
            author: The author of the events; by default the user of this process.

        Returns:
            The run as it is now.

        Raises:
            InvalidValueError: A value cannot be stored. Nothing was recorded.
            NotFoundError: There is no such file or run. Nothing was recorded.
            RunActiveError: The run has not ended.
            StoreError: The store did not accept the data. Nothing was recorded.
        """
        from runstore.recording.past.runs import add

        run = self.get(name)
        add(self.backend, run, metrics, artifacts, author_named(author))
        return self._kept(run.uid)

    def resume(self, name: str | Run | ActiveRun) -> ActiveRun:
        """Continue a run that has ended, with the same number and reference.

        The current code is kept in addition to that of the start; if it differs, an event records
        that.

        If another process is executing the run, this process joins it instead; see `attach`. A
        `StoreWarning` reports that, unless that process started this one.

        Raises:
            RunActiveError: This process is executing the run, or it is unknown whether another
                one still is.
            RunNotFoundError: There is no such run.
        """
        be_ready(RESUMING)
        from runstore.capture.machine.process import current_process
        from runstore.model.status import Status
        from runstore.reading.liveness import mark_left
        from runstore.recording import live_runs
        from runstore.recording.active import ActiveRun, join
        from runstore.recording.joining.attaching import is_executed_elsewhere
        from runstore.recording.resuming import trace_resumption
        from runstore.recording.starting import end_unreturned

        store, run = store_with(self, name)
        if store is not self:
            return store.resume(run)
        if is_executed_elsewhere(run):
            return join(self.backend, run, self)
        was_executed = live_runs.running(run.uid) is not None
        if run.process == current_process() and not live_runs.is_of_this_program(run.uid):
            mark_left(self.backend, run)
        try:
            with live_runs.Beginning():
                self.backend.database.resume_run(
                    run.uid, Status.RUNNING, current_process(), current_author()
                )
                resumed = ActiveRun(self.backend, self.get(run.uid), store=self)
                resumed.execution.end_after_start()
            resumed.execution.loading = trace_resumption(self.backend, run)
        except BaseException as error:  # of a signal handler, or any other
            if not was_executed:
                end_unreturned(self.backend, run.uid, error)
            raise
        return resumed

    def attach(self, name: str | Run | ActiveRun) -> ActiveRun:
        """Return a run that another process executes, to log to it from this process as well.

        Metrics, artifacts and tags recorded here belong to that run. Only the process that
        executes it can end it: leaving a `with` block or calling `finish()` here has no effect.

        Raises:
            RunFinishedError: The run has ended.
            RunNotFoundError: There is no such run.
        """
        from runstore.recording.joining.attaching import attach

        store, run = store_with(self, name)
        return attach(store.backend, run, store)

    def folder_of(self, reference: str) -> Path:
        """Return the folder for the plain files of a run; it may not exist.

        A moved run keeps the folder of its first name.
        """
        from pathlib import Path

        from runstore.maintenance.usage import folders_named
        from runstore.model.reference import folder_name
        from runstore.storage.backend import RUNS

        reference = arguments.text(reference, "reference", "mnist_7_2026-11-23-T101500")
        if self.backend.server is not None:
            waiting = _waiting(self.backend).named(reference)  # also if the server is away
            if waiting is not None:
                found: Path = waiting[0].folder_of(reference)
                return found
        run = self.backend.database.runs_by_reference(reference)
        former = self.backend.moves.former_references(run[0].uid) if len(run) == 1 else []
        there = folders_named(self.backend, [reference, *former])
        return there[0] if there else Path(self.backend.home, RUNS, folder_name(reference))

    # Ending

    def finish(
        self,
        name: str | Run | ActiveRun,
        status: Status | str | None = None,
        *,
        error: BaseException | str | None = None,
        traceback: str | None = None,
        exit_code: int | None = None,
    ) -> Run:
        """End a run that another process started; durable on return. See `ActiveRun.finish`.

        Raises:
            RunFinishedError: The run has already ended.
        """
        from runstore.recording.outcome import (
            EXIT_CODES,
            checked_end_status,
            kept_text,
            status_by_parts,
            texts_of,
        )
        from runstore.storage.rows import now_micros, to_micros

        run = self.get(name)
        code = None if exit_code is None else arguments.count(exit_code, "exit_code", *EXIT_CODES)
        ended = (
            status_by_parts(error, traceback, code)
            if status is None
            else checked_end_status(status)
        )
        told, trace = texts_of(error, traceback)
        self.backend.database.finish_run(
            run.uid,
            ended,
            ended_at=max(to_micros(run.started_at), now_micros()),
            error=kept_text(told),
            traceback=kept_text(trace),
            exit_code=code,
        )
        return self._kept(run.uid)

    # Editing

    @arguments.hinted('Write: store.edit("mnist#1", notes="first try").')
    def edit(
        self,
        name: str | Run | ActiveRun,
        *,
        notes: str | _Unchanged | None = _UNCHANGED,
        experiment_name: str | _Unchanged = _UNCHANGED,
        author: str | None = None,
    ) -> Run:
        """Edit the notes or the experiment of a run; each change is recorded as an event.

        Args:
            name: The run, or any name of it.
            notes: New notes; None removes them.
            experiment_name: The experiment to move the run to. The run gets the next number
                there, and can still be found by its old reference.
            author: The author of the edit; by default the user of this process.

        Returns:
            The run as it is now.
        """
        run = self.get(name)
        who = author_named(author)
        if not isinstance(notes, _Unchanged):
            self.backend.edits.change([run.uid], {}, who, notes=[check_text(notes, "notes")])
        if not isinstance(experiment_name, _Unchanged):
            self.move(run, experiment_name, author=who)
        return self._kept(run.uid)

    def tag(
        self,
        wanted: str | Run | ActiveRun | Iterable[str | Run | ActiveRun],
        changes: Mapping[str, Any],
        *,
        author: str | None = None,
    ) -> tuple[Run, ...]:
        """Set and remove tags of runs, all at once; each change is recorded as an event.

        Args:
            wanted: A run or any name of a run, or several of them.
            changes: Values by key: text, numbers and booleans, or an empty text for a tag
                without a value. None removes the tag.
            author: The author of the edit; by default the user of this process.

        Returns:
            The runs as they are now.

        Raises:
            InvalidValueError: A key or a value cannot be a tag; nothing was changed.
            RunNotFoundError: There is no such run; nothing was changed.
        """
        from runstore.maintenance.edits import checked_tags

        checked = checked_tags(arguments.mapping(changes, "changes", {"phase": "pilot"}))
        runs = self._runs(wanted)
        self.backend.edits.change([run.uid for run in runs], checked, author_named(author))
        return tuple(self._kept(run.uid) for run in runs)

    # Moving

    def move(
        self,
        wanted: str | Run | ActiveRun | Iterable[str | Run | ActiveRun],
        experiment_name: str,
        *,
        author: str | None = None,
    ) -> tuple[Run, ...]:
        """Move runs to another experiment, all at once; durable on return.

        Each gets the next number there, or its former number if it was there before. It can still
        be found by its old reference and number.

        Args:
            wanted: Any names of runs, or runs.
            experiment_name: The experiment; it is created if it does not exist.
            author: The author of the edit; by default the user of this process.

        Returns:
            The runs as they are now.

        Raises:
            RunNotFoundError: There is no such run; nothing was moved.
            InvalidValueError: The name is not valid for an experiment.
        """
        from runstore.maintenance.trash import moved

        return moved(self.backend, wanted, experiment_name, author_named(author))

    def rename_experiment(
        self, old: str, new: str, *, merge: bool = False, author: str | None = None
    ) -> int:
        """Rename an experiment; its runs keep their numbers. Durable on return.

        Deleted runs are renamed as well. Runs can still be found by their old references, and
        numbers of the old name are never reused.

        Args:
            old: The experiment.
            new: Its new name.
            merge: Whether the new name may be that of an existing experiment. In this case the
                runs get new numbers.
            author: The author of the edit; by default the user of this process.

        Returns:
            The number of renamed runs.

        Raises:
            ConflictError: An experiment with the new name exists.
            InvalidValueError: The new name is not valid for an experiment.
            NotFoundError: There is no such experiment; the message suggests the nearest name.
        """
        from runstore.maintenance.trash import renamed

        return renamed(self.backend, old, new, author_named(author), is_merge=merge)

    # Deleting

    def delete(
        self,
        wanted: str | Run | ActiveRun | Iterable[str | Run | ActiveRun],
        *,
        dry: bool = False,
        force: bool = False,
        author: str | None = None,
    ) -> Deletion:
        """Move runs to the trash, all at once; durable on return.

        They can be restored until they are permanently deleted; see `collect_garbage`. Their
        numbers are never reused.

        Args:
            wanted: Any names of runs, or runs, such as `store.find("status = 'error'")`.
            dry: Only return the runs that would be deleted.
            force: Whether to delete runs that seem to be active, too.
            author: The author of the edit; by default the user of this process.

        Returns:
            The runs, the bytes that will be freed with them, and the runs that depend on them.

        Raises:
            RunActiveError: One of the runs is active; nothing was deleted.
            RunNotFoundError: There is no such run; nothing was deleted.
        """
        from runstore.maintenance.trash import delete

        who = author_named(author)
        return delete(self.backend, wanted, author=who, is_dry=bool(dry), is_forced=force)

    def restore(
        self,
        wanted: str | Run | ActiveRun | Iterable[str | Run | ActiveRun],
        *,
        author: str | None = None,
    ) -> tuple[Run, ...]:
        """Restore runs from the trash, all at once; durable on return.

        Args:
            wanted: Any names of deleted runs; `latest` is the run that was deleted last.
            author: The author of the edit; by default the user of this process.

        Returns:
            The runs, which are as they were before they were deleted.

        Raises:
            RunNotFoundError: There is no such run in the trash; nothing was restored.
        """
        from runstore.maintenance.trash import restore

        return restore(self.backend, wanted, author=author_named(author))

    def trash(self, *, limit: int | None = arguments.PAGE_LIMIT) -> tuple[Run, ...]:
        """Return the deleted runs that can be restored, the last deleted first.

        Args:
            limit: Maximum number of runs; None for all.
        """
        from runstore.reading.names import with_source

        most = sys.maxsize if limit is None else arguments.count(limit, "limit", 1)
        return with_source(self.backend, self.backend.trash.newest(most))

    def name_of(self, uid: str | Run | ActiveRun) -> str | None:
        """Return the reference of a run with its state; None if the store never had the run.

        The text is for people: `mnist_2_2026-11-23-T101500 (in the trash)`.
        """
        from runstore.reading.names import run_name

        return self.backend.trash.name_of(run_name(uid))

    def collect_garbage(
        self,
        *,
        older_than: timedelta | Literal[0] = TRASH_KEPT,
        dry: bool = False,
        vacuum: bool = False,
    ) -> Collected:
        """Permanently delete trashed runs and unreferenced files; a repeated call has no effect.

        Runs that have been in the trash for long enough are deleted, except for their names. So
        are contents to which no run refers, kept or in the trash, and leftovers of crashed
        programs. Files that are being saved meanwhile are safe.

        Args:
            older_than: Minimum time in the trash (default: 30 days); `timedelta(0)` or 0 empties
                the trash.
            dry: Only return the data that would be deleted.
            vacuum: Whether to shrink the database file as well; all writers wait meanwhile.

        Returns:
            The deleted data, and the runs left in the trash.

        Raises:
            StoreError: The store cannot be written, or another program is saving for longer than
                a minute. Only unneeded data was deleted; the next call continues.
        """
        from runstore.maintenance.gc import collect

        kept = timedelta(0) if older_than == 0 and older_than is not False else older_than
        if not isinstance(kept, timedelta) or kept < timedelta(0):
            raise UsageError(
                f"Expected older_than as a timedelta of zero or more, got {shown(older_than)}.",
                kept="Nothing was removed.",
                hint="Pass datetime.timedelta(days=30), or 0 to empty the trash.",
            )
        return collect(self.backend, older_than=kept, is_dry=bool(dry), vacuum=vacuum)

    def copy(self, target: str | Path) -> Path | str:
        """Copy the store to a new folder or an empty database, even while programs record into it.

        The copy has the runs, files, output and points as they are now. An active run is `lost`
        in the copy once its process has ended. Links are skipped with a warning.

        Args:
            target: The folder to create, an empty folder, whose permissions are kept and apply to
                the copy, or the URL of an empty database.

        Returns:
            The absolute path of the copy, which is complete and durable; or the URL, without the
            password.

        Raises:
            ConflictError: The folder is not empty, or is a file; or the database has runs.
            UsageError: The folder is within the store, or the URL is of another kind.
            StoreUnavailableError: The copy could not be written; the incomplete one was removed.
        """
        from runstore.maintenance.copying import copy_store

        return copy_store(self.backend, target)

    def export_parquet(
        self, folder: str | Path, where: str = "", *, experiment: str | None = None
    ) -> Exported:
        """Write runs to a dataset of Parquet files, for engines such as DuckDB, Polars and Dask.

        The folder gets a folder per table: `runs`, `params`, `series`, `metrics`, `tags` and
        `artifacts`, each with files by experiment and run number. A later export to the same
        folder writes the files whose runs changed, and those of active runs.

        Args:
            folder: A new or empty folder, or that of an earlier export of the same runs.
            where: A filter; empty for all runs.
            experiment: Only runs of this experiment.

        Returns:
            The numbers of runs, and of written, unchanged and removed files.

        Raises:
            ConflictError: It is a file, or the folder has something else; nothing was written.
            FilterError: The filter is invalid.
            MissingExtraError: pyarrow is not installed.
            NotFoundError: There is no such experiment.
            StoreUnavailableError: The dataset could not be written; a later export continues.
            UsageError: The folder is within the store.
        """
        from pathlib import Path

        from runstore.exports.dataset import export_dataset

        place = Path(arguments.path(folder, "folder")).absolute()
        return export_dataset(self.backend, place, where, experiment)

    def push(
        self,
        other: str | os.PathLike[str] | Store,
        where: str | Query = "",
        *,
        experiment: str | None = None,
        runs: Iterable[str | Run | ActiveRun] | None = None,
        restore: bool = False,
        dry: bool = False,
        progress: Progress | None = None,
    ) -> Transfer:
        """Copy runs with all their data to another store, and merge their edits.

        A run has the same uid in every store, so repeating a transfer changes nothing. A
        run appears in the other store completely or not at all. Without a filter, all runs are
        transferred, including runs in the trash. Active runs are skipped.

        Args:
            other: The other store, or its location; a missing folder is created.
            where: Only runs that match this filter.
            experiment: Only runs of this experiment.
            runs: Only these runs, or any names of runs.
            restore: Also add runs that were permanently deleted in the receiving store.
            dry: Only count the runs and files that would be transferred.
            progress: Called now and then with the number of finished runs, the number of all
                runs, and the number of copied bytes.

        Raises:
            FilterError: The filter is invalid, or there is no such field.
            NotFoundError: There is no such run or experiment; nothing was transferred.
            StoreError: One of the stores failed. The runs that were transferred before are
                complete; the next transfer continues.
            UsageError: It is the same store, or there are both a filter and runs.
        """
        from runstore.maintenance.transfer import transfer, uids_of

        progress = arguments.progress(progress)
        uids = uids_of(self.backend, where, experiment, runs)
        with other_store(other, is_to_write=True, create=not dry, sender=self) as receiver:
            if not dry:
                receiver.backend.make()
            return transfer(
                self.backend,
                receiver.backend,
                uids,
                is_dry=bool(dry),
                is_restoring=restore,
                progress=progress,
            )

    def pull(
        self,
        other: str | os.PathLike[str] | Store,
        where: str | Query = "",
        *,
        experiment: str | None = None,
        runs: Iterable[str | Run | ActiveRun] | None = None,
        restore: bool = False,
        dry: bool = False,
        progress: Progress | None = None,
    ) -> Transfer:
        """Copy runs with all their data from another store, and merge their edits; see `push`.

        Nothing is written to a store of another user, unless you trust it (`runstore trust`), and
        such a store adds runs but does not change runs that this store has.

        Args:
            other: The other store, or its location.
            where: Only runs that match this filter there.
            experiment: Only runs of this experiment.
            runs: Only these runs, or any names of runs there.
            restore: See `push`.
            dry: See `push`.
            progress: See `push`.

        Raises:
            FilterError: The filter is invalid, or there is no such field.
            NotFoundError: There is no such run or experiment; nothing was transferred.
            StoreError: See `push`.
            UsageError: It is the same store, or there are both a filter and runs.
        """
        from runstore.maintenance.transfer import transfer, uids_of

        progress = arguments.progress(progress)
        with other_store(other, is_to_write=False) as sender:
            if not dry:
                self.backend.make()
            return transfer(
                sender.backend,
                self.backend,
                uids_of(sender.backend, where, experiment, runs),
                is_dry=bool(dry),
                is_restoring=restore,
                may_change=not sender.backend.database.is_left_alone,
                progress=progress,
            )

    def check(self, *, deep: bool = False) -> tuple[Finding, ...]:
        """Check the store for damage, missing contents, and orphaned or unused files.

        Nothing is changed.

        Args:
            deep: Whether to check all contents and the whole database for damage.

        Returns:
            The findings; empty if the store is in order.
        """
        from runstore.maintenance.doctor import check

        return check(self.backend, is_deep=deep)

    def settle(
        self,
        wanted: str | Run | ActiveRun | Iterable[str | Run | ActiveRun] | None = None,
        *,
        presume_lost: bool = False,
    ) -> Settled:
        """Determine the state of silent runs, and mark runs as lost if their process is gone.

        A run is silent if it has not ended, and its last sign of life is over a minute old. If it
        ran in a job of Slurm and the commands of that cluster are installed here, they are asked
        for the state of the job.

        Args:
            wanted: Runs, or any names of them; None for all silent runs.
            presume_lost: Whether to also mark runs in an unknown state. A run that reports
                its end later gets the status that it reports.

        Returns:
            The runs that are lost now, and the other silent runs with the reasons.

        Raises:
            RunNotFoundError: There is no such run.
            StoreError: The store cannot be written.
        """
        from runstore.maintenance.settle import settle

        return settle(self.backend, wanted, is_presumed=presume_lost)

    def verify(self) -> Verified:
        """Check that the events of all runs are unchanged, complete and in order.

        Each event has a hash of its content and of all earlier events of its run. Nothing is
        changed. Anyone with write access to the database can recompute these hashes; to detect
        that, compare the result with a copy kept elsewhere.
        """
        from runstore.storage.integrity.history import verify

        return verify(self.backend.database.driver)

    def undo(
        self,
        name: str | Run | ActiveRun | None = None,
        *,
        author: str | None = None,
        dry: bool = False,
    ) -> tuple[Undone, ...]:
        """Undo the last edit: notes, tags, a move or a deletion, with all runs that it changed.

        The next call undoes the edit before it. Undoing is recorded as events, too.

        Args:
            name: Undo the last edit of this run, kept or in the trash, by any author; None for
                the last edit of the author.
            author: Defaults to the user of this process.
            dry: Only return the edits that would be undone.

        Returns:
            For each edit the run's uid, its reference before that, and the event of the edit.

        Raises:
            NotFoundError: There is nothing to undo.
            ConflictError: A later edit changed the same data; nothing was changed.
        """
        from runstore.maintenance.trash import undone

        return undone(self.backend, name, author_named(author), is_dry=bool(dry))

    def redo(self, *, author: str | None = None, dry: bool = False) -> tuple[Undone, ...]:
        """Redo the edit that was undone last, with all runs that it changed.

        After a new edit of the author there is nothing left to redo, as in an editor.

        Args:
            author: Defaults to the user of this process.
            dry: Only return the edits that would be redone.

        Returns:
            For each edit the run's uid, its reference before that, and the event of the undo.

        Raises:
            NotFoundError: Nothing was undone since the last edit.
            ConflictError: A later edit changed the same data; nothing was changed.
        """
        return tuple(self.backend.edits.redo(author_named(author), is_dry=bool(dry)))

    def events(self, name: str | Run | ActiveRun) -> tuple[Event, ...]:
        """Return the edits of a run, oldest first."""
        from runstore.model.results.lists import Events

        return Events(self.backend.edits.events(self.get(name).uid))

    # Reading

    def get(self, name: str | Run | ActiveRun) -> Run:
        """Return the run with this name, as it is now.

        Args:
            name: A run, a reference, a uid, `mnist#7`, `mnist#-1` (the newest of mnist), `latest`,
                `mnist_7`, an unambiguous prefix of a reference or uid, or `mnist#7~b456` (the
                `mnist#7` whose uid ends with `b456`).

        Raises:
            RunNotFoundError: No run matches.
            AmbiguousReferenceError: Several runs match; the error lists them.
        """
        return store_with(self, name)[1]

    def _run(self, run: str | Run | ActiveRun) -> Run:
        from runstore.reading.names import run_of

        return run_of(self.backend, run)

    def _runs(
        self, wanted: str | Run | ActiveRun | Iterable[str | Run | ActiveRun]
    ) -> tuple[Run, ...]:
        from runstore.reading.names import runs_of

        return runs_of(self.backend, wanted)

    def _kept(self, uid: str) -> Run:
        from runstore.reading.names import kept_run

        return kept_run(self.backend, uid)

    @property
    def _source(self) -> Source:
        from runstore.reading.names import source_of

        return source_of(self.backend)

    @arguments.hinted('For a filter, write: store.find("status = error").')
    def list(
        self,
        experiment_name: str | None = None,
        *,
        limit: int | None = None,
        after: str | None = None,
    ) -> Page[Run]:
        """Return runs, newest first; within an experiment, by run number.

        Runs are read on demand: the cost depends on the number of runs used.

        Args:
            experiment_name: Only runs of this experiment.
            limit: Maximum number of runs; None for all.
            after: `next` of the previous page; None starts with the newest run.

        Raises:
            UsageError: The limit is out of range, or `after` is not from a page.
            NotFoundError: There is no such experiment.
        """
        from runstore.reading.newest import newest_page

        return newest_page(self.backend, experiment_name, limit, after)

    @arguments.hinted('Write: store.find("params.lr = 0.1 order by started").')
    def find(
        self,
        where: str | Query | None = "",
        *,
        experiment: str | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Page[Run]:
        """Return the runs that match a filter, newest first or in the order of the filter.

        Runs are read on demand: the cost depends on the number of runs used.

        Args:
            where: A filter, such as `params.lr > 0.01 and status = 'error' order by
                metrics.loss.last`; see the guide on filters. None or empty for all.
            experiment: Only runs of this experiment.
            limit: Maximum number of runs; None for all.
            after: `next` of the previous page; None for the first page.

        Raises:
            FilterError: The filter is invalid; the message shows the position.
            NotFoundError: There is no such experiment.
            UsageError: The limit is out of range, or `after` is not from a page.
        """
        from runstore.reading.find import found_page, query_of

        return found_page(self.backend, query_of(self.backend, where, experiment), limit, after)

    def group(
        self,
        by: str,
        where: str | Query = "",
        *,
        experiment: str | None = None,
        metrics: Sequence[str] = (),
    ) -> tuple[RunGroup, ...]:
        """Return groups of runs by the value of a field, the group with the latest start first.

        The database counts the runs, without reading them.

        Args:
            by: A field of the filter language: `experiment`, `status`, `params.lr`, `tags.phase`.
                A run with several parameter sets is in the group of each of their values.
            where: Only runs that match this filter.
            experiment: Only runs of this experiment.
            metrics: Keys of metrics whose last values are summarized.

        Raises:
            FilterError: The filter is invalid, or there is no such field.
            NotFoundError: There is no such experiment.
            UsageError: Runs cannot be grouped by this field.
        """
        from runstore.reading.groups import group_runs

        return group_runs(self.backend, by, where, experiment, metrics)

    def pivot(
        self,
        metric: str,
        rows: str | Sequence[str],
        columns: str | Sequence[str] = (),
        where: str | Query = "",
        *,
        experiment: str | None = None,
        over: Sequence[str] | None = None,
        direction: Direction | None = None,
        several: Several = "best",
        level: float = 0.95,
    ) -> Pivot:
        """Return a pivot table: the mean of repeated runs by the fields of rows and columns.

        Runs that differ only in a seed are repeats of one setting; only complete runs count.

        Args:
            metric: `acc` for the last value, or another value of the series: `acc.max`, `.min`,
                `.first`, `.mean` or `.count`.
            rows: A field of the filter language, or several: `params.lr`, `experiment`.
            columns: The same for columns; empty for a single column.
            where: Only runs that match this filter.
            experiment: Only runs of this experiment.
            over: Keys in which repeats may differ, at any depth; None for seeds.
            direction: `max` if higher is better, `min` if lower is; None to use
                `Store.directions` and the metric's name.
            several: Whether a cell with several settings shows the `best` setting, or `all`
                runs together.
            level: Confidence level of the intervals, from 0.5 to 0.999.

        Raises:
            FilterError: The filter is invalid, or there is no such field.
            NotFoundError: No run is complete, or none has the metric.
            UsageError: Runs cannot be grouped by a field, or an option is out of range.
        """
        from runstore.analysis.pivots import pivot

        return pivot(
            self.backend,
            metric,
            rows,
            columns,
            where,
            experiment=experiment,
            over=over,
            direction=direction,
            several=several,
            level=level,
        )

    def grep(
        self,
        text: str,
        where: str | Query = "",
        *,
        experiment: str | None = None,
        fields: Sequence[str] = ("notes", "error", "output"),
        regexp: bool = False,
        ignore_case: bool = False,
        lines: int | None = 10,
        context: int = 0,
        limit: int | None = 20,
        after: str | None = None,
    ) -> Page[FoundTexts]:
        """Return one page of runs whose texts contain a match, with the matching lines.

        A search index next to the database is updated first, which takes longer if much was
        recorded since the last search.

        Args:
            text: A part of a line, or a regular expression if `regexp` is set.
            where: Only runs that match this filter, in its order, or else newest first.
            experiment: Only runs of this experiment.
            fields: Texts to search: `notes`, `error` with its traceback, `output` without colours.
            regexp: Whether the text is a regular expression.
            ignore_case: Whether to ignore case, in any alphabet.
            lines: Maximum number of lines per run; None for all.
            context: Number of lines to show above and below each match.
            limit: Runs per page; None for all.
            after: `next` of the previous page; None for the first page.

        Raises:
            FilterError: The filter or the regular expression is invalid, or takes too long.
            NotFoundError: There is no such experiment.
            UsageError: The text is empty or has several lines, a number is out of range, or a
                field is unknown.
        """
        from runstore.reading.find import query_of
        from runstore.reading.grep import GrepOptions, found_texts

        options = GrepOptions(
            text,
            fields=fields,
            regexp=regexp,
            ignore_case=ignore_case,
            lines=lines,
            context=context,
        )
        query = query_of(self.backend, where, experiment)
        return found_texts(self.backend, options, query, limit=limit, after=after)

    def compare(
        self,
        *runs: str | Run | ActiveRun | Iterable[str | Run | ActiveRun],
        sections: Sequence[str] | None = None,
        everything: bool = False,
        metrics: Sequence[str] = (),
    ) -> Comparison:
        """Return the differences between runs; see `runstore.analysis.compare.comparison`.

        Args:
            runs: Any names of runs, or runs; two or more, or one list or page of them.
            sections: Sections such as `params`, `code`, `packages`, `metrics`; None for all.
            everything: Whether to return equal values as well.
            metrics: Only these metrics, even if they are equal; empty for all.

        Raises:
            NotFoundError: None of the runs has such a metric; the message suggests the nearest
                key.
            RunNotFoundError: There is no such run.
            UsageError: There are fewer than two runs, or a section is unknown.
        """
        from runstore.analysis.compare.comparison import compare_runs

        return compare_runs(
            self.backend, runs, sections=sections, everything=everything, metrics=metrics
        )

    def explain(
        self, a: str | Run | ActiveRun, b: str | Run | ActiveRun, metric: str | None = None
    ) -> Explanation:
        """Return possible causes of different results of two runs, the likeliest first.

        The code of both is read with git.

        Args:
            a: Any name of a run, or a run.
            b: The other run.
            metric: Key of the metric to explain; None for the metric that differs most.

        Raises:
            NotFoundError: Neither run has the metric; the message suggests the nearest key.
            RunNotFoundError: There is no such run.
        """
        from runstore.analysis.explain.explanation import explain

        return explain(self.backend, a, b, metric)

    def previous_runs(
        self, experiment_name: str, *, params: Any = None, argv: Sequence[str] | None = None
    ) -> Earlier:
        """Return the earlier runs of the same work, without starting a run.

        The code is read with git. This takes a few milliseconds, for any number of runs.

        Args:
            experiment_name: The experiment.
            params: See `start`.
            argv: See `start`. If arguments are passed, or there are no parameters, the whole
                command must be the same.

        Raises:
            InvalidValueError: The name or a value cannot be stored; the message names it.
        """
        from runstore.analysis.reruns.lookup import look_up
        from runstore.capture.surroundings import Surroundings, quick_facts
        from runstore.model.params.build import parameter_sets
        from runstore.model.params.parameter_set import has_values
        from runstore.model.reference import check_experiment_name

        name = check_experiment_name(experiment_name)
        argv = checked_command(argv)
        where = Surroundings.here(argv=argv, store=self.path)
        facts = quick_facts(where, argv=argv)
        sets = parameter_sets(params)
        exactly = argv is not None or not has_values(sets)
        return look_up(self.backend, name, sets, facts, exactly=exactly, where=where)

    def similar(self, name: str | Run | ActiveRun, *, limit: int = 5) -> tuple[Similar, ...]:
        """Return the most similar runs of the same experiment, most similar first.

        Runs are similar if few of their parameters differ. The newest 100 runs of the experiment
        are considered, and 100 of any age that share rare values.

        Args:
            name: Any name of a run, or a run.
            limit: Maximum number of runs, 1 to 100.

        Raises:
            RunNotFoundError: There is no such run.
            UsageError: The limit is out of range.
        """
        from runstore.analysis.reruns.lookup import similar

        return similar(self.backend, self._run(name), arguments.count(limit, "limit", 1, 100))

    @once
    def queries(self) -> SavedQueries:
        """Saved filters by name; assign to save one: `queries["a"] = "params.a > 0"`."""
        from runstore.reading.saved_queries import SavedQueries

        return SavedQueries(self.backend)

    @once
    def directions(self) -> Directions:
        """The better direction of metrics, `min` or `max`; assign to save one.

        `best` uses it: `store.directions["wobble"] = "min"`.
        """
        from runstore.reading.directions import Directions

        return Directions(self.backend)

    def experiments(self) -> tuple[Experiment, ...]:
        """Return all experiments with runs, the most recently run first; counts all runs."""
        from runstore.model.results.lists import Experiments

        return Experiments(self.backend.database.experiments())

    def has_experiment(self, name: str) -> bool:
        """Check whether an experiment has runs, without counting them."""
        return self.backend.database.has_experiment(arguments.text(name, "name", "mnist"))

    def children(self, name: str | Run | ActiveRun) -> tuple[Run, ...]:
        """Return the child runs of a run, oldest first."""
        from runstore.reading.names import children_of

        return children_of(self.backend, self.get(name).uid)

    # Metrics

    def metrics_of(self, run: str | Run | ActiveRun) -> tuple[MetricSummary, ...]:
        """Return a summary of each series of a run, without reading its points."""
        return self._source.metrics_of(self._run(run))

    def series_of(
        self, run: str | Run | ActiveRun, key: str, set_name: str | None = None
    ) -> Series:
        """Return the points of a metric of a run, including the latest ones.

        Raises:
            NotFoundError: The run has no such metric.
        """
        return self._source.series_of(self._run(run), key, set_name)

    def last_values(self, runs: Iterable[Run]) -> dict[str, dict[tuple[str | None, str], float]]:
        """Return the last value of every metric of many runs, up to about a second old.

        Returns:
            Values by uid, then by (set name or None for the run itself, key).
        """
        return self._source.last_values(self._runs(runs))

    def points(
        self,
        runs: Iterable[Run | ActiveRun | str] | Run | ActiveRun | str,
        keys: str | Iterable[str] | None = None,
        *,
        limit: int | None = None,
    ) -> PointsTable:
        """Return the points of many runs as one table, including the latest ones.

        Args:
            runs: Runs or any names of runs, a single one, or a page of runs.
            keys: Keys of metrics, or one key; `*` matches any text, and `?` any character. None
                for all.
            limit: Maximum number of points per series, 4 or more; extremes are kept.

        Raises:
            NotFoundError: None of the runs has a metric of one of the keys.
            RunNotFoundError: There is no such run.
            UsageError: The limit is too small.
        """
        from runstore.reading.metrics.points import read_points_of

        return read_points_of(self.backend, runs, keys, limit)

    # Artifacts and output

    def artifacts_of(self, run: str | Run | ActiveRun) -> dict[str, Artifact]:
        """Return the artifacts of a run by path."""
        return self._source.artifacts_of(self._run(run))

    def inputs_of(self, run: str | Run | ActiveRun) -> tuple[Input, ...]:
        """Return the declared inputs of a run."""
        return self._source.inputs_of(self._run(run))

    def readers_of(self, name: str | Run | ActiveRun) -> tuple[Run, ...]:
        """Return the runs that used artifacts of this run, oldest first."""
        from runstore.reading.names import readers_of

        return readers_of(self.backend, self.get(name).uid)

    def output_of(self, run: str | Run | ActiveRun) -> Output:
        """Return the recorded output of a run, line by line."""
        return self._source.output_of(self._run(run))

    def document(self, name: str | Run | ActiveRun, document: str) -> str | None:
        """Return a captured text of a run, such as `patch` or `packages`; None if it has none."""
        document = arguments.text(document, "document", "patch")
        return self.backend.database.document(self.get(name).uid, document)

    def documents(self, name: str | Run | ActiveRun) -> tuple[str, ...]:
        """Return the names of a run's captured texts."""
        return tuple(self.backend.database.document_names(self.get(name).uid))

    def complete(self, prefix: str, *, limit: int = 50) -> tuple[str, ...]:
        """Return references with this prefix, recent ones first, for completion in a shell."""
        begun = arguments.text(prefix, "prefix", "mnist_7")
        most = arguments.count(limit, "limit", 1, arguments.PAGE_LIMIT)
        return tuple(self.backend.database.references_with_prefix(begun, most))


def store_with(store: Store, name: str | Run | ActiveRun) -> tuple[Store, Run]:
    """Return a run and its store: that of this machine if the run waits there.

    Raises:
        RunNotFoundError: There is no such run.
    """
    from runstore.reading.names import RunWaitsError, run_named

    try:
        return store, run_named(store.backend, name)
    except (RunWaitsError, ServerUnreachableError):
        found: tuple[Store, Run] | None = _waiting(store.backend).named(name)
        if found is None:
            raise
        return found


def started(store: Store, request: StartRequest) -> ActiveRun:
    """Start a run in a store; see `Store.start`."""
    try:
        start = _starter()
        if store.backend.server is None:
            return start(store.backend, request, store)
        return _waiting(store.backend).start(request, store)
    except genuine(OSError, ImportError) as error:
        _name_limit(error, store.backend.server or store.backend.home)
        raise


@functools.cache
def _starter() -> Callable[[Backend, StartRequest, Store], ActiveRun]:
    be_ready(STARTING)
    from runstore.recording.starting import start

    return start


def opened_to_deliver(location: str | os.PathLike[str] | None = None) -> Store:
    """Open a store whose waiting runs are to be delivered; nothing is delivered yet.

    Raises:
        ServerUnreachableError: The server cannot be reached.
    """
    place = find_place(location)
    if isinstance(place, str):
        return Store.open(location, create=False)
    from runstore.inflight import take_in

    store = Store._on_server(place, create=True, delivers=False)  # noqa: SLF001 - this module's own
    store.backend.make()
    take_in(store.backend)
    return store


def waiting_store_of(location: str | os.PathLike[str] | None = None) -> Store | None:
    """Open the store of the runs that wait on this machine for a server; None if there is none."""
    place = find_place(location)
    if isinstance(place, str):
        return None
    from runstore.storage.postgres.waiting import WAITING, is_waiting

    return Store.open(place.folder / WAITING) if is_waiting(place.folder) else None


@contextmanager
def other_store(
    other: str | os.PathLike[str] | Store,
    *,
    is_to_write: bool,
    create: bool = True,
    sender: Store | None = None,
) -> Iterator[Store]:
    """Yield the other store of a transfer; one that is opened here is closed on exit.

    Args:
        other: The store, or its location.
        is_to_write: Whether to write to it. Otherwise, nothing is written to a store of another
            user, not even data in flight.
        create: Whether to create a missing store to write to.
        sender: The store that sends runs to it.

    Raises:
        UsageError: It is within the folder of the sender.
    """
    if isinstance(other, Store):
        yield other
        return
    place = find_place(other)
    if sender is not None and isinstance(place, str):
        _check_is_outside(place, sender.backend)
    file = os.path.join(place, DATABASE) if isinstance(place, str) else None
    is_foreign = file and is_there(file) and not is_usable(file, working_directory())
    if file and is_foreign and not is_to_write:
        from runstore.storage.backend import Backend
        from runstore.storage.database import Database

        opened = Store(
            Backend(os.path.dirname(file), Database(file, create=False, leave_alone=True))
        )
    else:
        opened = Store.open(other, create=is_to_write and create)
    with opened:
        yield opened


def _check_is_outside(folder: str, sender: Backend) -> None:
    # As for a copy of a store: it would be part of the copy, and `gc` would remove it.
    from pathlib import Path

    if sender.path.resolve() in Path(folder).resolve().parents:
        raise UsageError(
            f"{folder} is within the store.",
            kept="Nothing was transferred.",
            hint=f"Choose a folder outside {sender.path}.",
        )


def migrate(location: str | os.PathLike[str] | None = None) -> Store:
    """Open a store, bringing its tables up to date.

    Opening a store in a folder does so anyway; one on a server is migrated only here.

    Raises:
        StoreReadOnlyError: The role may not change the tables.
    """
    place = find_place(location)
    if isinstance(place, str):
        return Store.open(place, create=False)
    from runstore.storage.postgres.database import ServerDatabase

    ServerDatabase(place, create=False, migrate=True).close()
    return Store.open(location, create=False)


def move_contents(store: Store, place: str) -> Amount:
    """Move the contents of files of a store on a server, and return the copied files.

    Args:
        store: The store.
        place: `database`, an absolute path, or the URL of a bucket.

    Raises:
        UsageError: It is not a place, or the store is in a folder.
        StoreUnavailableError: One of the places is not available.
    """
    from runstore.maintenance.contents_place import move_contents as move

    return move(store.backend, place)


def has_store(location: str | os.PathLike[str]) -> bool:
    """Check whether there is a store at a location."""
    place = find_place(location)
    return not isinstance(place, str) or is_there(os.path.join(place, DATABASE))


_shared: dict[str | ServerLocation, Store] = {}
_SHARED_AT_MOST = 16


def open_shared(location: str | os.PathLike[str] | None = None) -> Store:
    """Return this process's store for a location, opened once."""
    place = find_place(location)
    store = _shared.get(place)
    if store is None or not store.backend.is_in_place:
        # On a server, runs that wait on this machine do not delay the start of this one.
        create = None if isinstance(place, str) else True
        store = _shared[place] = Store.open(location, create=create)
        # Tests may record in a new folder each, and never come back to one.
        for oldest in [*_shared][:-_SHARED_AT_MOST]:
            _shared.pop(oldest, None)
    return store


def _made_at(folder: str, *, is_told: bool) -> Database:
    """Create a store, and return its database.

    Args:
        folder: The folder.
        is_told: Whether the program named the folder.
    """
    if not is_told:
        warn_of_store_apart(folder)
    make_folder(folder)
    check_place(folder)  # afterwards: another program may have been faster
    return _database_at(folder, create=True)


# Errors of a store that may mean that no more files can be opened.
_VAGUE = frozenset({StoreUnavailableError, StoreCorruptError, StoreReadOnlyError})


def _name_limit(error: Exception, place: str | ServerLocation) -> None:
    """Raise a better error if work of a store failed because descriptors ran out.

    Raises:
        StoreUnavailableError: They ran out.
    """
    is_vague = type(error) in _VAGUE or not isinstance(error, StoreError)
    if is_vague and ran_out(error):
        reason = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        raise unreachable(place if isinstance(place, str) else place.folder, reason) from error


def _load_storage(place: str | ServerLocation) -> None:
    try:
        be_ready(OPENING)
    except genuine(OSError) as error:
        raise unreachable(place if isinstance(place, str) else place.folder, error) from error


def _database_at(folder: str, *, create: bool) -> Database:
    from runstore.storage.backend import database_in

    try:
        return database_in(folder, create=create)
    except StoreError:
        raise
    except genuine(OSError) as error:
        raise unreachable(folder, error) from error


def _store_at(location: str, server: ServerLocation | None = None) -> Store:
    """Return a copy of a store of another process; its database is opened on first use."""
    from runstore.storage.backend import Backend

    known = _shared.get(server or location)
    return Store(Backend(location, server=server)) if known is None else known


def _waiting(backend: Backend) -> WaitingRuns:
    from runstore.waiting import WaitingRuns

    return backend.part(WaitingRuns)


def _take_lines(backend: Backend, path: Path, run: Run) -> None:
    from runstore.recording.output.program_lines import take_in_leftover

    take_in_leftover(backend, path, run)


def _show_changes(backend: Backend) -> None:
    """Update each `store.json` of the store on this machine."""
    # Checked after each transaction; most folders have no such file.
    if not os.access(backend.list_mark, os.F_OK):
        return
    from runstore.storage.backend import STORE_JSON

    try:
        from runstore.store_json.lists import refresh_lists
    except genuine(ImportError, OSError) as error:  # no file can be opened
        warn(f"{backend.path / STORE_JSON} was not updated: {error}.")
        return
    refresh_lists(backend)

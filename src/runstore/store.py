"""Store: the one door to recorded runs; open, start, get, list, edit, finish."""

from __future__ import annotations

import functools
import getpass
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from runstore import lifetime
from runstore.active import PARENT_VARIABLE, ActiveRun, Begun, current_run, warn
from runstore.config import DATABASE, RUNS, find_store, is_there, make_folder, unreachable
from runstore.errors import (
    AmbiguousReferenceError,
    NotFoundError,
    RunFinishedError,
    RunNotFoundError,
    StoreError,
    StoreUnavailableError,
    UsageError,
)
from runstore.evidence import Evidence
from runstore.model import reference as names
from runstore.model.facts import Facts
from runstore.model.run import Event, Experiment, Run
from runstore.model.status import Status
from runstore.model.values import check_text, clean_text
from runstore.pages import Page, read_cursor, write_cursor
from runstore.storage.database import BEYOND_NEWEST, Database, NewRun, now_micros
from runstore.storage.rows import from_micros
from runstore.storage.spool import Ending, Spool, uid_of

if TYPE_CHECKING:
    from runstore.model.metrics import MetricSummary, Series
    from runstore.storage.metrics import MetricTable

T = TypeVar("T")
PAGE_LIMIT = 1000
_CANDIDATES_SHOWN = 10


class _Unchanged:
    """The default of an edit: leave the field as it is."""


_UNCHANGED = _Unchanged()


class Store:
    """Recorded runs, in one folder.

    Safe to share between threads, and usable in a forked child. Use `Store.open`.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self.database = database
        self._file = _file_identity(path / DATABASE)
        self.spool = Spool(path)
        self.evidence = Evidence(database, self.absorb_spool)

    @classmethod
    def open(cls, location: str | os.PathLike[str] | None = None, *, create: bool = True) -> Store:
        """Open a store, and make it when it is missing.

        Args:
            location: A folder, or `sqlite:///folder`. None finds the store of the project: see
                `runstore.config.find_store`.
            create: Whether a missing store is made.

        Raises:
            StoreUnavailableError: The folder cannot be made or reached.
            StoreCorruptError: The database file is not one, or damaged; it is left as it is.
        """
        path = find_store(location)
        if create:
            make_folder(path)
        elif not is_there(path / DATABASE):
            raise StoreUnavailableError(
                f"There is no store at {path}.",
                hint="Record a run first, or name another folder.",
            )
        try:
            store = cls(path, Database(path / DATABASE, create=create))
        except StoreError:
            raise
        except OSError as error:
            raise unreachable(path, error) from error
        store.absorb_spool()
        return store

    def close(self) -> None:
        """Give back the connections, once facts that are being captured are written.

        Nothing more is written of runs that are still executed.
        """
        lifetime.wait_for_background()
        lifetime.forget(lambda run: isinstance(run, ActiveRun) and run.store is self)
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Store {str(self.path)!r}>"

    @property
    def is_in_place(self) -> bool:
        """Whether the database is still the file that was opened, and not deleted or another."""
        return self._file == _file_identity(self.path / DATABASE)

    # Starting

    def start(
        self,
        experiment_name: str,
        *,
        params: Any = None,
        notes: str | None = None,
        capture: bool = True,
        parent: str | ActiveRun | Run | None = None,
        cli: str | None = None,
        argv: Sequence[str] | None = None,
        full_store: bool = False,
        live: bool = False,
    ) -> ActiveRun:
        """Start a run: take the next number and write it down; durable on return.

        Args:
            experiment_name: Any printable text up to 255 bytes.
            params: A mapping or dataclass of values, one `ParameterSet`, or several of these.
            notes: Prose.
            capture: Whether to read git, host and environment. What takes long is read in the
                background and added when it is known.
            parent: The run this one belongs to; by default the one whose block surrounds it,
                in this process or in the one that started it.
            cli: The command line to show; by default that of this process.
            argv: The exact arguments, where they are not those of this process.
            full_store: Whether a folder of plain files belongs to the run.
            live: Whether it is an interactive session, which has no defined end.

        Raises:
            InvalidValueError: The name or a value cannot be stored; it is named.
            StoreError: The store did not take the run.
        """
        from runstore.model.parameter_sets import parameter_sets

        name = names.check_experiment_name(experiment_name)
        sets = parameter_sets(params)
        notes = check_text(notes, "notes")
        facts = Facts()
        if capture:
            from runstore import capture as room

            facts = room.quick_facts(argv=argv)
        from runstore.capture.command import command_line
        from runstore.capture.process import current_process

        started_at = now_micros()
        new = NewRun(
            uid=names.new_uid(),
            experiment_name=name,
            status=Status.LIVE if live else Status.RUNNING,
            started_at=started_at,
            timestamp=time.strftime(
                names.TIMESTAMP_FORMAT, time.localtime(started_at // 1_000_000)
            ),
            parameter_sets=sets,
            parent_uid=self._parent_uid(parent),
            notes=notes,
            cli=command_line(cli, argv),
            full_store=full_store,
            process=current_process(),
            facts=facts,
        )
        number, reference = self.database.start_run(new)
        if capture:
            self.capture_in_background(new.uid, facts)
        return ActiveRun(self, _begun(new, number, reference))

    def capture_in_background(self, uid: str, quick: Facts) -> None:
        """Read what takes long, changes of code, packages and hardware, and add it to the run."""

        def capture_and_attach() -> None:
            from runstore import capture as room

            facts = room.slow_facts(quick)
            try:
                self.database.attach_facts(uid, facts)
            except StoreError as error:
                warn(f"Some facts about the run {uid} could not be kept: {error}")

        lifetime.in_background(capture_and_attach)

    def _parent_uid(self, parent: str | ActiveRun | Run | None) -> str | None:
        if isinstance(parent, str):
            return self.get(parent).uid
        surrounding = parent or current_run()
        if surrounding is not None:
            return surrounding.uid
        return os.environ.get(PARENT_VARIABLE) or None

    def resume(self, name: str) -> ActiveRun:
        """Go on with a run that has ended: same number, same reference, running again.

        Raises:
            RunActiveError: It is still being executed.
            RunNotFoundError: There is no such run.
        """
        from runstore.capture.process import current_process

        run = self.get(name)
        self.database.resume_run(run.uid, Status.RUNNING, current_process(), current_author())
        return ActiveRun(self, self.get(run.uid))

    def folder_of(self, reference: str) -> Path:
        """Return where the plain files of a run belong; the folder may not exist."""
        return self.path / RUNS / names.folder_name(reference)

    def set_reproduce(self, uid: str, command: str) -> None:
        """Note the command that repeats a full store's run; durable on return."""
        self.database.set_reproduce(uid, command)

    def withdraw(self, uid: str) -> None:
        """Undo a start that nobody has seen yet."""
        self.database.withdraw_run(uid)

    # Ending

    def finish(
        self,
        name: str,
        status: Status | str = Status.COMPLETE,
        *,
        error: str | None = None,
        traceback: str | None = None,
        exit_code: int | None = None,
    ) -> Run:
        """End a run that another process began; durable on return.

        Raises:
            RunFinishedError: Its end was reported before.
        """
        from runstore.active import reported

        run = self.get(name)
        self.database.finish_run(
            run.uid,
            reported(status),
            ended_at=now_micros(),
            error=None if error is None else clean_text(error),
            traceback=None if traceback is None else clean_text(traceback),
            exit_code=exit_code,
        )
        return self._kept(run.uid)

    def write_ending(self, ending: Ending, reference: str) -> None:
        """Write the end of a run of this process; where that fails, keep it aside and say so."""
        try:
            self._take(ending)
        except RunFinishedError as error:
            warn(f"{error} The end reported now, {ending.status}, was not written.")
        except (StoreError, NotFoundError) as refused:
            try:
                path = self.spool.keep(ending)
            except OSError as error:
                warn(f"The end of {reference} ({ending.status}) could not be kept: {error}.")
            else:
                warn(
                    f"{refused} The end of {reference} ({ending.status}) is kept in {path};"
                    " it is taken in when the store is opened next."
                )

    def _take(self, ending: Ending) -> None:
        self.database.finish_run(
            ending.uid,
            Status(ending.status),
            ended_at=ending.ended_at,
            error=ending.error,
            traceback=ending.traceback,
            exit_code=ending.exit_code,
        )

    def absorb_spool(self) -> None:
        """Take in the ends that were kept aside while the database could not be written."""
        if not self.database.is_writable:
            return
        for path, ending in self.spool.endings():
            try:
                self._take(ending)
            except RunFinishedError:
                pass
            except (StoreError, NotFoundError):
                continue
            path.unlink(missing_ok=True)
        self._absorb_points()

    def _absorb_points(self) -> None:
        """Take in points of runs that have ended, or whose process is gone."""
        for path in self.spool.point_files():
            run = self.database.run_by_uid(uid_of(path))
            if run is None or not _is_over(run):
                continue
            with suppress(StoreError, OSError):
                self.metrics_table.absorb(path, is_over=True)

    def mark_seen(self, uids: Iterable[str]) -> None:
        """Note that these runs are alive now."""
        self.database.mark_seen(uids)

    # Editing

    def edit(
        self,
        name: str,
        *,
        notes: str | _Unchanged | None = _UNCHANGED,
        experiment_name: str | _Unchanged = _UNCHANGED,
        author: str | None = None,
    ) -> Run:
        """Change what people write about a run; each change leaves an event.

        Args:
            name: Any name of the run.
            notes: New prose; None takes it away.
            experiment_name: The experiment to move the run to. It gets the next number there;
                its old reference keeps finding it.
            author: Who made the edit; by default the user of this process.

        Returns:
            The run as it is now.
        """
        run = self.get(name)
        who = author or current_author()
        if not isinstance(notes, _Unchanged):
            self.database.edit_notes(run.uid, check_text(notes, "notes"), who)
        if not isinstance(experiment_name, _Unchanged):
            target = names.check_experiment_name(experiment_name)
            self.database.move_run(run.uid, target, who)
        return self._kept(run.uid)

    def events(self, name: str) -> tuple[Event, ...]:
        """Return the edits of a run, oldest first."""
        return tuple(self.database.events(self.get(name).uid))

    # Reading

    def get(self, name: str) -> Run:
        """Return the one run of this name.

        Args:
            name: A reference, a uid, `mnist#7`, `mnist#-1` (the newest of mnist), `latest`,
                `mnist_7`, or an unambiguous beginning of a reference or uid.

        Raises:
            RunNotFoundError: No run answers to it.
            AmbiguousReferenceError: Several do; the error lists them.
        """
        found = self.evidence.settled(self._find(names.parse_run_name(name)))
        if not found:
            raise RunNotFoundError(
                f"There is no run {name!r} in {self.path}.",
                hint="List the runs with: runstore ls",
            )
        if len(found) > 1:
            raise _ambiguous(name, found)
        return self._with_metrics(found)[0]

    def _with_metrics(self, runs: Sequence[Run]) -> tuple[Run, ...]:
        """Let runs that were built for this caller read their metrics from here."""
        return tuple(run.reading_from(self) for run in runs)

    def _find(self, name: names.RunName) -> Sequence[Run]:
        if isinstance(name, names.Latest):
            newest = self.database.latest_run()
            return [newest] if newest else []
        if isinstance(name, names.Numbered):
            return self.database.runs_by_number(name.experiment_name, name.number)
        by_uid = self.database.run_by_uid(name.text)
        found = [by_uid] if by_uid else self.database.runs_by_reference(name.text)
        if not found and name.short is not None:
            found = self.database.runs_by_number(*name.short)
        return found or self.database.runs_by_prefix(name.text)

    def _kept(self, uid: str) -> Run:
        run = self.database.run_by_uid(uid)
        if run is None:
            raise RunNotFoundError(f"The run {uid} was deleted meanwhile.")
        return run

    def list(
        self, experiment_name: str | None = None, *, limit: int = 50, after: str | None = None
    ) -> Page[Run]:
        """Return one page of runs, newest first; within an experiment, by run number.

        The cost depends on `limit`, not on the number of runs kept.

        Args:
            experiment_name: Only runs of this experiment.
            limit: Runs per page, 1 to 1000.
            after: `next` of the page before; None begins with the newest run.

        Raises:
            UsageError: The limit is out of range, or `after` is not from a page.
            NotFoundError: There is no such experiment.
        """
        if not 1 <= limit <= PAGE_LIMIT:
            raise UsageError(f"A page has 1 to {PAGE_LIMIT} runs, not {limit}.")
        before = BEYOND_NEWEST if after is None else read_cursor(after)
        found = self.database.newest_runs(experiment_name, limit=limit + 1, before=before)
        if not found and experiment_name is not None and after is None:
            self._check_experiment(experiment_name)
        more = len(found) > limit
        found = found[:limit]
        last = write_cursor(found[-1][0]) if more else None
        settled = self.evidence.settled([run for _, run in found])
        return Page(self._with_metrics(settled), last)

    def _check_experiment(self, name: str) -> None:
        known = self.database.experiment_names()
        if name not in known:
            import difflib

            close = difflib.get_close_matches(name, known, n=1)
            raise NotFoundError(
                f"There is no experiment {name!r} in {self.path}.",
                hint=f"Did you mean {close[0]!r}?" if close else "",
            )

    def experiments(self) -> tuple[Experiment, ...]:
        """Return every experiment, the most recently run first."""
        return tuple(self.database.experiments())

    def children(self, name: str) -> tuple[Run, ...]:
        """Return the runs that were started inside this one, oldest first."""
        children = self.database.children(self.get(name).uid)
        return self._with_metrics(self.evidence.settled(children))

    # Metrics

    @functools.cached_property
    def metrics_table(self) -> MetricTable:
        """Where the points of metrics are kept."""
        from runstore.storage.metrics import MetricTable

        return MetricTable(self.database)

    def metrics_of(self, run: Run) -> tuple[MetricSummary, ...]:
        """Return a summary of each series of a run, without touching its points."""
        from runstore.reading_metrics import summaries

        return summaries(self.metrics_table, self.spool, run)

    def series_of(self, run: Run, key: str, set_name: str | None = None) -> Series:
        """Return the points of one metric of a run, up to what it logged last.

        Raises:
            NotFoundError: The run has no such metric.
        """
        from runstore.reading_metrics import series

        return series(self.metrics_table, self.spool, run, key, set_name)

    def document(self, name: str, document: str) -> str | None:
        """Return a captured text of a run: `patch`, `packages`, `untracked`; None without it."""
        return self.database.document(self.get(name).uid, document)

    def documents(self, name: str) -> tuple[str, ...]:
        """Return the names of a run's captured texts."""
        return tuple(self.database.document_names(self.get(name).uid))

    def complete(self, prefix: str, *, limit: int = 50) -> tuple[str, ...]:
        """Return references that begin so, recent ones first: what a shell offers."""
        return tuple(self.database.references_with_prefix(prefix, limit))


_shared: dict[Path, Store] = {}


def _file_identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def open_shared(location: str | os.PathLike[str] | None = None) -> Store:
    """Return this process's store of a location, opened once."""
    path = find_store(location).absolute()
    store = _shared.get(path)
    if store is None or not store.is_in_place:
        store = _shared[path] = Store.open(path)
    return store


def _is_over(run: Run) -> bool:
    if run.status.is_final or run.process is None:
        return True
    from runstore.capture.process import is_gone

    return bool(is_gone(run.process, silent_s=0.0))


def _begun(new: NewRun, number: int, reference: str) -> Begun:
    return Begun(
        uid=new.uid,
        reference=reference,
        experiment_name=new.experiment_name,
        run_number=number,
        timestamp=new.timestamp,
        started_at=from_micros(new.started_at),
        parameter_sets=new.parameter_sets,
        notes=new.notes,
        status=new.status,
    )


def _ambiguous(name: str, found: Sequence[Run]) -> AmbiguousReferenceError:
    newest = sorted(found, key=lambda run: run.started_at, reverse=True)
    same = len({run.reference for run in newest}) < len(newest)
    shown = tuple(f"{run.reference} ({run.uid})" if same else run.reference for run in newest)
    listed = ", ".join(shown[:_CANDIDATES_SHOWN])
    more = "" if len(shown) <= _CANDIDATES_SHOWN else ", …"
    return AmbiguousReferenceError(
        f"{name!r} may mean several runs: {listed}{more}.",
        candidates=shown,
        hint="Type more of the one you mean.",
    )


def current_author() -> str:
    """Return the user that edits are signed with."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"

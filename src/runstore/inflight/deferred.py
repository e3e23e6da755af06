"""Data that could not be written to the database: kept in the spool until it can."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from runstore.errors import (
    ConflictError,
    NotFoundError,
    RunFinishedError,
    RunNotFoundError,
    RunstoreError,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    StoreWarning,
    genuine,
    suppressed,
)
from runstore.inflight.records import import_record, subjects_of
from runstore.model.values import clean_text
from runstore.storage.artifacts import OutputPart, row_of_artifact, row_of_input
from runstore.storage.backend import Backend
from runstore.storage.database import PATIENCE_S
from runstore.storage.files.locks import unlock, wait_for_lock
from runstore.storage.files.objects import Contents, NotSentError
from runstore.storage.files.output import is_being_written, open_output
from runstore.storage.files.safe_files import UnsafeFileError, reader, remove_file
from runstore.storage.files.spool import Record, uid_of
from runstore.storage.rows import facts_to_text
from runstore.storage.sqlite.forks import inside_the_engine
from runstore.user_warnings import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runstore.model.artifacts import Artifact, Input, Preview
    from runstore.model.facts import Facts
    from runstore.model.params.parameter_set import ParameterSet
    from runstore.model.run import Run

# How long opening a store waits for another process that is importing its data.
_CLAIM_PATIENCE_S = 1.0
# How long opening and reading a store wait for other writers.
_READING_PATIENCE_S = 2.0


class Deferred:
    """Keeps data in the spool if the database cannot be written, and imports it later.

    `taken` are the uids of the runs whose data was imported.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.taken: set[str] = set()
        self._said: set[Path] = set()
        self._refused_said: set[Path] = set()

    # Writing to the spool

    def unless(
        self,
        write: Callable[[], object],
        keep: Callable[[StoreError | None], None],
        *,
        is_refused: bool = False,
        is_file: bool = False,
    ) -> None:
        """Write data, to the spool if the database refuses.

        After data has been kept in the spool, later data is kept there as well, because importing
        the older data would overwrite it.

        Args:
            write: Writes to the database.
            keep: Writes to the spool; receives the reason.
            is_refused: Whether to use the spool at once.
            is_file: Whether it waits for files that could not be uploaded, too.
        """
        spool = self._backend.spool
        is_next = spool.has_kept if is_file else spool.holds_back
        if is_refused or is_next or self._backend.database.driver.is_writing:
            keep(None)
            return
        try:
            with self._backend.database.driver.hurried(PATIENCE_S):
                write()
        except StoreError as error:
            keep(error)
        except RunNotFoundError as error:
            warn(
                f"{error.what} It was permanently deleted while it was running, and can no longer"
                " be recorded."
            )

    def end(
        self,
        uid: str,
        reference: str,
        ending: Mapping[str, Any],
        because: RunstoreError | None,
    ) -> bool:
        """Keep the end of a run; return whether any place accepted it."""
        what = f"the end of {reference} ({ending['status']})"
        return self._keep(uid, "end", ending, what, because)

    def artifact(
        self,
        saved: Artifact,
        preview: Preview | None,
        folder: Path | None,
        because: StoreError | None,
    ) -> None:
        """Keep an artifact, whose contents are in the store, or among the objects of a folder."""
        import base64

        body = {
            **row_of_artifact(saved),
            "objects": None if folder is None else os.fspath(folder),
            "preview": None
            if preview is None
            else [preview.media_type, base64.b64encode(preview.body).decode()],
        }
        spool = self._backend.spool
        waits_for_files = spool.has_kept and not spool.holds_back
        self._keep(
            saved.run_uid,
            "artifact",
            body,
            f"the artifact {saved.path!r}",
            because,
            apart="files" if waits_for_files or isinstance(because, NotSentError) else "",
        )

    def input(self, uid: str, used: Input, because: StoreError | None) -> None:
        """Keep an input of a run."""
        self._keep(uid, "input", row_of_input(used), f"the input {used.name!r}", because)

    def tags(
        self,
        uid: str,
        changes: Mapping[str, str | None],
        author: str,
        because: StoreError | None,
    ) -> None:
        """Keep a change of tags."""
        body = {"changes": dict(changes), "author": author}
        self._keep(uid, "tags", body, f"the tag {next(iter(changes))!r}", because)

    def params(
        self,
        uid: str,
        added: ParameterSet,
        set_name: str | None,
        author: str,
        because: StoreError | None,
        *,
        is_replacing: bool = False,
    ) -> None:
        """Keep parameters added after the start."""
        body = {
            "name": added.name,
            "hash": added.hash,
            "tree": added.tree,
            "set_name": set_name,
            "author": author,
        }
        self._keep(uid, "replaced" if is_replacing else "params", body, "parameters", because)

    def sets(self, uid: str, sets: tuple[ParameterSet, ...], because: StoreError | None) -> None:
        """Keep parameter sets that replace those of the start."""
        keys = ("file", "name", "hash", "tree")
        body = {"sets": [{key: getattr(one, key) for key in keys} for one in sets]}
        self._keep(uid, "sets", body, "parameters", because)

    def notes(self, uid: str, notes: str | None, author: str, because: StoreError | None) -> None:
        """Keep a change of notes."""
        self._keep(uid, "notes", {"notes": notes, "author": author}, "notes", because)

    def facts(
        self,
        uid: str,
        facts: Facts,
        what: str,
        because: StoreError | None,
        *,
        tell: Callable[[str], None] = warn,
    ) -> None:
        """Keep facts captured after the start; other data does not wait for them."""
        documents = {name: clean_text(body) for name, body in facts.documents.items()}
        body = {"facts": facts_to_text(facts), "documents": documents}
        self._keep(uid, "facts", body, what, because, apart="facts", tell=tell)

    def _keep(
        self,
        uid: str,
        kind: str,
        body: Mapping[str, Any],
        what: str,
        because: RunstoreError | None,
        *,
        apart: str = "",
        tell: Callable[[str], None] = warn,
    ) -> bool:
        """Write a record, with a warning about the first one of a problem; return if it is kept.

        `apart` names the later data that waits with it; by default, all does.
        """
        reason = "" if because is None else f"{because.what} "
        try:
            path = self._backend.spool.keep(uid, kind, body)
        except genuine(OSError) as error:
            tell(f"{reason}This was not recorded: {what}; {error}.")
            return False
        if apart:
            self._backend.spool.set_apart(path)
        driver = self._backend.database.driver
        if driver.is_writing:  # a signal handler or a finalizer, which must not wait
            driver.after_writing(self.take_back_quietly)
            return True
        # A loop of saves should report a problem only once.
        if path.parent not in self._said:
            self._said.add(path.parent)
            tell(
                f"{reason}Kept in {path.parent} until the store can be written again:"
                f" {what} and later {apart or 'data'}."
            )
        return True

    # Import

    def take_back_quietly(self) -> None:
        """Import records, ignoring errors; remaining ones are imported later."""
        with suppressed(RunstoreError, OSError, StoreWarning):
            self.take_records()

    def take_in(self) -> None:
        """Import all data in flight that can be imported: records, points, output."""
        patience_s = min(PATIENCE_S, _READING_PATIENCE_S)
        with self._backend.database.driver.hurried(patience_s), suppress(StoreLockedError):
            if self.take_records(_CLAIM_PATIENCE_S):
                self._take_lines()
                self._take_points()
                self._take_output()
        self._say_refused()

    def _say_refused(self) -> None:
        """Warn once about invalid files in the spool."""
        refused = self._backend.spool.refused
        new = {path: why for path, why in refused.items() if path not in self._refused_said}
        if not new:
            return
        self._refused_said |= new.keys()
        path, why = min(new.items())
        more = f" and {len(new) - 1:,} more" if len(new) > 1 else ""
        warn(
            f"In the spool, {path.name!r}{more} was ignored: {why}. It was not changed."
            " To list such files: runstore doctor."
        )

    def take_records(self, patience_s: float = 0.0) -> bool:
        """Import records; return whether the database is available.

        Others that import one are waited for, for some seconds.
        """
        driver = self._backend.database.driver
        with driver.hurried(min(PATIENCE_S, driver.patience_s)):
            answers = self._take_each_record(patience_s)
        self._backend.spool.forget_taken()
        if not self._backend.spool.has_kept:
            self._said.clear()
        return answers

    def _take_each_record(self, patience_s: float) -> bool:
        waiting: set[tuple[str, str, str]] = set()
        for record in self._backend.spool.records(is_to_take=True):
            try:
                subjects = subjects_of(record)
                if not waiting.isdisjoint(subjects):  # the older one would overwrite it
                    waiting |= subjects
                    continue
                with _claimed(record.path, patience_s) as is_ours:
                    if not is_ours:  # it would overwrite later records
                        return False
                    self._take_once(record)
            except FileNotFoundError:
                continue  # another process imported it
            except StoreLockedError:
                return False
            except genuine(NotFoundError, UnsafeFileError, StoreCorruptError):
                continue  # of another store, or refused
            except genuine(OSError):  # tried again later, as after a full disk
                waiting |= subjects
            except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
                # Invalid: it stays in place.
                self._backend.spool.refused[record.path] = str(error)
        return True

    def _take_once(self, record: Record) -> None:
        """Import a record and remove it; if it cannot be removed, mark it as imported."""
        table = self._backend.metrics
        if not table.has_seen(record.path):
            with suppress(RunFinishedError, ConflictError):  # reported before by another process
                import_record(self._backend, record)
                self.taken.add(record.uid)
        try:
            remove_file(record.path)
        except genuine(OSError):
            table.mark_seen(record.path)

    def _take_lines(self) -> None:
        """Import lines of programs whose run has ended, or whose `runstore exec` has ended."""
        for path in self._backend.spool.line_files(is_to_take=True):
            run = self._backend.database.run_by_uid(uid_of(path))
            if run is not None and is_over(run):
                with self._one_of_many(path):
                    self._backend.take_lines(self._backend, path, run)

    def _take_points(self) -> None:
        """Import points of runs that have ended, or whose process has ended."""
        for path in self._backend.spool.point_files(is_to_take=True):
            if self._is_over(uid_of(path)):
                with self._one_of_many(path):
                    self._backend.metrics.absorb(path, is_over=True)

    def _take_output(self) -> None:
        """Import output of runs that have ended, or whose process has ended."""
        for path in self._backend.spool.output_files(is_to_take=True):
            if self._is_over(uid_of(path)) and not is_being_written(path):
                with self._one_of_many(path):
                    self._take_output_file(path)

    def take_output_of(self, uid: str) -> None:
        """Import the output of a run of this process; durable on return.

        If the run was permanently removed meanwhile, its output is removed.

        Raises:
            StoreError: The database could not be written; the files are kept.
            OSError: The disk could not be written; the files are kept.
        """
        is_gone = self._backend.database.is_purged(uid)
        for path in self._backend.spool.output_files(uid, is_to_take=True):
            if is_gone:
                remove_file(path)  # as announced by the warning about its end
            elif not is_being_written(path):
                try:
                    self._take_output_file(path)
                except FileNotFoundError:
                    # A process that opened the store just now may have imported it.
                    if not self._has_output(path):
                        raise

    def _has_output(self, path: Path) -> bool:
        """Check whether a file of printed lines is among the objects."""
        taken = self._backend.artifacts.outputs_of(uid_of(path))
        return path.name in {one.part for one in taken}

    def _take_output_file(self, path: Path) -> None:
        objects = self._backend.objects
        if not self._has_output(path):
            with objects.in_use(), open_output(path) as file:
                kept: Contents = objects.keep_open(file)
                self._backend.artifacts.put_output(uid_of(path), OutputPart(path.name, *kept))
        remove_file(path)

    @contextmanager
    def _one_of_many(self, path: Path) -> Iterator[None]:
        """Leave a file that cannot be imported, and remember it if it is invalid.

        Raises:
            StoreLockedError: The others would wait as long, and in vain.
        """
        try:
            yield
            self.taken.add(uid_of(path))
        except StoreLockedError:
            raise
        except UnsafeFileError as error:
            self._backend.spool.refused[path] = error.why
        except genuine(RunstoreError, OSError):
            return

    def _is_over(self, uid: str) -> bool:
        run = self._backend.database.run_by_uid(uid)
        return run is not None and is_over(run)


@contextmanager
def _claimed(path: Path, patience_s: float) -> Iterator[bool]:
    """Claim a record for import inside the block; yield whether that succeeded.

    Raises:
        FileNotFoundError: Another process imported it.
    """
    # A child that is forked inside the block would keep the lock after this process's end.
    with inside_the_engine(), reader(path, is_ours=True) as file:
        lock = wait_for_lock(file.fileno(), patience_s=patience_s)
        try:
            if not os.path.lexists(path):
                raise FileNotFoundError(path)
            yield lock is not False
        finally:
            if lock:
                unlock(file.fileno())


def is_over(run: Run) -> bool:
    """Check whether a run has ended, or its process has provably ended."""
    if run.status.is_final or run.process is None:
        return True
    from runstore.capture.machine.process import is_gone

    return bool(is_gone(run.process, silent_s=0.0))

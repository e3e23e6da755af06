"""What the database did not take: kept in the spool, and taken in when the obstacle is gone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runstore.errors import (
    ConflictError,
    NotFoundError,
    RunFinishedError,
    RunNotFoundError,
    RunstoreError,
    StoreError,
    StoreLockedError,
    StoreWarning,
)
from runstore.model.artifacts import Artifact, Input, Preview
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.run import Run
from runstore.model.status import Status
from runstore.storage.artifacts import OutputPart
from runstore.storage.backend import Backend
from runstore.storage.database import PATIENCE_S
from runstore.storage.files.locks import unlock, wait_for_lock
from runstore.storage.files.objects import Contents, Objects
from runstore.storage.files.output import is_being_written, open_output
from runstore.storage.files.safe_files import UnsafeFileError, reader, remove_file
from runstore.storage.files.spool import Record, uid_of
from runstore.storage.late_params import add_params
from runstore.storage.rows import from_micros, to_micros
from runstore.storage.sqlite.forks import inside_the_engine
from runstore.user_warnings import warn

# How long who opens a store waits for another process that is taking in what it would read.
_CLAIM_PATIENCE_S = 1.0


class Deferred:
    """Keeps aside what the database of a store refuses, and takes it in later.

    Args:
        backend: The store.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._said: set[Path] = set()
        self._refused_said: set[Path] = set()

    # Keeping aside

    def unless(
        self,
        write: Callable[[], None],
        keep: Callable[[StoreError | None], None],
        *,
        is_refused: bool = False,
    ) -> None:
        """Write something; what the database refuses is kept aside.

        What comes after something that was kept aside is kept aside as well: it would be written
        over by what is older.

        Args:
            write: Writes it.
            keep: Keeps it aside; gets the reason.
            is_refused: Whether it cannot be written yet.
        """
        if is_refused or self._backend.spool.has_kept or self._backend.database.driver.is_writing:
            keep(None)
            return
        try:
            with self._backend.database.driver.hurried(PATIENCE_S):
                write()
        except StoreError as error:
            keep(error)
        except RunNotFoundError as error:
            warn(
                f"{error.what} It was removed for good while it went on: what it records is not"
                " kept any more."
            )

    def end(
        self,
        uid: str,
        reference: str,
        ending: Mapping[str, Any],
        because: RunstoreError | None,
    ) -> None:
        """Keep the end of a run."""
        self._keep(uid, "end", ending, f"the end of {reference} ({ending['status']})", because)

    def artifact(
        self,
        saved: Artifact,
        preview: Preview | None,
        folder: Path | None,
        because: StoreError | None,
    ) -> None:
        """Keep an artifact; its contents are in the store, or among the objects of a folder."""
        import base64

        body = {
            "path": saved.path,
            "digest": saved.digest,
            "size_bytes": saved.size_bytes,
            "media_type": saved.media_type,
            "saved_at": to_micros(saved.saved_at),
            "objects": None if folder is None else os.fspath(folder),
            "preview": None
            if preview is None
            else [preview.media_type, base64.b64encode(preview.body).decode()],
        }
        self._keep(saved.run_uid, "artifact", body, f"the artifact {saved.path!r}", because)

    def input(self, uid: str, used: Input, because: StoreError | None) -> None:
        """Keep what a run read."""
        body = {
            "name": used.name,
            "digest": used.digest,
            "size_bytes": used.size_bytes,
            "modified_at": None if used.modified_at is None else to_micros(used.modified_at),
            "location": used.location,
            "source_uid": used.source_uid,
            "used_at": to_micros(used.used_at),
        }
        self._keep(uid, "input", body, f"the input {used.name!r}", because)

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
    ) -> None:
        """Keep parameters that a run got after its start."""
        body = {
            "name": added.name,
            "hash": added.hash,
            "tree": added.tree,
            "set_name": set_name,
            "author": author,
        }
        self._keep(uid, "params", body, "parameters", because)

    def notes(self, uid: str, notes: str | None, author: str, because: StoreError | None) -> None:
        """Keep a change of notes."""
        self._keep(uid, "notes", {"notes": notes, "author": author}, "notes", because)

    def _keep(
        self,
        uid: str,
        kind: str,
        body: Mapping[str, Any],
        what: str,
        because: RunstoreError | None,
    ) -> None:
        reason = "" if because is None else f"{because.what} "
        try:
            place = self._backend.spool.keep(uid, kind, body).parent
        except OSError as error:
            warn(f"{reason}This could not be kept: {what}; {error}.")
            return
        driver = self._backend.database.driver
        if driver.is_writing:  # a signal handler or a finalizer; nothing is in the way for long
            driver.after_writing(self.take_back_quietly)
            return
        # An experiment saves in a loop; of one trouble it hears once.
        if place not in self._said:
            self._said.add(place)
            warn(
                f"{reason}Kept in {place} until the store can be written again:"
                f" {what}, and what follows."
            )

    # Taking in

    def take_back_quietly(self) -> None:
        """Take in records; what is not taken now is taken later."""
        with suppress(RunstoreError, OSError, StoreWarning):
            self.take_records()

    def take_in(self) -> None:
        """Take in whatever is in flight and can be taken: records, points, output."""
        with self._backend.database.driver.hurried(PATIENCE_S):
            if self.take_records(_CLAIM_PATIENCE_S):
                self._take_lines()
                self._take_points()
                self._take_output()
        self._say_refused()

    def _say_refused(self) -> None:
        """Warn once of files in the spool that are not as runstore writes them."""
        refused = self._backend.spool.refused
        new = {path: why for path, why in refused.items() if path not in self._refused_said}
        if not new:
            return
        self._refused_said |= new.keys()
        path, why = min(new.items())
        more = f" and {len(new) - 1:,} more" if len(new) > 1 else ""
        warn(
            f"In the spool, {path.name!r}{more} was ignored: {why}. It was left as it is."
            " To list such files: runstore doctor."
        )

    def take_records(self, patience_s: float = 0.0) -> bool:
        """Take in records; tell whether the database answers.

        Args:
            patience_s: How long to wait for another process that is taking one in.
        """
        with self._backend.database.driver.hurried(PATIENCE_S):
            answers = self._take_each_record(patience_s)
        self._backend.spool.forget_taken()
        if not self._backend.spool.has_kept:
            self._said.clear()
        return answers

    def _take_each_record(self, patience_s: float) -> bool:
        for record in self._backend.spool.records(is_to_take=True):
            try:
                with _claimed(record.path, patience_s) as is_ours:
                    if not is_ours:  # what comes after it would be overwritten by it
                        return False
                    self._take_once(record)
            except FileNotFoundError:
                continue  # another process took it
            except StoreLockedError:
                return False
            except (NotFoundError, OSError):  # of another store; or refused, as StoreError says
                continue
            except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
                # Not as we write them: it stays where it is.
                self._backend.spool.refused[record.path] = str(error)
        return True

    def _take_once(self, record: Record) -> None:
        """Take in a record and remove it; one that cannot be removed is not taken in twice."""
        table = self._backend.metrics
        if not table.has_seen(record.path):
            with suppress(RunFinishedError, ConflictError):  # told before, by whoever came first
                self._take(record)
        try:
            remove_file(record.path)
        except OSError:
            table.mark_seen(record.path)

    def _take(self, record: Record) -> None:
        body = record.body
        backend = self._backend
        if record.kind == "end":
            backend.database.finish_run(record.uid, **{**body, "status": Status(body["status"])})
        elif record.kind == "artifact":
            self._take_artifact(record)
        elif record.kind == "input":
            modified = body["modified_at"]
            times = {
                "used_at": from_micros(body["used_at"]),
                "modified_at": None if modified is None else from_micros(modified),
            }
            backend.artifacts.put_input(record.uid, Input(**{**body, **times}))
        elif record.kind == "tags":
            backend.edits.set_tags([record.uid], body["changes"], body["author"], or_trashed=True)
        elif record.kind == "notes":
            backend.edits.set_notes([record.uid], body["notes"], body["author"], or_trashed=True)
        elif record.kind == "params":
            added = ParameterSet(body["name"], body["hash"], body["tree"])
            add_params(backend.database, record.uid, added, body["set_name"], body["author"])
        else:
            raise ValueError(record.kind)

    def _take_artifact(self, record: Record) -> None:
        uid, body = record.uid, record.body
        saved = Artifact(
            run_uid=uid,
            path=body["path"],
            digest=body["digest"],
            size_bytes=body["size_bytes"],
            media_type=body["media_type"],
            saved_at=from_micros(body["saved_at"]),
        )
        preview = None
        if body["preview"] is not None:
            import base64

            kind, text = body["preview"]
            preview = Preview(media_type=kind, body=base64.b64decode(text))
        if self._backend.database.run_by_uid(uid) is None:
            raise NotFoundError(f"There is no run {uid} in this store.")
        folder = self._backend.spool.objects_of(record)
        aside = None if folder is None else Objects(folder)
        with self._backend.objects.in_use():
            if aside is not None:
                with (
                    suppress(NotFoundError),  # taken in before, up to the row
                    aside.opened(saved.digest, saved.size_bytes) as source,
                ):
                    self._backend.objects.keep_open(source)
            self._backend.artifacts.put(saved, preview)
        if aside is not None:
            aside.remove(aside.path_of(saved.digest))

    def _take_lines(self) -> None:
        """Take in lines of programs whose run has ended, or whose `runstore exec` is gone."""
        for path in self._backend.spool.line_files(is_to_take=True):
            run = self._backend.database.run_by_uid(uid_of(path))
            if run is not None and is_over(run):
                with suppress(StoreError, OSError), self._refusing(path):
                    self._backend.take_lines(self._backend, path, run)

    def _take_points(self) -> None:
        """Take in points of runs that have ended, or whose process is gone."""
        for path in self._backend.spool.point_files(is_to_take=True):
            if self._is_over(uid_of(path)):
                with suppress(StoreError, OSError), self._refusing(path):
                    self._backend.metrics.absorb(path, is_over=True)

    def _take_output(self) -> None:
        """Take in what runs printed that have ended, or whose process is gone."""
        for path in self._backend.spool.output_files(is_to_take=True):
            if self._is_over(uid_of(path)) and not is_being_written(path):
                with suppress(RunstoreError, OSError), self._refusing(path):
                    self._take_output_file(path)

    def take_output_of(self, uid: str) -> None:
        """Take in what a run of this process printed; durable on return.

        The output of a run that was removed for good meanwhile is removed.

        Raises:
            StoreError: The database did not take it; the files stay.
            OSError: The disk did not take it; the files stay.
        """
        is_gone = self._backend.database.is_purged(uid)
        for path in self._backend.spool.output_files(uid, is_to_take=True):
            if is_gone:
                remove_file(path)  # as the warning about its end says
            elif not is_being_written(path):
                try:
                    self._take_output_file(path)
                except FileNotFoundError:
                    # Whoever opened the store in this moment may have taken it in.
                    if not self._has_output(path):
                        raise

    def _has_output(self, path: Path) -> bool:
        """Tell whether a file of printed lines is among the objects."""
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
    def _refusing(self, path: Path) -> Iterator[None]:
        """Remember a file of the spool that turns out to be none of ours."""
        try:
            yield
        except UnsafeFileError as error:
            self._backend.spool.refused[path] = error.why

    def _is_over(self, uid: str) -> bool:
        run = self._backend.database.run_by_uid(uid)
        return run is not None and is_over(run)


@contextmanager
def _claimed(path: Path, patience_s: float) -> Iterator[bool]:
    """Keep other processes from taking a record within the block; tell whether it is ours.

    Raises:
        FileNotFoundError: Another process took it.
    """
    # A child that is forked within the block would keep the lock after this process's end.
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
    """Tell whether a run has ended, or its process is provably gone."""
    if run.status.is_final or run.process is None:
        return True
    from runstore.capture.machine.process import is_gone

    return bool(is_gone(run.process, silent_s=0.0))

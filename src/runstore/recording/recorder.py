"""Writing the data of this process's runs; data that cannot be written is spooled."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runstore.errors import NotFoundError, RunFinishedError, RunstoreError, StoreError
from runstore.model.facts import Facts, ProcessIdentity
from runstore.model.once import once
from runstore.model.status import Status
from runstore.recording import live_runs
from runstore.recording.readiness import INFLIGHT, INPUTS, SAVING, be_ready
from runstore.storage.backend import Backend
from runstore.storage.database import END_PATIENCE_S
from runstore.storage.new_runs import not_withdrawn
from runstore.storage.rows import from_micros
from runstore.storage.sqlite.descriptors import with_room
from runstore.storage.sqlite.paths import is_missing
from runstore.user_warnings import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runstore.artifacts.inputs import Lineage
    from runstore.artifacts.saving import Saving
    from runstore.capture.program.files import Loading
    from runstore.current import StoreBlock
    from runstore.inflight.deferred import Deferred
    from runstore.model.params.parameter_set import ParameterSet
    from runstore.recording.points.importing import PointImport


class Recorder:
    """Writes for the runs of this process.

    `unkept` are the uids of the runs whose end no disk accepted.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.unkept: set[str] = set()
        backend.let_go = self.let_go

    def let_go(self, error: BaseException | None, block: StoreBlock) -> None:
        """End the active runs of a block of the store, with an exception or without."""
        live_runs.end_with_store(self, error, block)

    @once
    def deferred(self) -> Deferred:
        """Spools data that the database cannot accept, and imports it later."""
        be_ready(INFLIGHT)
        from runstore.inflight.deferred import Deferred

        return self.backend.part(Deferred)

    @once
    def artifacts(self) -> Saving:
        """Saves artifacts."""
        be_ready(SAVING)
        from runstore.artifacts.saving import Saving

        return self.backend.part(Saving)

    @once
    def inputs(self) -> Lineage:
        """Records inputs."""
        be_ready(INPUTS)
        from runstore.artifacts.inputs import Lineage

        return self.backend.part(Lineage)

    # The end

    def write_ending(
        self,
        uid: str,
        reference: str,
        ending: Mapping[str, Any],
        *,
        answers: bool,
        points: PointImport | None = None,
    ) -> bool:
        """Write the end of a run of this process, or spool it with a warning.

        If the database has not just answered, it is not waited for again. The last points are
        imported in the same transaction. Returns whether the database can be written.
        """
        backend = self.backend
        patience_s = END_PATIENCE_S if answers and not backend.spool.has_kept else 0.0
        before = None if points is None else points.take_in_last
        try:
            with backend.database.driver.hurried(patience_s):
                with_room(lambda: backend.database.finish_run(uid, **ending, before=before))
        except RunFinishedError as error:
            if points is not None:
                points.take_in_rest()
            kept = backend.database.run_by_uid(uid)
            if kept is not None and kept.ended_at == from_micros(ending["ended_at"]):
                return True  # it was already written, then interrupted
            warn(f"{error} The end reported now, {ending['status']}, was not written.")
        except (StoreError, NotFoundError) as refused:
            if isinstance(refused, NotFoundError) and backend.database.is_purged(uid):
                if points is not None:
                    points.drop_last()
                warn(
                    f"{reference} was permanently deleted while it was running; "
                    "its end was not recorded."
                )
                return True
            if points is not None and points.leave_last(refused):
                # The points may be the reason.
                return self.write_ending(uid, reference, ending, answers=False)
            self.keep_ending(uid, reference, ending, refused)
            return isinstance(refused, NotFoundError)
        if points is not None:
            points.has_taken_last()
        return True

    def keep_ending(
        self, uid: str, reference: str, ending: Mapping[str, Any], because: RunstoreError | None
    ) -> None:
        """Spool the end of a run."""
        if not self.deferred.end(uid, reference, ending, because):
            self.unkept.add(uid)

    def reopen(self, uid: str, process: ProcessIdentity, author: str) -> None:
        """Continue an ended run of this process, with an event."""
        with self.backend.database.driver.hurried(END_PATIENCE_S):
            self.backend.database.resume_run(uid, Status.RUNNING, process, author)

    def withdraw(self, uid: str) -> None:
        """Undo a start before it is used.

        Raises:
            ConflictError: The run has ended or has recorded data; it is kept.
        """
        if self.backend.spool.point_files(uid) or self.backend.spool.output_files(uid):
            raise not_withdrawn(uid)
        with self.backend.database.driver.as_one(self._show_without):
            self.backend.database.withdraw_run(uid)

    def _show_without(self) -> None:
        if not is_missing(self.backend.list_mark):
            from runstore.store_json.lists import Lists

            for one in self.backend.part(Lists).every():
                one.write_anew_or_warn()

    def take_back(self) -> None:
        """Import the data that this process spooled, as far as possible."""
        if self.backend.spool.has_kept and self.backend.database.is_writable:
            self.deferred.take_records()

    # While it is executed

    def tag(self, uid: str, changes: Mapping[str, str | None], author: str) -> None:
        """Change tags of a run; if that fails, spool the change."""
        self.deferred.unless(
            lambda: self.backend.edits.change([uid], changes, author, of_program=True),
            lambda error: self.deferred.tags(uid, changes, author, error),
        )

    def note(self, uid: str, notes: str | None, author: str) -> None:
        """Replace the notes of a run; if that fails, spool them."""
        self.deferred.unless(
            lambda: self.backend.edits.change([uid], {}, author, notes=[notes], of_program=True),
            lambda error: self.deferred.notes(uid, notes, author, error),
        )

    def add_params(
        self,
        uid: str,
        added: ParameterSet,
        set_name: str | None,
        author: str,
        *,
        is_replacing: bool = False,
    ) -> tuple[ParameterSet, ...] | None:
        """Add parameters to a run, and return its sets; None if they were spooled instead."""
        from runstore.storage.late_params import add_params

        now: list[tuple[ParameterSet, ...]] = []
        self.deferred.unless(
            lambda: now.append(
                add_params(
                    self.backend.database,
                    uid,
                    added,
                    set_name,
                    author,
                    is_replacing=is_replacing,
                )
            ),
            lambda error: self.deferred.params(
                uid, added, set_name, author, error, is_replacing=is_replacing
            ),
        )
        return now[0] if now else None

    def replace_params(self, uid: str, sets: tuple[ParameterSet, ...]) -> None:
        """Replace the parameter sets of a run; if that fails, spool them."""
        from runstore.storage.late_params import replace_params

        self.deferred.unless(
            lambda: replace_params(self.backend.database, uid, sets),
            lambda error: self.deferred.sets(uid, sets, error),
        )

    # Facts

    def keep_late_modules(self, uid: str, loading: Loading) -> None:
        """Record the modules that the program of a run has loaded since its start."""
        from runstore.capture.surroundings import late_facts

        with self.backend.database.driver.hurried(END_PATIENCE_S):
            self.keep_facts(uid, late_facts(loading), f"modules that the run {uid} loaded")

    def keep_cells(self, uid: str) -> None:
        """Record the cells that a notebook or prompt has executed so far, with capture."""
        from runstore.capture.surroundings import session_facts

        self.keep_facts(uid, session_facts(), f"cells that the run {uid} executed")

    def keep_facts(
        self, uid: str, facts: Facts, what: str, *, tell: Callable[[str], None] = warn
    ) -> None:
        """Add facts to a run; if that fails, spool them, with a warning."""
        try:
            self.backend.database.attach_facts(uid, facts)
        except StoreError as error:
            self.deferred.facts(uid, facts, what, error, tell=tell)

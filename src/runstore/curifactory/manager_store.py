"""ManagerStore: recorded runs as a list of metadata blocks, also written to `store.json`.

Source: the documentation of `curifactory.store.ManagerStore`, which defines names and results.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from runstore.config import current_author
from runstore.curifactory.home import Home, home_at
from runstore.curifactory.managed_run import ManagedRun, forget, watch, watched
from runstore.curifactory.manager_attributes import (
    experiment_of,
    hashes_said_by,
    new_block,
    parameters_said_by,
    reference_of,
    renewed_block,
    tell_commit,
    trees_said_by,
)
from runstore.errors import (
    ServerUnreachableError,
    StoreError,
    StoreReadOnlyError,
    StoreUnavailableError,
    UsageError,
    genuine,
    suppressed,
)
from runstore.location import make_folder
from runstore.model import arguments
from runstore.model.block import NO_REPOSITORY, Block
from runstore.model.reference import check_experiment_name, new_uid
from runstore.model.values import clean_text
from runstore.storage.backend import STORE_JSON
from runstore.storage.blocks import BlockRow, BlockTable, BlockWriter
from runstore.storage.rows import now_micros
from runstore.store import Store, open_shared
from runstore.store_json.file import read_block_file, read_list
from runstore.store_json.lists import Lists, refresh_lists
from runstore.store_json.run_list import Edits, Mirror, merged, plain
from runstore.store_json.sync import trees_of
from runstore.store_json.waiting import WaitingSync
from runstore.user_warnings import warn


class ManagerStore:
    """The runs of a folder as metadata blocks: Curifactory's class on top of a database.

    Opening a folder with a `store.json` of another tool imports it. From then on the database
    beside it is authoritative, and the file is updated after every change. If the store of the
    project is on a server, so are the runs of a folder without a database.

    Args:
        manager_cache_path: The folder, created if it does not exist; or the URL of a server, for
            the folder `.runstore` of the project.

    Raises:
        StoreUnavailableError: The folder cannot be created, or is a file.
        StoreCorruptError: The database is damaged, or another program's.
    """

    def __init__(self, manager_cache_path: str | os.PathLike[str]) -> None:
        location = arguments.path(manager_cache_path, "manager_cache_path")
        if not location:
            raise UsageError(
                "The folder of a ManagerStore cannot be empty.", hint="Pass the path of a folder."
            )
        self._begin(home_at(location))

    @classmethod
    def _of(cls, home: Home) -> ManagerStore:
        """Return the runs of a home."""
        made = cls.__new__(cls)
        made._begin(home)  # noqa: SLF001 - the same class
        return made

    def _begin(self, home: Home) -> None:
        folder = home.text
        self.path = folder + ("" if folder.endswith("/") else "/") + STORE_JSON
        """The full path of `store.json`."""
        self._home = home
        self._folder = home.folder
        self._guard = threading.RLock()
        self._mirror = Mirror()
        self._seen = 0
        self._news: dict[int, BlockRow] = {}
        self._refusal: StoreError | None = None
        self._store: Store | None = None
        try:
            self._open()
        except (StoreUnavailableError, StoreReadOnlyError) as error:
            self._read_without_database(error)

    def __repr__(self) -> str:
        return f"<ManagerStore {self.path!r}>"

    def __reduce__(self) -> tuple[Callable[..., ManagerStore], tuple[Home | str]]:
        # A copy has its own edits.
        if self._home.server is None:
            return type(self), (str(self._folder),)
        home = self._home._replace(text=str(self._folder))
        return type(self)._of, (home,)  # noqa: SLF001 - the same class

    @property
    def runs(self) -> list[Block]:
        """The metadata block of each run, oldest first: plain dictionaries, to edit and `save`."""
        with self._guard:
            if self._mirror.runs is None:
                self._fill(keep_edits=True)
            return self._mirror.runs or self._no_runs()

    @runs.setter
    def runs(self, blocks: list[Block]) -> None:
        with self._guard:
            if self._mirror.runs is None:
                self._fill(keep_edits=True)
            self._mirror.runs = blocks

    def load(self) -> None:
        """Reload the runs, discarding unsaved edits of `runs`."""
        with self._guard:
            if self._store is None:
                return
            self._bring_together()
            self._fill(keep_edits=False)

    def save(self) -> None:
        """Write edits, additions and removals made in `runs`; durable on return.

        Concurrent changes by others are kept: each run is compared with its loaded state. Removed
        runs are moved to the trash of the database.

        Raises:
            StoreReadOnlyError: The folder cannot be written.
            InvalidValueError: A block is not valid JSON; nothing was saved.
        """
        with self._guard:
            with self._changing():
                pass
            self._sync.write_or_warn(file_is_wanted=True)

    def get_run(self, ref_name: str) -> tuple[Block | None, int]:
        """Return the block of the run with this reference, and its index in `runs`.

        Former references of moved runs work as well.

        Returns:
            `(None, -1)` if the reference is unknown.
        """
        with self._guard:
            self._refresh()
            names = [block.get("reference") for block in self.runs]
            for name in (ref_name, self._reference_now(ref_name)):
                if name in names:
                    index = names.index(name)
                    return self.runs[index], index
            return None, -1

    def _reference_now(self, former: str) -> str | None:
        """Return the present reference of a run with this former one."""
        if self._store is None or not isinstance(former, str):
            return None
        found = self._store.backend.database.runs_by_reference(clean_text(former))
        return found[0].reference if found else None

    def get_experiment_runs(self, experiment_name: str) -> list[Block]:
        """Return the blocks of all runs of an experiment, oldest first."""
        with self._guard:
            self._refresh()
            return [one for one in self.runs if one.get("experiment_name") == experiment_name]

    def add_run(self, mngr: Any) -> Block:
        """Record the start of a run; durable on return, in the database and in `store.json`.

        Sets `experiment_run_number`, `git_commit_hash` and `git_workdir_dirty` on the manager, and
        `reproduction_line` for a full store.

        Args:
            mngr: Any object with a manager's attributes.

        Returns:
            The run's block, which is also in `runs`.
        """
        from runstore.capture.machine.process import current_process
        from runstore.capture.surroundings import quick_facts

        name = experiment_of(mngr)
        experiment = "None" if name is None else check_experiment_name(name)
        facts = quick_facts()
        commit = facts.values.get("git.commit")
        is_dirty = facts.values.get("git.dirty")
        dialect = tell_commit(
            mngr,
            commit if isinstance(commit, str) else NO_REPOSITORY,
            # Without a repository the code is not known to be clean: dirty, as in Curifactory.
            is_dirty=is_dirty if isinstance(is_dirty, bool) else True,
        )

        def made(number: int) -> Block:
            return plain(new_block(mngr, number, dialect, self._folder / "runs"), lenient=True)

        trees = self._trees_for(mngr)
        with self._guard:
            with self._changing() as writer:
                process = current_process()
                row_id = writer.start(experiment, made, process=process, facts=facts, trees=trees)
            row = self._written(row_id)
            run = ManagedRun(self.store, row.run)
            run.params_said = parameters_said_by(mngr)
            watch(run)
            shown = self._mirror.block_of(row_id)
            return shown or self._mirror.adopt(row_id, row.block)

    def update_run(self, mngr: Any) -> Block | None:
        """Record a run's state: status, error, parameter files and sets; durable on return.

        Parameters that were added to the run itself stay, unless those of the manager changed.

        Returns:
            The run's block, or None if there is no run with the manager's reference.
        """
        reference, said = reference_of(mngr), parameters_said_by(mngr)
        with self._guard:
            with self._changing() as writer:
                row = _of_this_process(writer.rows_by_reference(reference))
                if row is None:
                    return None
                old, mine = row.block, watched(row.run.uid)
                keeps = mine is not None and mine.params_said == said
                new = renewed_block(old, mngr, self._folder / "runs", keeps_params=keeps)
                new = plain(new, lenient=True)
                if new != old:
                    trees = self._trees_for(mngr) if _has_new_sets(old, new) else {}
                    writer.change(row, new, author=current_author(), trees=trees)
            if new != old:
                row = self._written(row.id)
            if mine is not None:
                mine.params_said = said
            self._watch_or_forget(row)
            return self._mirror.adopt(row.id, row.block)

    def _trees_for(self, mngr: Any) -> dict[str, str]:
        """Return the values of a manager's parameter sets, from the manager or the registry."""
        said = trees_said_by(mngr)
        wanted = hashes_said_by(mngr) - said.keys()
        return {**trees_of(self._folder, wanted), **said} if wanted else said

    def _watch_or_forget(self, row: BlockRow) -> None:
        mine = watched(row.run.uid)
        if mine is None:
            return
        mine.execution.take_status(row.run.status)
        if mine.status.is_final:
            forget(mine)

    # Reading

    def _read_without_database(self, error: StoreError) -> None:
        """Show the file of a folder in which no database can be created; writing is refused."""
        found = None
        with suppressed(OSError):
            found = read_block_file(self._folder / STORE_JSON)
        if found is None:
            raise error
        hint = "Check the permissions of the folder, or choose another store."
        self._refusal = StoreReadOnlyError(
            f"The store at {self._home.shown} cannot be written: {error.what}",
            kept="Nothing was changed; reading still works.",
            hint=hint if self._home.server is None else error.hint,
        )
        self._mirror.fill(enumerate(found.blocks), keep_edits=False)

    def _no_runs(self) -> list[Block]:
        if self._mirror.runs is None:
            self._mirror.runs = []
        return self._mirror.runs

    def _fill(self, *, keep_edits: bool) -> None:
        if self._store is None:
            return
        self._seen = self._table.newest_change()
        self._mirror.fill(self._from_file() or self._from_database(), keep_edits=keep_edits)

    def _from_file(self) -> list[tuple[int, Block]] | None:
        """Return the runs from the file, which is faster, if it is certainly current."""
        if not self._sync.is_current():
            return None
        ids = self._table.ids()
        try:
            blocks = json.loads(read_list(self._sync.path))
        except genuine(OSError, ValueError, RecursionError):
            return None
        if not isinstance(blocks, list) or not all(isinstance(one, dict) for one in blocks):
            return None
        is_whole = self._sync.is_current() and len(blocks) == len(ids)
        return list(zip(ids, blocks, strict=True)) if is_whole else None

    def _from_database(self) -> list[tuple[int, Block]]:
        """Return the runs; those of a server that cannot be reached have negative numbers."""
        rows = [(row.id, row.block) for row in self._table.rows()]
        others = self._sync.others() if isinstance(self._sync, WaitingSync) else []
        return [*enumerate(others, -len(others)), *rows]

    def _refresh(self) -> None:
        """Show new changes by others; costs one read of a counter if there are none."""
        if self._store is None:
            return
        if self._sync.is_foreign():
            self._bring_together()
        self._seen, rows = self._table.since(self._seen)
        if rows and self._mirror.is_in_use:
            self._mirror.refresh(rows)
        if rows and self._home.server is not None:  # other machines do not write this file
            self._bring_together()

    def _bring_together(self) -> None:
        try:
            self._sync.write_or_warn()
        except StoreReadOnlyError:
            return  # reading continues; writing will report the error

    # Writing

    def _open(self) -> None:
        store = open_shared(self._home.location)
        try:
            store.backend.make()
            self._sync = store.backend.part(Lists).of_folder(self._folder)
            self._store = store
        except ServerUnreachableError as error:
            self._open_aside(store, error)
        self._table = self._sync.table
        self._bring_together()
        self._seen = self._table.newest_change()

    def _open_aside(self, store: Store, error: ServerUnreachableError) -> None:
        """Use the runs that wait on this machine, because the server cannot be reached."""
        from runstore.recording.aside import recorded_aside
        from runstore.waiting import WaitingRuns

        if self._home.server is None:
            raise error
        make_folder(self._folder)
        with recorded_aside(self._home.server, error.what):
            self._store = store.backend.part(WaitingRuns).store()
        table = BlockTable(self._store.backend.database)
        self._sync = WaitingSync(self._folder, table, is_apart=True)

    @property
    def store(self) -> Store:
        """The store with the runs; that of this machine if the server cannot be reached.

        Raises:
            StoreReadOnlyError: It cannot be written.
        """
        return self._store or self._open_store()

    def _open_store(self) -> Store:
        if self._store is None:
            raise self._refusal or StoreReadOnlyError(f"{self.path} cannot be written.")
        if not self._store.backend.is_in_place:
            # SQLite would keep writing to the unlinked file.
            self._open()
            self._mirror = Mirror()
            warn(f"The database in {self._folder} was deleted; its replacement is used.")
        return self._store

    @contextmanager
    def _changing(self) -> Iterator[BlockWriter]:
        """Import the file, write the user's edits and the caller's change, and write the file."""
        database = self._open_store().backend.database
        self._sync.take_in_or_warn()
        edits = self._mirror.edits() if self._mirror.is_in_use else Edits()
        with database.driver.as_one(self._show_changes):
            with self._table.write() as writer:
                settled = self._apply(writer, edits)
                yield writer
            for row_id, block, stored in settled:
                self._mirror.settle(row_id, block, stored)
            for row_id, _ in edits.removed:
                self._mirror.forget(row_id)
        self._seen, rows = self._sync.news(self._seen)
        if self._mirror.is_in_use:
            self._mirror.refresh(rows)
        self._news = {row.id: row for row in rows}
        if edits:
            self._mirror.put_in_order()

    def _show_changes(self) -> None:
        self._sync.write_or_warn(has_changed=True)
        if self._home.server is not None:  # other folders may have a list of its runs
            refresh_lists(self._open_store().backend, but=self._sync)

    def _written(self, row_id: int) -> BlockRow:
        """Return a run as left by the last change."""
        return self._news.get(row_id) or self._table.row(row_id)

    def _apply(self, writer: BlockWriter, edits: Edits) -> list[tuple[int, Block, Block]]:
        """Apply the user's edits to the present contents of the store."""
        settled = []
        author = current_author()
        if min((*(one[0] for one in edits.changed), *(one[0] for one in edits.removed), 0)) < 0:
            warn("Edits of runs on the server were not saved: it cannot be reached.")
        for row_id, before, now in edits.changed:
            row = writer.row(row_id)
            if row is None or row.is_deleted:
                continue
            new = merged(row.block, before, plain(now))
            writer.change(row, new, author=author)
            settled.append((row_id, now, _present(writer, row_id).block))
        seen_at = now_micros()
        trees = trees_of(self._folder) if edits.added else {}
        for block in edits.added:
            row_id = writer.add(plain(block), seen_at=seen_at, trees=trees)
            settled.append((row_id, block, _present(writer, row_id).block))
        operation = new_uid()
        for row_id, before in edits.removed:
            row = writer.row(row_id)
            # If the run was changed by others meanwhile, it returns to the list instead.
            if row is not None and not row.is_deleted and row.block == before:
                writer.soft_delete(row_id, author, operation)
        return settled


def _present(writer: BlockWriter, row_id: int) -> BlockRow:
    row = writer.row(row_id)
    if row is None:
        raise RuntimeError(f"row {row_id} vanished within its own transaction")
    return row


def _of_this_process(rows: list[BlockRow]) -> BlockRow | None:
    """Choose among runs with one reference: the one begun by this process, else the first."""
    kept = [row for row in rows if not row.is_deleted]
    mine = [row for row in kept if watched(row.run.uid) is not None]
    return next(iter(mine or kept), None)


def _has_new_sets(old: Block, new: Block) -> bool:
    return any(old.get(key) != new.get(key) for key in ("params", "args"))

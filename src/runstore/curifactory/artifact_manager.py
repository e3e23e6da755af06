"""ArtifactManager: a live run with the attributes of a Curifactory manager.

Source: `curifactory.manager.ArtifactManager`, by the attributes in its documentation; those of the
metadata block have the names of 0.5 to 0.7, like the keys of the block.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from runstore.capture.program.command import own_words
from runstore.curifactory.home import home_at
from runstore.curifactory.managed_run import ManagedRun, watched_as
from runstore.curifactory.manager_attributes import parameters_said_by, trees_said_by
from runstore.curifactory.manager_store import ManagerStore
from runstore.errors import RunstoreError, StoreError, UsageError, genuine, shown
from runstore.model import arguments
from runstore.model.block import (
    INCOMPLETE,
    PAGE,
    WORD_OF_STATUS,
    Block,
    block_from_run,
    fields_from_block,
    sets_of_files,
    status_of_word,
    with_values,
)
from runstore.model.params.build import parameter_sets
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.reference import TIMESTAMP_FORMAT, build_reference, folder_name
from runstore.model.status import REPORTED, Status
from runstore.model.values import check_text
from runstore.recording.active import ActiveRun, current_run
from runstore.storage.backend import RUNS
from runstore.storage.files.safe_files import levels_below, make_folder, write_whole
from runstore.storage.sqlite.paths import make_folders
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from typing_extensions import Self

BLOCK_FILE = "block.json"


class ArtifactManager:
    """A run of an experiment, for code that works with managers and metadata blocks.

    The first call of `store()` adds the run, later calls record its state. As a context manager,
    entering adds the run and leaving ends it: as `complete`, as `error` with the error's text, or
    as interrupted by Ctrl-C and SIGTERM.

    Args:
        experiment_name: The experiment.
        store_full: Whether the run has a folder of plain files.
        manager_cache_path: The folder with `store.json`; None for the store of the project.
        notes: Notes.
        run_line: The command line to record; None for that of this process.
        params: Parameters as for `Store.start`; can be set later with `set_params`.
        runs_path: The parent of full stores' folders; None for `runs` beside `store.json`.

    Attributes:
        experiment_run_number: Number within the experiment; 0 until the run is added.
        run_timestamp: Start time, with the local time zone.
        experiment_args_file_list: Names of parameter files.
        experiment_args: By parameter file, `[name, hash]` of each set.
        parameter_sets: Sets with their values, if known.
        status: `incomplete`, `complete`, `pruned` or `error`; can be set before `store()`.
        error: The error message, if any.
        git_commit_hash: Set when the run is added; empty until then.
        git_workdir_dirty: Whether the work tree had changes; set when the run is added.
        hostname: The machine.
        reproduction_line: The command that repeats a full store's run; empty for others.
        run_info: The metadata block as last written; None until the run is added.
        run: The run itself; None until it is added.
    """

    # Curifactory recognises its versions by attributes; this one writes the keys of the page.
    _runstore_dialect = PAGE

    def __init__(
        self,
        experiment_name: str,
        store_full: bool = False,  # noqa: FBT001, FBT002 - positional as in Curifactory, for existing code
        *,
        manager_cache_path: str | os.PathLike[str] | None = None,
        notes: str | None = "",
        run_line: str | None = None,
        params: Any = None,
        runs_path: str | os.PathLike[str] | None = None,
    ) -> None:
        self.experiment_name = experiment_name
        self.experiment_run_number = 0
        self.run_timestamp = datetime.now().astimezone()
        self.store_full = store_full
        self.notes = check_text(notes, "notes")
        run_line = check_text(run_line, "run_line")
        self.run_line = shlex.join(own_words()) if run_line is None else run_line
        self.hostname = socket.gethostname()
        self.status = INCOMPLETE
        self.error: str | None = None
        self.git_commit_hash = ""
        self.git_workdir_dirty: bool | None = None
        self.reproduction_line = ""
        folder = "" if manager_cache_path is None else manager_cache_path
        self._home = home_at(arguments.path(folder, "manager_cache_path"))
        self.manager_cache_path = self._home.text
        folder = "" if runs_path is None else runs_path
        self.runs_path = arguments.path(folder, "runs_path") or os.path.join(  # noqa: PTH118 - a relative path stays as it was passed
            self.manager_cache_path, RUNS
        )
        self.run: ActiveRun | None = None
        self.run_info: Block | None = None
        self._folder = self._home.folder
        self._runs_folder = Path(self.runs_path).absolute()
        self._manager_store: ManagerStore | None = None
        self._entered_in: int | None = None
        self._written_notes = notes
        self.set_params(params)

    @classmethod
    def of_run(cls, run: ActiveRun, *, runs_folder: str | os.PathLike[str] | None = None) -> Self:
        """Return a manager for a run that has begun; its creator ends it.

        `store()` then only writes notes. As a context manager it ends the run, unless the run's
        own block is active.

        Args:
            run: The run.
            runs_folder: The parent of full stores' folders; None for `runs` in the store.
        """
        if not isinstance(run, ActiveRun):
            raise UsageError(
                f"Expected a run that is being executed here, got {shown(run)}.",
                hint="Pass the result of start_run.",
            )
        record = run.record
        manager = cls.__new__(cls)
        ArtifactManager.__init__(
            manager,
            record.experiment_name,
            store_full=record.full_store,
            manager_cache_path=run.store.path,
            notes=record.notes or "",
            run_line=record.cli or "",
            params=record.parameter_sets,
            runs_path=runs_folder,
        )
        manager.experiment_run_number = record.run_number
        manager.run_timestamp = record.started_at.astimezone()
        manager.hostname = record.hostname or manager.hostname
        manager.git_commit_hash = record.commit or ""
        manager.git_workdir_dirty = record.workdir_dirty
        manager.reproduction_line = record.reproduce or ""
        manager.run = run
        return manager

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.get_reference_name()!r} {self.status}>"

    # Names and paths

    def get_str_timestamp(self) -> str:
        """Return the start as local wall time, in the format of references."""
        return self.run.timestamp if self.run else self.run_timestamp.strftime(TIMESTAMP_FORMAT)

    def get_reference_name(self) -> str:
        """Return `<experiment>_<run number>_<timestamp>`; the number is 0 until it is added."""
        if self.run is not None:
            return self.run.reference
        number = self.experiment_run_number
        return build_reference(self.experiment_name, number, self.get_str_timestamp())

    @property
    def run_output_path(self) -> Path:
        """The folder of plain files of this run; it exists for a full store."""
        return self._runs_folder / folder_name(self.get_reference_name())

    def get_run_output_path(self, obj_name: str | None = None) -> str:
        """Return the folder of this run, or a path in it, creating the folders.

        The path is relative if it is below the working directory.
        """
        path = self.run_output_path
        if obj_name is not None:
            path /= arguments.path(obj_name, "obj_name")
        folder = path if obj_name is None else path.parent
        if levels := levels_below(folder, self._folder):
            make_folder(folder, levels=levels)
        else:
            make_folders(folder)
        here = Path.cwd()
        return str(path.relative_to(here) if path.is_relative_to(here) else path)

    # Parameters

    def set_params(self, params: Any) -> None:
        """Set the parameter sets of the run; `store()` writes them.

        Args:
            params: A mapping or dataclass of values, one `ParameterSet`, or several of these.
        """
        self.parameter_sets: tuple[ParameterSet, ...] = parameter_sets(params)
        files, sets = sets_of_files(self.experiment_name, self.parameter_sets)
        self.experiment_args_file_list: Sequence[str] = files
        self.experiment_args: dict[str, list[list[str]]] = sets

    # Writing

    def store(self) -> None:
        """Add the run, or record its state: status, error, parameters, notes.

        Durable on return. The end of a run started by `runstore run` is not written here.

        Raises:
            StoreError: The store could not be written.
        """
        if self.run is None:
            self._add()
        elif self._manager_store is not None:
            self._write_notes(self.run)
            self.run_info = self._manager_store.update_run(self)
        else:
            self._write_notes(self.run)
        self._write_block_file()

    def _add(self) -> None:
        kept = self._manager_store = ManagerStore._of(self._home)  # noqa: SLF001 - the same room
        self.run_info = kept.add_run(self)
        run = self.run = watched_as(self.run_info["reference"], kept.store)
        if run is not None:
            run.capture_the_rest()
        if self.status != INCOMPLETE:
            self.run_info = kept.update_run(self)

    def _write_notes(self, run: ActiveRun) -> None:
        if self.notes != self._written_notes:
            run.edit(notes=self.notes)
            self._written_notes = self.notes

    def _write_block_file(self) -> None:
        """Write the block of a full store to its folder too; a failure only warns."""
        if not (self.store_full and self.run_info and self._manager_store):
            return
        try:
            path = Path(self.get_run_output_path(BLOCK_FILE)).absolute()
            text = json.dumps(self.run_info, indent=2) + "\n"
            write_whole(path, text, levels=levels_below(path.parent, self._folder))
        except genuine(OSError) as error:
            warn(f"The folder of {self.get_reference_name()} is incomplete: {error}.")

    # Context manager

    def __enter__(self) -> Self:
        if self.run is None:
            self.store()
        if self.run is not None and current_run() is not self.run:
            self.run.__enter__()
            self._entered_in = os.getpid()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        run = self.run
        # A forked child leaves its copy of the block too, but the run is its parent's.
        if run is None or self._entered_in != os.getpid():
            return
        self._entered_in = None
        if error is not None:
            self.status = INCOMPLETE  # the exception determines the end
        try:
            self._store_last(run)
        except RunstoreError as refused:
            warn(f"The last changes of {self.get_reference_name()} were not recorded: {refused}")
        run.__exit__(kind, error, trace)
        self._tell_end(run)

    def _store_last(self, run: ActiveRun) -> None:
        """Record the state before the end, in the spool if the database cannot be written."""
        # Otherwise, a new database would replace one whose folder was moved.
        if run.store.backend.is_in_place:
            try:
                self.store()
            except StoreError:
                pass
            else:
                return
        self._write_notes(run)
        if not isinstance(run, ManagedRun):
            return
        if run.params_said != parameters_said_by(self):
            sets = fields_from_block({PAGE.sets_key: self.experiment_args}).parameter_sets
            run.execution.replace_params(with_values(sets, trees_said_by(self)))
        if (said := status_of_word(self.status)) in REPORTED:
            run.finish(said, error=self.error if said is Status.ERROR else None)

    def _tell_end(self, run: ActiveRun) -> None:
        self.status = WORD_OF_STATUS[run.status]
        try:
            record = run.record
        except RunstoreError:
            return  # the end is in the spool, as a warning has reported
        self.error = record.error
        self.run_info = block_from_run(record)
        self._write_block_file()

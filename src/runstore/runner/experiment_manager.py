"""The manager of an experiment's `run(params, manager)`: its run, and files shared by runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runstore.artifacts.serializers import name_of_file
from runstore.curifactory.artifact_manager import ArtifactManager
from runstore.errors import UsageError
from runstore.model.artifacts import artifact_path
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.reference import folder_name
from runstore.storage.files.temporary import temporary_folder
from runstore.storage.files.unfinished import UnfinishedFolder, written_whole
from runstore.storage.sqlite.paths import make_folders, sync_folder
from runstore.value_classes import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions:
    """The cache of files shared by runs: only read, or with every file created anew."""

    folder: Path
    is_dry: bool = False
    overwrite: bool = False


class ExperimentManager(ArtifactManager):
    """A run with the attributes a manager has, and with files that later runs can reuse.

    `artifacts_path` is the folder of its own files; None without `--store-full`. Files of a cache
    that is only read are in a temporary folder until `remove_temporary_files`.
    """

    cache: CacheOptions
    artifacts_path: Path | None = None
    _current_set: ParameterSet | None = None
    _temporary: UnfinishedFolder | None = None

    def remove_temporary_files(self) -> None:
        """Remove the files of `cached` that neither the cache nor the run keeps."""
        if self._temporary is not None:
            self._temporary.remove()

    def begin_set(self, one: ParameterSet | None) -> None:
        """Set the current parameter set; None for all together."""
        self._current_set = one

    def log(self, metrics: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Log metrics of the current parameter set, or of the run if it has all sets at once.

        See `ActiveRun.log`.

        Raises:
            UsageError: The manager has no run.
        """
        if self.run is None:
            raise UsageError("The manager has no run to log to.")
        one = self._current_set
        log = self.run.log if one is None else self.run.of_set(one.name).log
        log({} if metrics is None else metrics, **more)

    def save(self, name: str, source: Any = None, *, media_type: str | None = None) -> None:
        """Keep a file or an object with the run; that of a parameter set below the set's name.

        See `ActiveRun.save`.

        Raises:
            UsageError: The manager has no run.
        """
        if self.run is None:
            raise UsageError("The manager has no run to save to.")
        path = name_of_file(name) if source is None else name
        source = name if source is None else source
        if self._current_set is not None and len(self.parameter_sets) > 1:
            path = f"{folder_name(self._current_set.name)}/{artifact_path(path)}"
        self.run.save(path, source, media_type=media_type)

    def cached(self, name: str, make: Callable[[Path], object]) -> Path:
        """Return a file that is slow to create: that of an earlier run, or a new one.

        The hash of the current parameter set is part of its path, so other values have another
        file. `make` is called with the path to write. A full store keeps a copy of each.

        Args:
            name: File name, e.g. `model.json`.
            make: Writes the file.

        Raises:
            UsageError: The name leads out of the folder, or `make` wrote no file.
        """
        place = self._place(name)
        kept = self.cache.folder / place
        if kept.is_file() and not kept.is_symlink() and not self.cache.overwrite:
            return self._copied(kept, place)
        target = self._target(place)
        make_folders(target.parent)
        with written_whole(target) as aside:
            make(aside)
            if not aside.is_file():
                raise UsageError(f"Nothing was written for {name!r}.", hint="Write to the path.")
            with aside.open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(target.parent)
        return self._copied(target, place)

    def _place(self, name: str) -> Path:
        given = Path(name)
        if not name or given.is_absolute() or ".." in given.parts or "\0" in name:
            raise UsageError(
                f"{name!r} leads out of the run's folder.", hint="Use a relative file name."
            )
        return Path(self._current_set.hash if self._current_set else "all") / given

    def _target(self, place: Path) -> Path:
        if not self.cache.is_dry:
            return self.cache.folder / place
        if self.artifacts_path is not None:
            return self.artifacts_path / place
        self._temporary = self._temporary or temporary_folder()
        return self._temporary.path / place

    def _copied(self, file: Path, place: Path) -> Path:
        """Return the copy in the run's own folder, if it has one."""
        import shutil

        if self.artifacts_path is None:
            return file
        copy = self.artifacts_path / place
        if file != copy:
            make_folders(copy.parent)
            shutil.copy2(file, copy)
        return copy

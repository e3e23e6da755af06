"""Reading of artifacts: opened as files, or downloaded to a folder."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any

from runstore import current
from runstore.errors import (
    InvalidValueError,
    NotFoundError,
    RunstoreError,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
    UsageError,
    genuine,
    quoted,
)
from runstore.model import arguments
from runstore.model.artifacts import Artifact, Input, artifact_path, why_no_name
from runstore.model.display.formatting import counted
from runstore.storage.backend import Backend
from runstore.storage.files.unfinished import UnfinishedFolder
from runstore.storage.sqlite.paths import is_file
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from runstore.model.run import Run

_READ_MODES = {"r", "rt", "rb"}
_NAMES_TOLD = 10
_ASIDE = ".runstore-download-"


class Reading:
    """Reads the artifacts of the runs of one store; a run that reads them has them as inputs."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._seen: set[str] = set()

    def of_run(self, run: Run) -> dict[str, Artifact]:
        """Return the artifacts of a run, by path."""
        return {one.path: one for one in self._backend.artifacts.of_run(run.uid)}

    def open(
        self, run: Run, path: str | Artifact | os.PathLike[str], mode: str, encoding: str | None
    ) -> IO[Any]:
        """Open the contents of an artifact; see `Run.open`."""
        mode = arguments.text(mode, "mode", "rb")
        if mode not in _READ_MODES:
            raise InvalidValueError(
                f"Expected the mode 'rb' or 'r', got {mode!r}.",
                kept="The artifact was not changed.",
                hint="To change an artifact, save it again.",
            )
        one = self._one(run, path)
        file = self._backend.objects.opened(one.digest, one.size_bytes)
        self._note_use(run, [one])
        return file if mode == "rb" else io.TextIOWrapper(file, encoding=encoding or "utf-8")

    def download(
        self,
        run: Run,
        path: str | Artifact | os.PathLike[str] | None,
        to: str | os.PathLike[str],
        *,
        link: bool,
    ) -> tuple[Path, ...]:
        """Write artifacts to a folder; see `Run.download`."""
        wanted = _with_names(self._wanted(run, path))
        folder = Path(arguments.path(to, "to"))
        if is_file(folder):
            raise UsageError(
                f"{folder} is a file, and artifacts are written to a folder.",
                kept="Nothing was written.",
                hint="Pass a folder, such as its parent.",
            )
        written: dict[Path, Artifact] = {}
        lost: dict[str, RunstoreError] = {}
        asides = _Asides(self._seen)
        try:
            # The files of a folder together: beginning in a folder takes as long as listing it.
            for one in sorted(wanted, key=_folder_of):
                target = folder / one.path
                try:
                    self._write(one, target, folder, asides, link=link)
                    written[target] = one
                except (NotFoundError, StoreCorruptError) as error:
                    lost[one.path] = error
                except StoreError:
                    raise
                except genuine(OSError) as error:
                    files = counted(len(written), "file was", "files were")
                    raise StoreUnavailableError(
                        f"{target} could not be written: {error.strerror or error}.",
                        kept=f"{files} written; the store was not changed.",
                        hint="Check the folder and the free space on its disk, then try again.",
                    ) from error
        finally:
            asides.remove()
            self._note_use(run, [*written.values()])
        if lost:
            raise _not_whole(run, lost, len(written))
        return tuple(folder / one.path for one in wanted)

    def _write(
        self, one: Artifact, target: Path, folder: Path, asides: _Asides, *, link: bool
    ) -> None:
        """Write a file atomically, replacing an existing one; folders are created."""
        _check_inside(target, folder)
        with self._backend.objects.opened(one.digest, one.size_bytes) as file:
            aside = asides.beside(target)
            self._backend.objects.copy_to(one.digest, file, aside, link=link)
        aside.replace(target)

    def _one(self, run: Run, path: object) -> Artifact:
        path = _path_in(run, path)
        names = path, _spelled(path)
        found = self._named(run, *names)
        if not found or found[0].path not in names:
            raise _no_artifact(run, path, self.of_run(run))
        return found[0]

    def _wanted(self, run: Run, path: object) -> Sequence[Artifact]:
        if path is None:
            return self._backend.artifacts.of_run(run.uid)
        path = _path_in(run, path)
        found = self._named(run, _spelled(path.rstrip("/") or path))
        if not found:
            is_place = os.path.isabs(path)  # noqa: PTH117 - a text
            to = "To write to a folder, pass --to (in Python, to=...)." if is_place else None
            raise _no_artifact(run, path, self.of_run(run), instead=to)
        return found

    def _named(self, run: Run, *names: str) -> Sequence[Artifact]:
        """Return the artifact with one of these paths, or those in such a folder."""
        for name in names:
            if found := self._backend.artifacts.at(run.uid, name):
                return found
        # A damaged path is not found by the text that is displayed for it.
        return [one for one in self.of_run(run).values() if one.path in names]

    def _note_use(self, run: Run, wanted: Sequence[Artifact]) -> None:
        """Record these artifacts as inputs of the run that reads them."""
        reader = current.innermost()
        if reader is None or reader.uid == run.uid or reader.store_path != self._backend.home:
            return
        from runstore.artifacts.inputs import Lineage

        for one in wanted:
            self._backend.part(Lineage).note(
                reader.uid,
                Input(
                    name=f"{run.reference}/{one.path}",
                    digest=one.digest,
                    size_bytes=one.size_bytes,
                    modified_at=one.saved_at,
                    location=None,
                    source_uid=run.uid,
                    used_at=datetime.now(timezone.utc),
                ),
            )


class _Asides:
    """A folder for unfinished files, in the folder of the file that is being written.

    Args:
        seen: Folders without files of killed downloads, to which new ones are added. Looking for
            such files takes as long as listing the folder.
    """

    def __init__(self, seen: set[str]) -> None:
        self._seen = seen
        self._folder: UnfinishedFolder | None = None

    def beside(self, target: Path) -> Path:
        """Return a new path on the disk of a file; the folders above the file are created."""
        if self._folder is None or self._folder.path.parent != target.parent:
            self.remove()
            target.parent.mkdir(parents=True, exist_ok=True)
            place = os.path.abspath(target.parent)  # noqa: PTH100 - a text
            is_known = place in self._seen
            self._folder = UnfinishedFolder(target.parent, _ASIDE, removes_others=not is_known)
            self._seen.add(place)
        return self._folder.path / os.urandom(8).hex()

    def remove(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.remove()


def _folder_of(one: Artifact) -> str:
    return one.path.rpartition("/")[0]


def _path_in(run: Run, path: object) -> str:
    """Return the path of an artifact of a run, which may be passed as `Artifact`."""
    if isinstance(path, Artifact):
        if path.run_uid != run.uid:
            raise InvalidValueError(
                f"The artifact {path.path!r} does not belong to {run.reference}.",
                hint="Read it from the run that saved it.",
            )
        return path.path
    return arguments.text(
        path.as_posix() if isinstance(path, PurePath) else path, "path", "plots/loss.png"
    )


def _spelled(path: str) -> str:
    """Return the canonical spelling of a path; as it is if no artifact can be called so."""
    return path if why_no_name(path) is not None else artifact_path(path)


def _with_names(wanted: Sequence[Artifact]) -> list[Artifact]:
    """Return the artifacts whose names are valid file names, with a warning that names the others.

    Raises:
        InvalidValueError: There are none.
    """
    reasons = {one.path: why_no_name(one.path) or _why_not_here(one.path) for one in wanted}
    wrong = {path: why for path, why in reasons.items() if why is not None}
    if not wrong:
        return list(wanted)
    from runstore.model.display.suggestions import some_of

    names = some_of([f"{path!r:.100} (it {why})" for path, why in wrong.items()], _NAMES_TOLD)
    told = f"Artifacts without a valid file name cannot be written to a folder: {names}."
    if len(wrong) == len(wanted):
        raise InvalidValueError(told, kept="Nothing was written.", hint="Print it with --to -.")
    warn(told)
    return [one for one in wanted if one.path not in wrong]


def _why_not_here(path: str) -> str | None:
    """Return why a valid name cannot be that of a file of this process; None if it can."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return f"cannot be written in {sys.getfilesystemencoding()}, as file names are here"
    return None


def _not_whole(run: Run, lost: dict[str, RunstoreError], written: int) -> RunstoreError:
    """Return the error for contents that are missing or damaged, after writing the others."""
    from runstore.model.display.suggestions import some_of

    first = next(iter(lost.values()))
    names = some_of([f"{path!r:.100}" for path in lost], _NAMES_TOLD)
    return type(first)(
        f"{run.reference}: {names} could not be written. {first.what}",
        kept=f"Other files written: {written}." if written else "Nothing was written.",
        hint=first.hint,
    )


def _check_inside(target: Path, folder: Path) -> None:
    """Refuse to write through a link that leads out of the folder."""
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise InvalidValueError(
            f"{str(target)!r} leads out of {str(folder)!r} through a link.",
            kept="Nothing was written there.",
            hint="Choose another folder.",
        )


def _no_artifact(
    run: Run, path: str, known: dict[str, Artifact], *, instead: str | None = None
) -> NotFoundError:
    """Return the error for an unknown artifact, with a hint instead of the list of the others."""
    from runstore.model.display.suggestions import hint_of

    return NotFoundError(
        f"{run.reference} has no artifact {quoted(path)}.",
        hint=hint_of(path, known, who="It has", most=10, otherwise=instead),
    )

"""Artifacts of a store: saving, reading, and recording of inputs."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from runstore import current
from runstore.artifacts import previews
from runstore.artifacts.folders import files_in
from runstore.artifacts.serializers import drawn, is_text, name_of_file, written_by
from runstore.errors import (
    ConflictError,
    InvalidValueError,
    NotFoundError,
    RunstoreError,
    StoreError,
    StoreLockedError,
    StoreUnavailableError,
)
from runstore.inflight.deferred import Deferred
from runstore.model import arguments
from runstore.model.artifacts import (
    Artifact,
    Input,
    Preview,
    artifact_path,
    media_type_of,
    why_no_name,
)
from runstore.model.values import clean_text
from runstore.storage.artifacts import FileFacts, Noted
from runstore.storage.backend import Backend
from runstore.storage.database import PATIENCE_S
from runstore.storage.files.objects import Contents, Objects, hashed
from runstore.storage.files.spool import OBJECTS
from runstore.storage.rows import from_micros
from runstore.storage.sqlite.descriptors import with_room
from runstore.user_warnings import warn

if TYPE_CHECKING:
    from runstore.model.run import Run

_READ_MODES = {"r", "rt", "rb"}
# A file that changed just now may change again without a new time.
_SETTLED_NS = 2_000_000_000
_NAME_LIMIT = 1024

Keep = Callable[[Objects], Contents]


class Artifacts:
    """The artifacts and inputs of the runs of one store.

    Args:
        backend: The store.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.table = backend.artifacts
        self.objects = backend.objects

    # Saving

    def save(
        self, uid: str, name: Any, source: Any = None, *, media_type: str | None = None
    ) -> tuple[Artifact, ...]:
        """Save a file, a folder, bytes, a stream or an object; see `ActiveRun.save`.

        Returns:
            The saved artifacts; empty, after a warning, if every disk refused them.
        """
        media_type = arguments.text_or_none(media_type, "media_type", "image/png")
        path, source = _named(name, source)
        if not isinstance(source, Path):
            return self._save_one(uid, path, _kept_by(source, path), media_type, source)
        if not source.is_dir():
            return self._save_one(uid, path, _keeping(source), media_type)
        return self._save_folder(uid, path, source)

    def keep(self, uid: str, name: Any, source: Any = None) -> list[Noted]:
        """Store the contents of artifacts for a run that is not recorded yet; see `save`.

        Entries of a folder that cannot be stored cause a warning. Call this inside
        `objects.in_use()`.

        Raises:
            OSError: The disk is full.
        """
        path, source = _named(name, source)
        if not isinstance(source, Path):
            kept = _kept_by(source, path)(self.objects)
            return [_noted(uid, path, self.objects, kept, None, source)]
        if not source.is_dir():
            return [_noted(uid, path, self.objects, self.objects.keep_file(source), None)]
        found = files_in(source, without=self._backend.path)
        noted: list[Noted] = []
        for inner, file in found.files:
            why = why_no_name(f"{path}/{inner}")
            if why is None:
                kept = self.objects.keep_file(file)
                noted.append(_noted(uid, f"{path}/{inner}", self.objects, kept, None))
            else:
                found.left_out.append((inner, why))
        if found.left_out or not found.files:
            warn(f"{found.told(source)} {_counted(len(noted))} saved.")
        return noted

    def _save_folder(self, uid: str, path: str, folder: Path) -> tuple[Artifact, ...]:
        """Save the files of a folder; warn if some cannot be saved."""
        found = files_in(folder, without=self._backend.path)
        saved: list[Artifact] = []
        for inner, file in found.files:
            why = why_no_name(f"{path}/{inner}")
            if why is None:
                try:
                    saved += self._save_one(uid, f"{path}/{inner}", _keeping(file), None)
                except ConflictError as error:
                    if not saved:
                        raise
                    why = str(error.args[0])
            if why is not None:
                found.left_out.append((inner, why))
        if found.left_out:
            warn(f"{found.told(folder)} {_counted(len(saved))} saved.")
        elif not found.files:
            warn(f"The folder {str(folder)!r} contains no files; nothing was saved.")
        return tuple(saved)

    def _save_one(
        self, uid: str, path: str, keep: Keep, media_type: str | None, thing: Any = None
    ) -> tuple[Artifact, ...]:
        with ExitStack() as stack:
            try:
                stack.enter_context(self.objects.in_use())
            except StoreLockedError:
                return self._save_to(self._kept_aside, uid, path, keep, media_type, thing)
            return self._save_to(self._kept, uid, path, keep, media_type, thing)

    def _save_to(
        self,
        place: Callable[[Keep], tuple[Objects, Contents]],
        uid: str,
        path: str,
        keep: Keep,
        media_type: str | None,
        thing: Any,
    ) -> tuple[Artifact, ...]:
        try:
            objects, kept = place(keep)
        except OSError as error:
            warn(f"The artifact {path!r} could not be saved: {error.strerror or error}.")
            return ()
        saved, preview = _noted(uid, path, objects, kept, media_type, thing)
        is_here = objects is self.objects
        self._backend.part(Deferred).unless(
            lambda: self.table.put(saved, preview),
            lambda error: self._backend.part(Deferred).artifact(
                saved, preview, None if is_here else objects.folder, error
            ),
            is_refused=not is_here,
        )
        return (saved,)

    def _kept(self, keep: Keep) -> tuple[Objects, Contents]:
        """Store contents in the store, or in the user's private folder if that fails."""
        try:
            return self.objects, with_room(lambda: keep(self.objects))
        except StoreError:
            raise
        except OSError as refused:
            try:
                return self._kept_aside(keep)
            except OSError:
                raise refused from None

    def _kept_aside(self, keep: Keep) -> tuple[Objects, Contents]:
        """Store contents in the user's private folder until they can be moved to the store."""
        aside = Objects(self._backend.spool.own_place() / OBJECTS)
        return aside, with_room(lambda: keep(aside))

    # Reading

    def of_run(self, run: Run) -> dict[str, Artifact]:
        """Return the artifacts of a run, by path."""
        return {one.path: one for one in self.table.of_run(run.uid)}

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
        file = self.objects.opened(one.digest, one.size_bytes)
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
        written: list[Path] = []
        for one in wanted:
            target = folder / one.path
            _check_inside(target, folder)
            try:
                self.objects.copy_to(one.digest, one.size_bytes, target, link=link)
            except StoreError:
                raise
            except OSError as error:
                raise StoreUnavailableError(
                    f"{target} could not be written: {error.strerror or error}.",
                    kept=f"{len(written)} files were written; the store was not changed.",
                ) from error
            written.append(target)
        self._note_use(run, wanted)
        return tuple(written)

    def _one(self, run: Run, path: object) -> Artifact:
        path, known = _path_in(run, path), self.of_run(run)
        found = known.get(path) or known.get(artifact_path(path))
        if found is None:
            raise _no_artifact(run, path, known)
        return found

    def _wanted(self, run: Run, path: object) -> Sequence[Artifact]:
        known = self.of_run(run)
        if path is None:
            return list(known.values())
        path = _path_in(run, path)
        name = artifact_path(path.rstrip("/") or path)
        if name in known:
            return [known[name]]
        below = [one for one in known.values() if one.path.startswith(f"{name}/")]
        if not below:
            raise _no_artifact(run, path, known)
        return below

    # Lineage

    def _note_use(self, run: Run, wanted: Sequence[Artifact]) -> None:
        """Record these artifacts as inputs of the run that reads them."""
        reader = current.innermost()
        if reader is None or reader.uid == run.uid or reader.store_path != self._backend.path:
            return
        for one in wanted:
            self.note_input(
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

    def use(
        self, uid: str, source: Any, name: str | None = None, *, digest: bool | str = True
    ) -> Input:
        """Record data as an input of a run; see `ActiveRun.use`."""
        name = arguments.text_or_none(name, "name", "training data")
        if not isinstance(digest, bool):
            digest = arguments.text(digest, "digest", "e3b0c442…")
        if isinstance(source, Artifact):
            from runstore.storage.trash import reference_of

            owner = reference_of(self._backend.database, source.run_uid)
            used = Input(
                name=name or f"{owner}/{source.path}",
                digest=source.digest,
                size_bytes=source.size_bytes,
                modified_at=source.saved_at,
                location=None,
                source_uid=source.run_uid,
                used_at=datetime.now(timezone.utc),
            )
        else:
            used = self._used_file(uid, arguments.path(source, "source"), name, digest=digest)
        self.note_input(uid, used)
        return used

    def _used_file(self, uid: str, given: str, name: str | None, *, digest: bool | str) -> Input:
        from runstore.artifacts.masking import masked_location

        given_digest = digest if isinstance(digest, str) else None
        size, modified, location = None, None, given
        if "://" not in given:
            found = _checked_source(Path(given))
            location = str(found.absolute())
            if found.is_dir() and (listed := files_in(found, follows=True)).left_out:
                warn(listed.told(found))
            size, modified_ns = self.extent(found)
            modified = from_micros(modified_ns // 1000)
            if digest is True:
                given_digest = self.digest_of(found)
        source = None
        if given_digest:
            with suppress(StoreError):  # if the store cannot be read now, this is skipped
                source = self.table.saved_by(given_digest, but=uid)
        return Input(
            name=masked_location(clean_text(name or given))[:_NAME_LIMIT],
            digest=given_digest,
            size_bytes=size,
            modified_at=modified,
            location=masked_location(clean_text(location)),
            source_uid=source,
            used_at=datetime.now(timezone.utc),
        )

    @staticmethod
    def extent(path: Path) -> tuple[int, int]:
        """Return the size of a file or of all files of a folder, and the last change in ns.

        Raises:
            OSError: It does not exist, or cannot be read.
        """
        if not path.is_dir():
            about = path.stat()
            return about.st_size, about.st_mtime_ns
        found = [file.stat() for _, file in files_in(path, follows=True).files]
        latest = max((one.st_mtime_ns for one in found), default=path.stat().st_mtime_ns)
        return sum(one.st_size for one in found), latest

    def digest_of(
        self, path: Path, may_read: Callable[[int], bool] = lambda _: True
    ) -> str | None:
        """Return the digest of a file, or of a folder's list of files.

        Args:
            path: The file or folder.
            may_read: Called with the size of each new or changed file before it is read; if it
                returns False, there is no digest.
        """
        if not path.is_dir():
            return self._digest_of_file(path, may_read)
        listed = hashlib.sha256()
        for inner, file in files_in(path, follows=True).files:
            digest = self._digest_of_file(file, may_read)
            if digest is None:
                return None
            listed.update(f"{digest} {inner}\n".encode(errors="surrogateescape"))
        return listed.hexdigest()

    def _digest_of_file(self, path: Path, may_read: Callable[[int], bool]) -> str | None:
        """Return a file's digest, reading the file only if it is new or changed."""
        with _opened(path) as file:
            about = os.fstat(file.fileno())
            facts = FileFacts(
                about.st_size,
                about.st_mtime_ns,
                f"{about.st_dev}:{about.st_ino}:{about.st_ctime_ns}",
            )
            location = clean_text(str(path.absolute()))
            with suppress(StoreError):
                if known := self.table.digest_of_file(location, facts):
                    return known
            if not may_read(about.st_size):
                return None
            digest, _ = hashed(file)
        is_settled = _now_ns() - max(about.st_mtime_ns, about.st_ctime_ns) > _SETTLED_NS
        if is_settled and not self._backend.spool.has_kept:
            with suppress(StoreError), self._backend.database.driver.hurried(PATIENCE_S):
                self.table.remember_file(location, facts, digest)
        return digest

    def note_input(self, uid: str, used: Input) -> None:
        """Record an input of a run, in the spool if the database cannot be written."""
        self._backend.part(Deferred).unless(
            lambda: self.table.put_input(uid, used),
            lambda error: self._backend.part(Deferred).input(uid, used, error),
        )

    def preview_of(self, digest: str) -> Preview | None:
        """Return the preview of these contents, or None."""
        return self.table.preview_of(digest)


def _named(name: Any, source: Any) -> tuple[str, Any]:
    """Return the path of an artifact, and its source: bytes, an object, or the path of a file."""
    from runstore.artifacts.masking import masked_name

    if source is None:
        source, name = name, name_of_file(name)
    path = masked_name(artifact_path(name))
    if is_text(source, path):
        source = clean_text(source).encode()
    if isinstance(source, (str, os.PathLike)):
        return path, _checked_source(_as_path(source))
    return path, drawn(source, path)


def _noted(
    uid: str,
    path: str,
    objects: Objects,
    kept: Contents,
    media_type: str | None,
    thing: Any = None,
) -> Noted:
    media_type = media_type or media_type_of(path)
    saved = Artifact(
        run_uid=uid,
        path=path,
        digest=kept.digest,
        size_bytes=kept.size_bytes,
        media_type=media_type,
        saved_at=datetime.now(timezone.utc),
    )
    return saved, previews.preview_of(objects.path_of(kept.digest), media_type, thing)


def _keeping(file: Path) -> Keep:
    return lambda objects: objects.keep_file(file)


def _kept_by(thing: Any, path: str) -> Keep:
    """Return a function that stores bytes, a stream or an object.

    Raises:
        InvalidValueError: There is no way to convert it to a file.
    """
    if isinstance(thing, (bytes, bytearray, memoryview)):
        return lambda objects: objects.keep_bytes(thing)
    write = written_by(thing, path)
    if callable(getattr(thing, "read", None)):
        return lambda objects: _keep_stream(objects, thing)
    if write is None:
        raise InvalidValueError(
            f"A {type(thing).__name__} cannot be saved as {path!r}.",
            kept="Nothing was saved.",
            hint="Pass bytes or a file, or use a suffix such as .json, .yaml, .pkl or .npz.",
        )

    def keep(objects: Objects) -> Contents:
        with objects.aside(Path(path).suffix.lower()) as aside:
            try:
                write(thing, aside)
            except (OSError, RunstoreError):
                raise
            except Exception as error:  # any error of the object's own library
                told = f"{type(error).__name__}: {error}"
                raise InvalidValueError(
                    f"A {type(thing).__name__} could not be saved as {path!r} ({told}).",
                    kept="Nothing was saved.",
                    hint="Save it in another format, such as .pkl.",
                ) from error
            return objects.adopt(aside)

    return keep


def _keep_stream(objects: Objects, stream: Any) -> Contents:
    if isinstance(stream, io.TextIOBase):
        return objects.keep_bytes(stream.read().encode())
    begin = stream.tell() if stream.seekable() else None
    try:
        return objects.keep_stream(stream)
    except OSError:
        if begin is not None:
            stream.seek(begin)  # the next attempt needs all of it
        raise


def _as_path(source: str | os.PathLike[str]) -> Path:
    """Return a path, refusing an empty text, which would be the working directory."""
    if not os.fspath(source):
        raise InvalidValueError("The path is empty.", kept="Nothing was saved.")
    return Path(os.fspath(source))


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


def _checked_source(path: Path) -> Path:
    """Return a path that can be read.

    Raises:
        NotFoundError: It does not exist, or cannot be read.
    """
    try:
        about = path.stat()
        if stat.S_ISREG(about.st_mode):
            path.open("rb").close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NotFoundError(
            f"{str(path)!r} cannot be read: {reason}.",
            kept="Nothing was saved.",
            hint="To save the text itself, use save(name, text.encode()).",
        ) from error
    if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
        raise InvalidValueError(
            f"{str(path)!r} is neither a file nor a folder.", kept="Nothing was saved."
        )
    return path


def _opened(path: Path) -> BinaryIO:
    """Open a file for reading, whose path may come from a store.

    Raises:
        OSError: It cannot be read, or is a pipe or a device, which may have no end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return path.open("rb")


def _counted(count: int) -> str:
    return f"{count:,} files were" if count != 1 else "1 file was"


def _with_names(wanted: Sequence[Artifact]) -> list[Artifact]:
    """Return the artifacts whose names are valid file names, with a warning about the others.

    Raises:
        InvalidValueError: There are none.
    """
    reasons = {one.path: why_no_name(one.path) for one in wanted}
    wrong = {path: why for path, why in reasons.items() if why is not None}
    if not wrong:
        return list(wanted)
    path, why = next(iter(wrong.items()))
    more = f", and {len(wrong) - 1:,} more like it" if len(wrong) > 1 else ""
    told = f"The artifact {path!r:.100} cannot be written to a folder: it {why}{more}."
    if len(wrong) == len(wanted):
        raise InvalidValueError(told, kept="Nothing was written.", hint="Print it with --to -.")
    warn(told)
    return [one for one in wanted if one.path not in wrong]


def _check_inside(target: Path, folder: Path) -> None:
    """Refuse to write through a link that leads out of the folder."""
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise InvalidValueError(
            f"{str(target)!r} leads out of {str(folder)!r} through a link.",
            kept="Nothing was written there.",
            hint="Choose another folder.",
        )


def _no_artifact(run: Run, path: str, known: dict[str, Artifact]) -> NotFoundError:
    from runstore.model.display.suggestions import hint_of

    return NotFoundError(
        f"{run.reference} has no artifact {path!r}.",
        hint=hint_of(path, known, who="It has", most=10),
    )


def _now_ns() -> int:
    import time

    return time.time_ns()

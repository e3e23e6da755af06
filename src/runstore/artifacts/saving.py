"""Saving of artifacts: files, folders, bytes, streams and objects."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from runstore.artifacts import previews
from runstore.artifacts.folders import files_in
from runstore.artifacts.serializers import drawn, is_text, name_of_file, written_by
from runstore.artifacts.sources import checked_source
from runstore.errors import (
    ConflictError,
    InvalidValueError,
    NotFoundError,
    RunstoreError,
    StoreError,
    StoreLockedError,
    StoreReadOnlyError,
    StoreUnavailableError,
    genuine,
    named_error,
)
from runstore.inflight.deferred import Deferred
from runstore.model import arguments
from runstore.model.artifacts import Artifact, artifact_path, media_type_of, why_no_name
from runstore.model.values import clean_text
from runstore.storage.artifacts import Noted
from runstore.storage.backend import Backend
from runstore.storage.files.objects import Contents, NotSentError, Objects, UnsyncedError
from runstore.storage.files.spool import OBJECTS
from runstore.storage.files.temporary import temporary_folder
from runstore.storage.sqlite.descriptors import with_room
from runstore.user_warnings import warn
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Keep = Callable[[Objects], Contents]
_OF_TEXT = "To save a text itself: run.save(name, text.encode())."


class _StoredContents(NamedTuple):
    """Stored contents, perhaps in the user's private folder.

    The reason is that of contents that are not in the store, if it is known.
    """

    objects: Objects
    contents: Contents
    because: StoreError | None = None
    is_aside: bool = False


class Saving:
    """Saves the artifacts of the runs of one store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.table = backend.artifacts

    @property
    def objects(self) -> Objects:
        """The contents of the store.

        Raises:
            StoreUnavailableError: Their place is not known, because the server is away.
        """
        return self._backend.objects

    def save(
        self, uid: str, name: Any, source: Any = None, *, media_type: str | None = None
    ) -> tuple[Artifact, ...]:
        """Save a file, a folder, bytes, a stream or an object; see `ActiveRun.save`.

        Returns nothing, after a warning, if every disk refused it.
        """
        media_type = arguments.name_or_none(media_type, "media_type", "image/png")
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
            place = self._kept if self._backend.is_in_place else self._kept_aside
            try:
                if place == self._kept:
                    stack.enter_context(self.objects.in_use())
            except (StoreLockedError, StoreReadOnlyError, StoreUnavailableError) as error:
                place = partial(self._kept_aside, because=error)
            return self._save_to(place, uid, path, keep, media_type, thing)

    def _save_to(
        self,
        place: Callable[[Keep], _StoredContents],
        uid: str,
        path: str,
        keep: Keep,
        media_type: str | None,
        thing: Any,
    ) -> tuple[Artifact, ...]:
        try:
            objects, kept, because, is_aside = place(keep)
        except genuine(OSError) as error:
            warn(f"The artifact {path!r} could not be saved: {error.strerror or error}.")
            return ()
        # The tables of media types are files of the system.
        saved, preview = with_room(lambda: _noted(uid, path, objects, kept, media_type, thing))
        self._backend.part(Deferred).unless(
            lambda: self.table.put(saved, preview),
            lambda error: self._backend.part(Deferred).artifact(
                saved, preview, objects.folder if is_aside else None, error or because
            ),
            is_refused=is_aside,
            is_file=True,
        )
        return (saved,)

    def _kept(self, keep: Keep) -> _StoredContents:
        """Store contents in the store, or in the user's private folder if that fails."""
        try:
            return _StoredContents(self.objects, with_room(lambda: keep(self.objects)))
        except NotSentError as error:
            copy = self.objects.path_of(error.contents.digest)
            return self._kept_aside(lambda objects: objects.keep_file(copy), error)
        except StoreError:
            raise
        except genuine(OSError) as refused:
            reason = f"{self.objects.folder} cannot be written: {refused.strerror or refused}."
            try:
                return self._kept_aside(keep, StoreUnavailableError(reason))
            except genuine(OSError):
                if not isinstance(refused, UnsyncedError):
                    raise refused from None
            warn(
                f"Files were saved to {self.objects.folder}, but a power cut could remove them:"
                f" the disk reported {refused.strerror!r}."
            )
            return _StoredContents(self.objects, refused.contents)

    def _kept_aside(self, keep: Keep, because: StoreError | None = None) -> _StoredContents:
        """Store contents in the user's private folder until they can be moved to the store."""
        aside = Objects(self._backend.spool.own_place() / OBJECTS)
        return _StoredContents(aside, with_room(lambda: keep(aside)), because, is_aside=True)


def _named(name: Any, source: Any) -> tuple[str, Any]:
    """Return the path of an artifact, and its source: bytes, an object, or the path of a file.

    Raises:
        InvalidValueError: The name is not valid for an artifact.
        NotFoundError: The file does not exist, or cannot be read.
    """
    try:
        return _checked(name, source)
    except (InvalidValueError, NotFoundError) as error:
        error.hint = _hint_for_swapped(name, source) or error.hint
        raise


def _hint_for_swapped(name: Any, source: Any) -> str:
    """Return the right order of a name and a source, if they were probably swapped."""
    if not isinstance(source, str) or why_no_name(source) is not None:
        return ""
    if not isinstance(name, (str, os.PathLike)):
        return f"The name comes first: run.save({source!r}, …)"
    if _exists(name) and not _exists(source):
        return f"The name comes first: run.save({source!r}, {os.fspath(name)!r})"
    return ""


def _exists(path: str | os.PathLike[str]) -> bool:
    try:
        os.stat(path)  # noqa: PTH116 - a path of the user may be invalid
    except genuine(OSError, ValueError):
        return False
    return True


def _checked(name: Any, source: Any) -> tuple[str, Any]:
    from runstore.artifacts.masking import masked_name

    # A text beside a name may be the contents.
    hint = _OF_TEXT if isinstance(source, str) else ""
    if source is None:
        source, name = name, name_of_file(name)
    path = masked_name(artifact_path(name))
    if is_text(source, path):
        source = clean_text(source).encode()
    if isinstance(source, (str, os.PathLike)):
        return path, checked_source(_as_path(source), hint=hint)
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
        return _Stream(thing).keep
    if write is None:
        raise InvalidValueError(
            f"A value of type {type(thing).__name__} cannot be saved as {path!r}.",
            kept="Nothing was saved.",
            hint="Pass bytes or a file, or use a suffix such as .json, .yaml, .pkl or .npz.",
        )

    def keep(objects: Objects) -> Contents:
        suffix = Path(path).suffix.lower()
        try:
            with objects.aside(suffix) as aside:
                _write_thing(write, thing, path, aside)
                return objects.adopt(aside)
        except StoreError:
            raise
        except genuine(OSError) as refused:
            try:
                with temporary_folder() as folder:  # on another disk, perhaps
                    aside = folder.path / f"saved{suffix}"
                    _write_thing(write, thing, path, aside)
                    return objects.keep_file(aside)
            except StoreError:
                raise
            except genuine(OSError, ImportError):
                raise refused from None

    return keep


def _write_thing(write: Callable[[Any, Path], object], thing: Any, path: str, aside: Path) -> None:
    """Write an object to the file `aside` with a function of its library.

    Raises:
        InvalidValueError: The library cannot do it.
    """
    try:
        write(thing, aside)
    except genuine(OSError, RunstoreError):
        raise
    except genuine(Exception) as error:  # any error of the object's own library
        told = named_error(error)
        raise InvalidValueError(
            f"A value of type {type(thing).__name__} could not be saved as {path!r} ({told}).",
            kept="Nothing was saved.",
            hint="Save it in another format, such as .pkl.",
        ) from error


class _Stream:
    """A stream to store, in another place if a disk refuses it.

    A part of what can be read only once is not stored: later attempts fail as the first one.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._encoded: bytes | None = None
        self._is_read = False
        self._failure: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, size: int = -1) -> Any:
        self._is_read = True
        return self._stream.read(size)

    def keep(self, objects: Objects) -> Contents:
        if self._failure is not None:
            raise self._failure
        is_text = isinstance(self._stream, io.TextIOBase)
        begin = None if is_text or not self._stream.seekable() else self._stream.tell()
        try:
            if not is_text:
                return objects.keep_stream(self)  # type: ignore[arg-type]
            if self._encoded is None:
                self._encoded = self.read().encode()
            return objects.keep_bytes(self._encoded)
        except genuine(OSError) as error:
            if begin is not None:
                self._stream.seek(begin)
            elif self._is_read and self._encoded is None:
                self._failure = error
            raise


def _as_path(source: str | os.PathLike[str]) -> Path:
    """Return a path, refusing an empty text, which would be the working directory."""
    if not os.fspath(source):
        raise InvalidValueError("The path is empty.", kept="Nothing was saved.")
    return Path(os.fspath(source))


def _counted(count: int) -> str:
    return f"{count:,} files were" if count != 1 else "1 file was"

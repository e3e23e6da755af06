"""What is in flight: points and output of runs, and records that the database did not take.

A record is one file, `spool/<uid>.<time>.<kind>.json`, written whole and synced before it gets its
name. It is absorbed once, in any order, by the next one who opens the store, or by the run itself
when the obstacle is gone. When the store's folder itself refuses, the file goes to the user's
state folder, under a name made from the store's path.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from runstore.storage.drivers.descriptors import with_room

POINTS_SUFFIX = ".points"
OUTPUT_SUFFIX = ".output"
LINES_SUFFIX = ".lines"
OBJECTS = "objects"
_RECORD_SUFFIX = ".json"
T = TypeVar("T")


class Record(NamedTuple):
    """Something that the database did not take when it happened.

    Attributes:
        path: Its file.
        uid: The run it is about.
        kind: `end`, `artifact`, `input`, `tags` or `notes`.
        body: What happened.
    """

    path: Path
    uid: str
    kind: str
    body: Mapping[str, Any]


class Spool:
    """What is in flight for one store.

    Args:
        folder: The store's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # What this process kept aside, so that it asks again by and by.
        self._kept: set[Path] = set()

    # In

    @property
    def places(self) -> tuple[Path, ...]:
        """The folders where something may be put: the store's, and one of the user's own."""
        return self._folder / "spool", Path(_state_folder()) / _name_of(self._folder)

    def in_first_place(self, work: Callable[[Path], T]) -> T:
        """Do something in the first place that takes it, and return what it gives.

        Raises:
            OSError: No place took it; that of the last one.
        """
        refused: OSError | None = None
        for place in self._offered():
            try:
                place.mkdir(parents=True, exist_ok=True)
                return work(place)
            except OSError as error:
                refused = error
        raise refused or OSError("no place for what is in flight")

    def usable_place(self) -> Path:
        """Return the first place that there is or that can be made.

        Raises:
            OSError: There is none.
        """
        return self.in_first_place(lambda place: place)

    def _offered(self) -> Iterator[Path]:
        for place in self.places:
            # Moved away: a new folder of that name would only hide it.
            if place.parent != self._folder or self._folder.is_dir():
                yield place

    def keep(self, uid: str, kind: str, body: Mapping[str, Any]) -> Path:
        """Write a record to the first place that takes it, and return its path.

        Raises:
            OSError: No place took it.
        """
        name = f"{uid}.{time.time_ns():020d}.{kind}{_RECORD_SUFFIX}"
        text = json.dumps(body)
        path = with_room(lambda: self.in_first_place(lambda place: _write(place / name, text)))
        self._kept.add(path)
        return path

    @property
    def has_kept(self) -> bool:
        """Whether something that this process kept aside is still waiting."""
        return bool(self._kept)

    def forget_taken(self) -> None:
        """Forget what was taken in, by whomever."""
        for path in list(self._kept):
            if not path.exists():
                self._kept.discard(path)

    # Out

    def records(self) -> Iterator[Record]:
        """Yield what is kept aside, in order; a file that does not parse stays where it is."""
        for path in self._files(_RECORD_SUFFIX):
            parts = path.name.split(".")
            with suppress(OSError, ValueError, TypeError):
                body = json.loads(path.read_text(encoding="utf-8"))
                if len(parts) == 4 and isinstance(body, dict):  # noqa: PLR2004 - as `keep` names them
                    yield Record(path, parts[0], parts[2], body)

    def has_anything(self) -> bool:
        """Tell whether anything is in flight; quick, for every opening."""
        for place in self._places_to_read():
            with suppress(OSError):
                if os.listdir(place):  # noqa: PTH208 - at every opening
                    return True
        return False

    def point_files(self, uid: str = "") -> list[Path]:
        """Return the files of metric points of a run, or of all, the oldest first."""
        return self._files(POINTS_SUFFIX, uid)

    def output_files(self, uid: str = "") -> list[Path]:
        """Return the files of printed lines of a run, or of all, the oldest first."""
        return self._files(OUTPUT_SUFFIX, uid)

    def line_files(self, uid: str = "") -> list[Path]:
        """Return the files of programs' lines of a run, or of all, the oldest first."""
        return self._files(LINES_SUFFIX, uid)

    def every_file(self) -> list[Path]:
        """Return all files of all places, whatever they are."""
        return self._files("")

    def _files(self, suffix: str, uid: str = "") -> list[Path]:
        found: list[tuple[str, str]] = []
        for place in self._places_to_read():
            try:
                names = os.listdir(place)  # noqa: PTH208 - at every opening
            except OSError:
                continue
            found += [
                (name, place) for name in names if name.endswith(suffix) and name.startswith(uid)
            ]
        return [Path(place, name) for name, place in sorted(found)]

    def _places_to_read(self) -> list[str]:
        """Return the places where something of this store may be, as text, which is quicker.

        Of the user's own, all are: a store that was moved has another name there, and a run is
        known by its uid wherever it is.
        """
        places = [os.path.join(self._folder, "spool")]  # noqa: PTH118 - at every opening
        state = _state_folder()
        with suppress(OSError):
            places += [os.path.join(state, name) for name in os.listdir(state)]  # noqa: PTH118, PTH208 - the same
        return places


def uid_of(path: Path) -> str:
    """Return the uid of the run that a file belongs to."""
    return path.name.partition(".")[0]


def _write(path: Path, text: str) -> Path:
    aside = path.with_suffix(".tmp")
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    return path


def _state_folder() -> str:
    """Return the user's place for all spools. Source: XDG Base Directory 0.8."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111 - at every opening
    if state.startswith("~"):  # a user without a home
        import tempfile

        state = tempfile.gettempdir()
    return f"{state}/runstore/spool"


def _name_of(folder: Path) -> str:
    import hashlib

    return hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]

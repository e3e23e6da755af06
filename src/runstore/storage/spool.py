"""What is in flight: points of metrics, and ends of runs that the database did not take.

An end is one file, `spool/<uid>.end.json`, written whole and synced before it gets its name. It
is absorbed once, in any order, by the next one who opens the store. When the store's folder
itself refuses, the file goes to the user's state folder, under a name made from the store's path.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_SUFFIX = ".end.json"
POINTS_SUFFIX = ".points"


class Ending(NamedTuple):
    """The end of a run, as `Database.finish_run` takes it; `ended_at` in microseconds."""

    uid: str
    status: str
    ended_at: int
    error: str | None = None
    traceback: str | None = None
    exit_code: int | None = None


class Spool:
    """The endings kept aside for one store.

    Args:
        folder: The store's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def places(self) -> tuple[Path, ...]:
        """The folders where something may be in flight: the store's, and the user's own."""
        state = _state_folder()
        return self._folder / "spool", Path(state) / _name_of(self._folder)

    def usable_place(self) -> Path:
        """Return the first place that there is or that can be made.

        Raises:
            OSError: There is none.
        """
        refused: OSError | None = None
        for place in self._offered():
            try:
                place.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                refused = error
            else:
                return place
        raise refused or OSError("no place for what is in flight")

    def _offered(self) -> Iterator[Path]:
        for place in self.places:
            # Moved away: a new folder of that name would only hide it.
            if place.parent != self._folder or self._folder.is_dir():
                yield place

    def keep(self, ending: Ending) -> Path:
        """Write an ending to the first place that takes it, and return its path.

        Raises:
            OSError: No place took it.
        """
        refused: OSError | None = None
        for place in self._offered():
            try:
                return _write(place, ending)
            except OSError as error:
                refused = error
        raise refused or OSError("no place to keep the end of a run")

    def endings(self) -> Iterator[tuple[Path, Ending]]:
        """Yield what is kept aside; a file that does not parse stays where it is."""
        for place in self._place_names():
            try:
                names = os.listdir(place)  # noqa: PTH208 - at every opening
            except OSError:
                continue
            for path in [Path(place, name) for name in names if name.endswith(_SUFFIX)]:
                with suppress(OSError, ValueError, TypeError):
                    yield path, Ending(**json.loads(path.read_text(encoding="utf-8")))

    def point_files(self, uid: str = "") -> list[Path]:
        """Return the files of metric points of a run, or of all, the oldest first."""
        found: list[tuple[str, str]] = []
        for place in self._place_names():
            try:
                names = os.listdir(place)  # noqa: PTH208 - at every opening
            except OSError:
                continue
            found += [
                (name, place)
                for name in names
                if name.endswith(POINTS_SUFFIX) and name.startswith(uid)
            ]
        return [Path(place, name) for name, place in sorted(found)]

    def _place_names(self) -> list[str]:
        """Return the places that there are, as text, which is quicker."""
        places = [os.path.join(self._folder, "spool")]  # noqa: PTH118 - at every opening
        state = _state_folder()
        if os.path.isdir(state):  # noqa: PTH112 - the same
            places.append(os.path.join(state, _name_of(self._folder)))  # noqa: PTH118 - the same
        return places


def uid_of(path: Path) -> str:
    """Return the uid of the run that a file belongs to."""
    return path.name.partition(".")[0]


def _write(place: Path, ending: Ending) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{ending.uid}{_SUFFIX}"
    aside = path.with_suffix(".tmp")
    try:
        with aside.open("w", encoding="utf-8") as file:
            json.dump(ending._asdict(), file)
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

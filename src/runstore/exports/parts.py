"""The parts of a dataset: which runs are in which file, and which files are out of date."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from runstore.errors import ConflictError
from runstore.exports.columns import METRICS, TABLES
from runstore.exports.files import write_aside
from runstore.model.reference import folder_name
from runstore.storage.query.states import RunState
from runstore.value_classes import NamedTuple

# Consecutive run numbers in one file. Points are many, and a file is written anew as a whole.
RUNS_IN_PART, RUNS_IN_METRICS_PART = 1_000, 100
# Datasets of other formats are not touched. An underscore hides the file from most engines.
MANIFEST, FORMAT = "_runstore.json", 1
_OURS = re.compile(r"-?\d+\.parquet(\.tmp)?")


class DatasetPart(NamedTuple):
    """The runs of one experiment with consecutive numbers.

    Attributes:
        experiment: The experiment.
        first: The lowest number that belongs in it.
        states: The states of its runs.
        is_metrics: Whether its file has the points of the runs, instead of everything else.
    """

    experiment: str
    first: int
    states: Sequence[RunState]
    is_metrics: bool

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that have a file for it."""
        return (METRICS,) if self.is_metrics else tuple(name for name in TABLES if name != METRICS)

    @property
    def name(self) -> str:
        """The path of its files within the folder of a table."""
        return f"{folder_name(self.experiment)}/{self.first:07d}.parquet"

    @property
    def digest(self) -> str:
        """A digest of the state of its runs; empty if one of them is active."""
        if any(one.is_active for one in self.states):
            return ""
        marks = json.dumps(
            [one.marks_of_points if self.is_metrics else one.marks for one in self.states],
            default=str,
        )
        return hashlib.sha256(marks.encode("utf-8", "surrogatepass")).hexdigest()


def parts_of(states: Iterable[RunState]) -> list[DatasetPart]:
    """Return the parts of runs, in the order of experiments and numbers."""
    grouped: dict[tuple[str, bool, int], list[RunState]] = defaultdict(list)
    for one in states:
        for is_metrics, size in ((False, RUNS_IN_PART), (True, RUNS_IN_METRICS_PART)):
            first = (one.run_number - 1) // size * size + 1
            grouped[one.experiment, is_metrics, first].append(one)
    return [
        DatasetPart(experiment, first, found, is_metrics)
        for (experiment, is_metrics, first), found in sorted(grouped.items())
    ]


def _conflict(message: str) -> ConflictError:
    return ConflictError(message, kept="Nothing was written.", hint="Choose a new folder.")


def _shown(name: str, value: object) -> str:
    if value:
        return repr(value)
    return "one without runs" if name == "store" else "all runs"


class Manifest:
    """The file by which the next export knows what is up to date."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digests: dict[str, str] = {}
        self._about: dict[str, Any] = {}

    def check_place(self) -> None:
        """Check that the folder is empty or has a dataset, before anything is written to it.

        Raises:
            ConflictError: It has other contents.
        """
        if not (self._folder / MANIFEST).exists() and any(
            not one.name.startswith("_runstore") for one in self._folder.iterdir()
        ):
            raise _conflict(f"{self._folder} is not empty, and has no dataset of runstore.")

    def open(self, about: dict[str, Any], is_ours: Callable[[str], bool]) -> None:
        """Read the file, or begin a new dataset.

        Args:
            about: The store, named by its first run, and the filter, which must be those of the
                existing dataset.
            is_ours: Whether a dataset whose store had this first run is of this store. The first
                run is another one after it was restored from another store.

        Raises:
            ConflictError: It is a dataset of another store or filter.
        """
        path = self._folder / MANIFEST
        wanted = {"format": FORMAT, **about}
        if not path.exists():
            self._write(wanted)
        try:
            found = json.loads(path.read_text("utf-8"))
            digests = found.pop("parts")
            self._digests = {str(name): str(digest) for name, digest in digests.items()}
        except (ValueError, AttributeError, KeyError, RecursionError) as error:
            raise _conflict(f"{path} cannot be read: {error}.") from error
        first = found.get("store")
        # Without runs, a dataset may be of any store.
        if first != wanted["store"] and (not first or is_ours(str(first))):
            found["store"] = wanted["store"]
        for name, value in wanted.items():
            if found.get(name) != value:
                raise _conflict(
                    f"{self._folder} is a dataset with another {name}"
                    f" ({_shown(name, found.get(name))}, not {_shown(name, value)})."
                )
        self._about = wanted

    def is_current(self, part: DatasetPart) -> bool:
        """Return whether the files of a part are there and have the state of its runs."""
        digest = self._digests.get(_key(part))
        return (
            bool(digest)
            and digest == part.digest
            and all((self._folder / table / part.name).exists() for table in part.tables)
        )

    def close(self, parts: Collection[DatasetPart], incomplete: Iterable[DatasetPart]) -> int:
        """Remove the files of parts that no longer exist, and record the current ones.

        Args:
            parts: The parts of the dataset.
            incomplete: Those that lack damaged data, which the next export tries to read again.

        Returns:
            The number of removed files.
        """
        digests = {_key(part): part.digest for part in parts}
        digests.update(dict.fromkeys(map(_key, incomplete), ""))
        self._write(self._about, digests)
        expected = {self._folder / table / part.name for part in parts for table in part.tables}
        removed = 0
        for table in TABLES:
            for path in self._folder.glob(f"{table}/*/*"):
                if path not in expected and _OURS.fullmatch(path.name):
                    path.unlink()
                    removed += 1
        return removed

    def _write(self, about: dict[str, Any], digests: dict[str, str] | None = None) -> None:
        text = json.dumps({**about, "parts": digests or {}}, indent=1, ensure_ascii=False)
        write_aside(self._folder / MANIFEST, text.encode("utf-8", "surrogatepass"))


def _key(part: DatasetPart) -> str:
    return f"{METRICS if part.is_metrics else 'runs'}/{part.name}"

"""Whether the modules that an earlier run loaded from outside of git are still the same."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from runstore.analysis.compare.differences import MISSING, Difference
from runstore.analysis.reruns.identity import code_of, is_code_read
from runstore.capture.git.state import SLOW_TIMEOUT_S, GitError, run_git
from runstore.capture.program.files import CLOCK_LAG_NS, own_modules
from runstore.capture.program.imports import file_of
from runstore.capture.program.modules import Marks, paths_in
from runstore.capture.program.places import written_ns
from runstore.errors import StoreCorruptError
from runstore.model.code.documents import IGNORED, LATE_MODULES, MODULES, OUTSIDE
from runstore.value_classes import NamedTuple, dataclass, field

if TYPE_CHECKING:
    from runstore.analysis.reruns.subjects import ComparedRun
    from runstore.model.run import Run

_LIST_LIMIT_BYTES = 1 << 24
_AT_ONCE = 400
_RESUMED = re.compile(r"resumed\.\d+\.modules(\.late)?")
_SHOWN = 15  # characters of a fingerprint


class _Entry(NamedTuple):
    """A module as a run loaded it: its place, and its fingerprint if that was read."""

    place: str
    mark: str


@dataclass(slots=True)
class ModulesNow:
    """The state of the modules that a run loaded.

    Attributes:
        differences: Modules that changed, are gone, or are loaded in addition.
        unknown: Parts that are unknown, as sentences without their ends.
    """

    differences: list[Difference] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def modules_now(old: ComparedRun, new: ComparedRun) -> ModulesNow:
    """Compare the modules that an earlier run loaded with the modules of this process.

    Their contents count, not their places. Only of modules that neither the commit nor other
    captured texts hold.

    Args:
        old: The earlier run, of the same commit.
        new: The run that is about to start in this process.
    """
    try:
        return _Look(old, new).now
    except StoreCorruptError as error:
        return ModulesNow(unknown=[f"its modules are not known: {error.what.rstrip('.')}"])


class _Look:
    def __init__(self, old: ComparedRun, new: ComparedRun) -> None:
        self.now = ModulesNow()
        self._old = old.run
        self._root = Path(str(new.run.facts.values.get("git.root", ".")))
        self._marks = Marks()
        self._then = {**_entries(old, MODULES), **_entries(old, LATE_MODULES)}
        self._then_resumed = self._resumed(old)
        self._here = _entries(new, MODULES)
        self._compared = self._ignored(new)
        known = old.run.facts.values
        is_read = OUTSIDE in known and is_code_read(old.run.facts)
        if not is_read and (self._here or known.get(OUTSIDE)):
            self._unknown("which modules it loaded from outside of git was not recorded")
        else:
            self._compare()
        if self._marks.problem:
            self._unknown(f"the modules cannot be compared: {self._marks.problem}")

    def _resumed(self, old: ComparedRun) -> set[str]:
        """Add the modules that the run loaded after it was resumed; return their names.

        A module that was not loaded then may have been, by a process that was killed.
        """
        first = set(self._then)
        for document in sorted(filter(_RESUMED.fullmatch, old.documents)):
            for name, entry in _entries(old, document).items():
                known = self._then.setdefault(name, entry)
                if known.mark != entry.mark and known.mark and entry.mark:
                    self._unknown(f"it was resumed with a different {entry.place}")
        return self._then.keys() - first

    def _compare(self) -> None:
        for name, entry in self._then.items():
            self._at(name, entry)
        known = set(self._then.values())
        for name, entry in self._here.items():
            # The same file may be loaded by another name.
            if name not in self._then and entry not in known:
                self._differs(entry.place, MISSING, entry.mark)

    def _at(self, name: str, then: _Entry) -> None:
        if then.mark:
            here = self._here.get(name)
            mark = here.mark if here else self._marks.of(self._file(name, then))
            if mark != then.mark:
                self._differs(then.place, then.mark, mark or MISSING)
            elif name in self._then_resumed:
                self._by_time(then.place, self._file(name, then))
        elif not self._is_kept(self._file(name, then)):
            self._by_time(then.place, self._file(name, then))

    def _file(self, name: str, then: _Entry) -> str:
        """Return the file that this process has loaded, would load, or loaded then."""
        loaded = own_modules().get(name)
        if loaded is not None:
            return loaded.file
        return file_of(name) or str(self._root / then.place)

    def _is_kept(self, file: str) -> bool:
        """Whether git keeps a file, or its text was kept with the run."""
        paths = paths_in(self._root, file)
        return paths is not None and all(one in self._kept | self._compared for one in paths)

    @cached_property
    def _kept(self) -> set[str]:
        unread = [(name, one) for name, one in self._then.items() if not one.mark]
        asked = {
            path
            for name, one in unread
            for path in paths_in(self._root, self._file(name, one)) or ()
        }
        return _kept_by_git(self._root, sorted(asked))

    def _ignored(self, new: ComparedRun) -> set[str]:
        """Compare modules that git ignores and that the earlier run did not read.

        Returns:
            Their paths, whether they are the same or were reported as different.
        """
        now = set(code_of(new.run.commit, new.run.facts, new.documents).ignored or ())
        if IGNORED not in self._old.facts.values:
            for path in now:
                self._by_time(path, str(self._root / path))
        return now

    def _by_time(self, place: str, file: str) -> None:
        """Take a file for the same if it was there before the run and was not written since."""
        at = written_ns(file)
        if not 0 < at < _started_ns(self._old) - CLOCK_LAG_NS:
            self._unknown(f"the earlier contents of {place} were not kept")

    def _unknown(self, why: str) -> None:
        if why not in self.now.unknown:
            self.now.unknown.append(why)

    def _differs(self, place: str, before: object, now: object) -> None:
        shown = tuple(one[:_SHOWN] if isinstance(one, str) else one for one in (before, now))
        self.now.differences.append(Difference("code", place, (shown[0], shown[1])))


def _entries(one: ComparedRun, document: str) -> dict[str, _Entry]:
    return {name: _Entry(*entry) for name, entry in one.entries(document).items()}


def _started_ns(run: Run) -> int:
    return int(run.started_at.timestamp() * 1_000_000) * 1000


def _kept_by_git(root: Path, paths: Sequence[str]) -> set[str]:
    """Return the paths that git tracks or does not ignore."""
    found: set[str] = set()
    for begin in range(0, len(paths), _AT_ONCE):
        literal = [f":(top,literal){one}" for one in paths[begin : begin + _AT_ONCE]]
        asked = ["ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *literal]
        try:
            listed = run_git(asked, root, limit_bytes=_LIST_LIMIT_BYTES, timeout_s=SLOW_TIMEOUT_S)
        except GitError:
            continue
        found.update(os.fsdecode(listed).split("\0")[:-1])
    return found

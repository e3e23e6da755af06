"""The identity of runs: the same parameter sets, the same code, the same call.

A fact that is unknown for one of them makes them neither the same nor different, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

from runstore.analysis.compare.differences import MISSING, Difference
from runstore.model.code.documents import (
    CODE_DOCUMENTS,
    CUT,
    IGNORED,
    LATE_MODULES,
    LEFT_OUT,
    MODULES,
    OTHER_FILES,
    RESUMED_CODE,
    RESUMED_FILES,
)
from runstore.model.code.launchers import launched
from runstore.model.code.python_command import code_argument, is_python
from runstore.model.facts import Facts
from runstore.model.params.parameter_set import ParameterSet
from runstore.value_classes import dataclass

MASK = "***"
# Missing parts of changes and new files, without which these cannot be restored.
_LOST = (
    "patch",
    "patch.rest",
    "patch.masked",
    "patch.submodules",
    "patch.filters",
    "patch.hidden",
    "untracked",
    "untracked.masked",
)
# All missing parts.
_GAPS = (
    *_LOST,
    CUT,
    OTHER_FILES,
    IGNORED,
    MODULES,
    LATE_MODULES,
)
_NAMES = {"patch": "the changes", MODULES: "the modules outside of git"}
# Programs with code from elsewhere: cells of a notebook.
_INTERACTIVE = ("ipykernel", "colab_kernel")
_RUNNER = "runstore"


# Parameters


def are_same_sets(ours: Iterable[ParameterSet], theirs: Iterable[ParameterSet]) -> bool:
    """Return whether two runs have the same sets, in any order.

    A set is the same if its file, its name and its hash are; fields that the hash leaves out
    do not count.
    """
    return sorted(map(_identity, ours)) == sorted(map(_identity, theirs))


def _identity(one: ParameterSet) -> tuple[str, str, str]:
    return one.file or "", one.name, one.hash


# Code


@dataclass(frozen=True, slots=True)
class Code:
    """The code of a run.

    Attributes:
        commit: The commit's hash.
        documents: Hash of `patch` and of `untracked`, each only if there is one.
        others: Fingerprints of new files whose text is not in these, by path.
        ignored: Fingerprints of modules that git ignores, by path; None if they were not read.
        problem: The reason if it is unknown, as part of a sentence; empty otherwise.
    """

    commit: str | None
    documents: Mapping[str, str]
    others: Mapping[str, str]
    ignored: Mapping[str, str] | None
    problem: str


def code_of(commit: str | None, facts: Facts, documents: Mapping[str, str]) -> Code:
    """Return the code of a run."""
    kept = {name: documents[name] for name in CODE_DOCUMENTS if name in documents}
    others = _marks(facts, OTHER_FILES) or {}
    return Code(commit, kept, others, _marks(facts, IGNORED), _problem(commit, facts))


def _marks(facts: Facts, name: str) -> dict[str, str] | None:
    lines = facts.values.get(name)
    if not isinstance(lines, tuple):
        return None
    return {path: mark for mark, _, path in (line.partition(" ") for line in lines)}


def _problem(commit: str | None, facts: Facts) -> str:
    if commit is None:
        return facts.unknown.get("git.commit", "no commit was recorded")
    if lost := lost_code(facts):
        return lost
    if RESUMED_FILES in facts.unknown:
        return facts.unknown[RESUMED_FILES]
    gap = next((name for name in _GAPS if name in facts.unknown), None)
    if gap is None and OTHER_FILES not in facts.values and LEFT_OUT in facts.unknown:
        gap = LEFT_OUT
    return _incomplete(gap, facts) if gap else ""


def lost_code(facts: Facts) -> str:
    """Return the reason if changes and new files cannot be restored; empty otherwise."""
    if "git.dirty" not in facts.values:
        return facts.unknown.get("git.dirty", "whether it had changes was not recorded")
    if RESUMED_CODE in facts.unknown:
        return facts.unknown[RESUMED_CODE]
    for gap in _LOST:
        if gap in facts.unknown:
            return _incomplete(gap, facts)
    has_more = facts.values["git.dirty"] or facts.values.get("git.has_untracked")
    if has_more and not is_code_read(facts):
        return facts.unknown.get("git", "its changes were not read")
    return ""


def _incomplete(gap: str, facts: Facts) -> str:
    part = _NAMES.get(gap.partition(".")[0] if gap != IGNORED else MODULES, "the new files")
    return f"{part} are not known as a whole: {facts.unknown[gap]}"


def is_code_read(facts: Facts) -> bool:
    """Return whether the code beyond the commit was read, which happens after the start."""
    return "git.remote" in facts.values or "git.remote" in facts.unknown


# The call


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call: the program, its arguments and its folder.

    Attributes:
        program: The script below the root of the repository, `-m` and a module, or the like; None
            if unknown, as at a prompt.
        arguments: The program and its arguments; None if they were not kept as a whole.
        folder: The working directory, below the root of the repository if there is one.
    """

    program: str | None
    arguments: tuple[str, ...] | None
    folder: str


def call_of(facts: Facts) -> Invocation:
    """Return the call of captured facts."""
    cwd, root = (str(facts.values.get(name, "")) for name in ("command.cwd", "git.root"))
    folder = _below(cwd, root)
    program, words = _called(facts, cwd, root, folder)
    if program is not None and MASK in program:
        program = None
    if words is not None and any(MASK in word for word in words):
        words = None
    return Invocation(program, words or None, folder)


def _called(
    facts: Facts, cwd: str, root: str, folder: str
) -> tuple[str | None, tuple[str, ...] | None]:
    if {"command.program", "command.arguments"} & (facts.values.keys() | facts.unknown.keys()):
        found = facts.values.get("command.program")
        program = _below(found, root) if isinstance(found, str) else None
        arguments = facts.values.get("command.arguments")
        if program is None or not isinstance(arguments, tuple):
            return program, None
        return program, (program, *arguments)
    argv = facts.values.get("command.argv")
    words = argv if isinstance(argv, tuple) else ()
    is_whole = "command.argv.rest" not in facts.unknown
    return _program(words, cwd, root, folder), words if is_whole else None


def _below(path: str, root: str) -> str:
    """Return a path as it is in every copy of the repository; whole outside of it."""
    place = PurePath(path)
    return place.relative_to(root).as_posix() if root and place.is_relative_to(root) else path


def _program(words: Sequence[str], cwd: str, root: str, folder: str) -> str | None:
    """Return the program of a command line; None if unknown."""
    if not words:
        return None
    if PurePath(words[0]).name == _RUNNER:
        # The experiment names the module, within the project of this folder.
        return f"runstore run in {folder}"
    found = launched(words)
    if found.kind == "code":
        return code_argument(words) or None
    if found.kind == "module":
        return None if found.what.startswith(_INTERACTIVE) else f"-m {found.what}"
    if is_python(found.what) or PurePath(found.what).name.startswith(_INTERACTIVE):
        return None  # a prompt, or a script that came through a pipe
    is_path = found.kind == "script" or "/" in found.what
    return _below(str(PurePath(cwd, found.what)), root) if is_path else found.what


def call_differences(
    old: Invocation, new: Invocation, *, exactly: bool
) -> tuple[list[Difference], list[str]]:
    """Return the differences of two calls, and the parts that are unknown.

    Args:
        old: The call of an earlier run.
        new: The other one.
        exactly: Whether arguments and folder count, or the program alone.
    """
    pairs: list[tuple[str, str | tuple[str, ...] | None, str | tuple[str, ...] | None]]
    if exactly:
        pairs = [("arguments", old.arguments, new.arguments), ("folder", old.folder, new.folder)]
    else:
        pairs = [("program", old.program, new.program)]
    found, unknown = [], []
    for key, before, now in pairs:
        if before is None or now is None:
            which = "of the earlier run" if before is None else "of this run"
            unknown.append(f"the {key} {which} is unknown")
        elif before != now:
            found.append(Difference("command", key, (before or MISSING, now or MISSING)))
    return found, unknown

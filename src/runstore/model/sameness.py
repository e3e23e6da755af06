"""What makes two runs the same: the same parameter sets, the same code, the same call.

What is not known of one of them makes them neither the same nor different; the reason is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath

from runstore.model.differences import MISSING, Difference
from runstore.model.facts import Facts
from runstore.model.params import ParameterSet

MASK = "***"
# Documents that hold the code beyond the commit.
CODE_DOCUMENTS = ("patch", "untracked")
# What is missing in them. `untracked.rest` is not among these: it names what is no source code.
_GAPS = (
    "patch",
    "patch.rest",
    "patch.masked",
    "patch.submodules",
    "patch.filters",
    "patch.hidden",
    "untracked",
    "untracked.cut",
    "untracked.masked",
)
# A run that went on with other code than it began with.
RESUMED_CODE = "resumed.code"
_PYTHON = re.compile(r"(?:python|pypy)[\d.]*w?(?:\.exe)?", re.IGNORECASE)
# Programs whose code comes from somewhere else: cells of a notebook.
_INTERACTIVE = ("ipykernel", "colab_kernel")
_RUNNER = "runstore"


# Parameters


def are_same_sets(ours: Iterable[ParameterSet], theirs: Iterable[ParameterSet]) -> bool:
    """Tell whether two runs have the same sets, in whatever order.

    A set is the same where its file, its name and its hash are; fields that the hash leaves out
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
        documents: Hash of `patch` and of `untracked`, each only where there is one.
        problem: Why it is not known, as part of a sentence; empty where it is.
    """

    commit: str | None
    documents: Mapping[str, str]
    problem: str


def code_of(commit: str | None, facts: Facts, documents: Mapping[str, str]) -> Code:
    """Return the code of a run.

    Args:
        commit: The commit's hash.
        facts: What was captured of it.
        documents: Hashes of its captured texts, by name.
    """
    kept = {name: documents[name] for name in CODE_DOCUMENTS if name in documents}
    return Code(commit, kept, _problem(commit, facts))


def _problem(commit: str | None, facts: Facts) -> str:
    if commit is None:
        return facts.unknown.get("git.commit", "no commit was recorded")
    if "git.dirty" not in facts.values:
        return facts.unknown.get("git.dirty", "whether it had changes was not recorded")
    if RESUMED_CODE in facts.unknown:
        return facts.unknown[RESUMED_CODE]
    for name in _GAPS:
        if name in facts.unknown:
            what = "the changes" if name.startswith("patch") else "the new files"
            return f"{what} are not known as a whole: {facts.unknown[name]}"
    has_more = facts.values["git.dirty"] or facts.values.get("git.has_untracked")
    # Changes are read after the start, together with this.
    if has_more and not {"git.remote"} & (facts.values.keys() | facts.unknown.keys()):
        return facts.unknown.get("git", "its changes were not read")
    return ""


# The call


@dataclass(frozen=True, slots=True)
class Call:
    """What was called, and where.

    Attributes:
        program: The script below the root of the repository, `-m` and a module, or the like; None
            where nothing tells it, as at a prompt.
        arguments: All of it; None where it was not kept as a whole.
        folder: The working directory, below the root of the repository where there is one.
    """

    program: str | None
    arguments: tuple[str, ...] | None
    folder: str


def call_of(facts: Facts) -> Call:
    """Return what was called."""
    argv = facts.values.get("command.argv")
    words = argv if isinstance(argv, tuple) else ()
    cwd, root = (str(facts.values.get(name, "")) for name in ("command.cwd", "git.root"))
    folder = _below(cwd, root)
    is_whole = bool(words) and "command.argv.rest" not in facts.unknown
    program = _program(words, cwd, root, folder)
    return Call(
        None if program is None or MASK in program else program,
        words if is_whole and not any(MASK in word for word in words) else None,
        folder,
    )


def _below(path: str, root: str) -> str:
    """Return a path as it is in every copy of the repository; whole outside of it."""
    place = PurePath(path)
    return place.relative_to(root).as_posix() if root and place.is_relative_to(root) else path


def _program(words: Sequence[str], cwd: str, root: str, folder: str) -> str | None:
    if not words:
        return None
    name = PurePath(words[0]).name
    if name == _RUNNER:
        # The experiment says which module it is, within the project of this folder.
        return f"runstore run in {folder}"
    if not _PYTHON.fullmatch(name):
        return _below(str(PurePath(cwd, words[0])), root) if "/" in words[0] else words[0]
    kind, what = _of_python(words[1:])
    if not what:
        return None  # a prompt, or a script that came through a pipe
    if kind == "script":
        what = _below(str(PurePath(cwd, what)), root)
    if what.rpartition("/")[2].startswith(_INTERACTIVE):
        return None
    return what if kind == "script" else f"{kind} {what}"


def _of_python(words: Sequence[str]) -> tuple[str, str]:
    """Return what Python was asked to run: `-c` and code, `-m` and a module, or a script.

    Source: python(1) 3.12, command line and environment.
    """
    skipped = False
    for word, following in pairwise([*words, ""]):
        if skipped:
            skipped = False
        elif word == "-" or not word.startswith("-"):
            return "script", word.removeprefix("-")
        elif not word.startswith("--"):
            letters = word[1:]
            place = next((n for n, one in enumerate(letters) if one in "cmWX"), None)
            if place is None:
                continue
            rest = letters[place + 1 :]
            if letters[place] in "cm":
                return f"-{letters[place]}", rest or following
            skipped = not rest
        else:
            skipped = word == "--check-hash-based-pycs"
    return "script", ""


def call_differences(old: Call, new: Call, *, exactly: bool) -> tuple[list[Difference], list[str]]:
    """Return in what two calls differ, and what cannot be told.

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
            whose = "of the earlier run" if before is None else "now"
            unknown.append(f"the {key} {whose} cannot be told")
        elif before != now:
            found.append(Difference("command", key, (before or MISSING, now or MISSING)))
    return found, unknown

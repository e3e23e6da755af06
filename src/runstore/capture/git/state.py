"""The state of the working directory according to git: commit, branch, changes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from runstore.capture.child_process import environment, output_of
from runstore.errors import genuine
from runstore.model.facts import Facts, FactValue

QUICK_TIMEOUT_S = 2.0
SLOW_TIMEOUT_S = 10.0
_STATUS_LIMIT_BYTES = 1 << 20
SMALL_LIMIT_BYTES = 1 << 16
_LIST_LIMIT_BYTES = 1 << 24

# No pager, prompt, lock, watcher or diff program of the user's configuration, and no setting that
# changes the form of a diff.
_SETTINGS = (
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.safecrlf=false",
    "diff.suppressBlankEmpty=false",
    "diff.orderFile=/dev/null",  # a missing one is fatal for every command
)
_GIT = ("git", *(word for one in _SETTINGS for word in ("-c", one)), "--no-pager")
# Variables that change the meaning of a path or the form of a diff.
_NOT_PASSED_ON = (
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)
_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",  # nor are missing objects of a partial clone fetched
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "LC_ALL": "C",
}
# With one of these variables, the work tree may be another than that of the nearest `.git`.
_PLACES = frozenset({"GIT_DIR", "GIT_WORK_TREE"})
_HEAD_FACTS = ("git.commit", "git.branch", "git.dirty", "git.has_untracked")
_NAMES = {"branch.oid": "git.commit", "branch.head": "git.branch"}
_STATUS = (
    "status",
    "--porcelain=v2",
    "--branch",
    "-z",
    "--untracked-files=normal",
    "--ignore-submodules=none",
    "--no-renames",
    "--no-ahead-behind",
)
_NEW_IN_SUBMODULE = ".M S..U "
_NO_FOLDER = "fatal: cannot change to "
NO_REPOSITORY = "not in a git repository"
_FOREIGN = "the repository belongs to another user (git's safe.directory)"
NO_COMMIT = "the repository has no commit yet"


class GitError(Exception):
    """git did not answer; the text is the reason."""


class GitUnavailableError(GitError):
    """git could not be started, took too long, or refused, so the answer is unknown."""


def run_git(
    args: Sequence[str],
    cwd: Path,
    *,
    limit_bytes: int,
    timeout_s: float,
    statuses: Sequence[int] = (0,),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """Return the output of git, up to one byte more than the limit.

    `statuses` are the exit statuses that mean success.

    Raises:
        GitError: git is missing, refused, or took too long; it was ended with all its children.
    """
    passed = {**environment(), **_ENVIRONMENT, **variables}
    for name in _NOT_PASSED_ON:
        passed.pop(name, None)
    try:
        answer = output_of(
            [*_GIT, "-C", os.fspath(cwd), *args],
            passed,
            limit_bytes=limit_bytes,
            timeout_s=timeout_s,
        )
    except genuine(OSError) as error:
        missing = isinstance(error, FileNotFoundError) and cwd.is_dir()
        reason = "git is not installed" if missing else f"{cwd}: {error.strerror}"
        raise GitUnavailableError(reason) from None
    if answer is None:
        raise GitUnavailableError(f"git did not answer within {timeout_s:g} s")
    if len(answer.output) > limit_bytes:
        return answer.output[: limit_bytes + 1]
    if answer.exit_code not in statuses:
        complaint = answer.complaint.decode("utf-8", "replace")
        if complaint.startswith(_NO_FOLDER):
            raise GitUnavailableError(f"{cwd}: {complaint.strip().rpartition(': ')[2]}")
        if "dubious ownership" in complaint:
            raise GitUnavailableError(f"{cwd}: {_FOREIGN}")
        raise GitError(_reason(complaint))
    return answer.output


def _reason(complaint: str) -> str:
    if "not a git repository" in complaint:
        return NO_REPOSITORY
    # Programs started by git complain before git does.
    lines = complaint.strip().splitlines() or ["git failed without a message"]
    return next((one for one in lines if one.startswith("fatal: ")), lines[0])[:200]


def _root_above(cwd: Path) -> str | None:
    """Return the nearest folder with a `.git`, by the rules of git; None without one."""
    folder = os.path.abspath(cwd)  # noqa: PTH100 - text is quicker, and this is before every run
    while not os.path.lexists(os.path.join(folder, ".git")):  # noqa: PTH118 - the same
        above = os.path.dirname(folder)  # noqa: PTH120 - the same
        if above == folder:
            return None
        folder = above
    return folder


def _named_root(cwd: Path) -> str | None:
    """Return the top folder that the variables of git name, or None."""
    try:
        return top_folder(cwd)
    except GitError:
        return None


def top_folder(cwd: Path) -> str:
    """Return the top folder of the work tree, by git itself.

    Raises:
        GitError: There is none, or git did not answer.
    """
    answer = run_git(
        ["rev-parse", "--show-toplevel"],
        cwd,
        limit_bytes=SMALL_LIMIT_BYTES,
        timeout_s=QUICK_TIMEOUT_S,
    )
    return os.fsdecode(answer).removesuffix("\n")


def tracked_at(path: Path, cwd: Path) -> frozenset[str]:
    """Return the files that git tracks at or below a path, and the folders that contain them.

    The paths are absolute, without links in `cwd`. There is none if git does not answer.
    """
    try:
        listed = run_git(
            ["ls-files", "-z", "--", f":(literal){path}"],
            cwd,
            limit_bytes=_LIST_LIMIT_BYTES,
            timeout_s=QUICK_TIMEOUT_S,
        )
    except GitError:
        return frozenset()
    top, found = os.path.realpath(cwd), set[str]()
    for name in os.fsdecode(listed).split("\0")[:-1]:
        file = os.path.normpath(f"{top}/{name}")
        while file not in found:
            found.add(file)
            file = file.rpartition("/")[0]
    return frozenset(found)


def read_head(cwd: Path, *, timeout_s: float = QUICK_TIMEOUT_S) -> Facts:
    """Return `git.commit` (40 characters), `git.branch`, `git.dirty` and `git.has_untracked`.

    Also `git.root`, which may be corrected later. This calls git once, or twice if variables of
    git name a work tree; if that fails or takes too long, commit and branch are read from the
    files of the repository. Dirty means that tracked files have changed, staged or not; untracked
    files are a separate fact, because results are often among them.
    Source: git-status(1), porcelain format version 2.
    """
    is_elsewhere = not _PLACES.isdisjoint(os.environ)
    root = _named_root(cwd) if is_elsewhere else _root_above(cwd)
    # Starting git takes milliseconds, so it is skipped if there is nothing to find.
    if root is None and not is_elsewhere:
        return Facts(unknown=dict.fromkeys(_HEAD_FACTS, NO_REPOSITORY))
    values: dict[str, FactValue] = {} if root is None else {"git.root": root}
    try:
        # The head comes first; if the list of changes exceeds the limit, the tree is dirty anyway.
        answer = run_git(_STATUS, cwd, limit_bytes=_STATUS_LIMIT_BYTES, timeout_s=timeout_s)
    except GitError as error:
        from runstore.capture.git.head import head_in_files

        head = head_in_files(root)
        unknown = dict.fromkeys(_HEAD_FACTS, str(error))
        return Facts(unknown=unknown).merged(Facts(values={**values, **head} if head else {}))
    return Facts(values=values).merged(_head(answer))


def _head(answer: bytes) -> Facts:
    values: dict[str, FactValue] = {"git.dirty": False, "git.has_untracked": False}
    unknown: dict[str, str] = {}
    for line in answer.decode("utf-8", "replace").split("\0"):
        kind, _, rest = line.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            if (name, value) == ("branch.oid", "(initial)"):
                unknown["git.commit"] = NO_COMMIT
            elif name in _NAMES:
                values[_NAMES[name]] = value
        elif kind == "?" or (kind == "1" and rest.startswith(_NEW_IN_SUBMODULE)):
            values["git.has_untracked"] = True
        elif kind in {"1", "2", "u"}:
            values["git.dirty"] = True
    return Facts(values=values, unknown=unknown)

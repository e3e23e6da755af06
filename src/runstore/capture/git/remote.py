"""The top folder of a work tree, and its remote."""

from __future__ import annotations

import os
from pathlib import Path

from runstore.capture.git.state import (
    QUICK_TIMEOUT_S,
    SMALL_LIMIT_BYTES,
    GitError,
    GitUnavailableError,
    run_git,
    top_folder,
)
from runstore.capture.secrets import mask_text
from runstore.model.facts import Facts, FactValue

_URLS = r"^remote\..*\.url$"
_URLS_AND_PLACE = rf"{_URLS}|^core\.(bare|worktree)$"
# The file of settings if git found a folder `.git` in its working directory, or above.
_OWN_FILE = "file:.git/config"
# With these variables, the work tree or its settings may be elsewhere.
_ELSEWHERE = frozenset({"GIT_CONFIG", "GIT_DIR", "GIT_WORK_TREE"})


def read_remote(cwd: Path) -> Facts:
    """Return `git.remote`, without credentials, and `git.root`."""
    try:
        root, urls = _in_one_call(cwd) or (top_folder(cwd), _urls(cwd))
    except GitError as error:
        return Facts(unknown={"git.root": str(error), "git.remote": str(error)})
    values: dict[str, FactValue] = {"git.root": root}
    if not urls:
        return Facts(values=values, unknown={"git.remote": "the repository has no remote"})
    values["git.remote"] = mask_text(urls.get("remote.origin.url") or next(iter(urls.values())))
    return Facts(values=values)


def _in_one_call(cwd: Path) -> tuple[str, dict[str, str]] | None:
    """Return the top folder and the URLs; None unless this folder has the repository in `.git`.

    Raises:
        GitUnavailableError: git did not answer.
    """
    place = os.path.realpath(cwd)
    above = os.path.dirname(place)  # noqa: PTH120 - text all along
    if not os.path.isdir(os.path.join(place, ".git")) or os.pathsep in above:  # noqa: PTH112, PTH118 - the same
        return None
    if not _ELSEWHERE.isdisjoint(os.environ):
        return None
    try:
        # git does not search above, so a repository that it finds is that of this folder.
        found, files = _settings(cwd, _URLS_AND_PLACE, {"GIT_CEILING_DIRECTORIES": above})
    except GitUnavailableError:
        raise
    except GitError:
        return None
    is_top = found.pop("core.bare", "") == "false" and "core.worktree" not in found
    return (place, found) if is_top and _OWN_FILE in files else None


def _urls(cwd: Path) -> dict[str, str]:
    try:
        return _settings(cwd, _URLS, {})[0]
    except GitError:
        return {}


def _settings(
    cwd: Path, pattern: str, variables: dict[str, str]
) -> tuple[dict[str, str], set[str]]:
    """Return the settings whose names match a pattern, and their files. Source: git-config(1)."""
    answer = run_git(
        ["config", "--show-origin", "-z", "--get-regexp", pattern],
        cwd,
        limit_bytes=SMALL_LIMIT_BYTES,
        timeout_s=QUICK_TIMEOUT_S,
        variables=variables,
    )
    fields = answer.decode("utf-8", "replace").split("\0")
    return dict(one.partition("\n")[::2] for one in fields[1::2]), set(fields[::2])

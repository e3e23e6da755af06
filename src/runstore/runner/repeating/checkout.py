"""The recorded code of a run, in a temporary folder."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from runstore.analysis.reruns.identity import lost_code
from runstore.capture.git.state import GitError, GitUnavailableError, run_git
from runstore.errors import ConflictError, StoreError
from runstore.model.code.documents import (
    ENCODING,
    HIDDEN,
    IGNORED,
    NEW_FILES,
    OTHER_FILES,
    entries_of,
)
from runstore.model.display.short_names import short_name
from runstore.storage.files.unfinished import UnfinishedFolder
from runstore.value_classes import dataclass

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.store import Store

_TIMEOUT_S = 300.0
_LIMIT_BYTES = 1 << 26
_SHOWN = 12  # characters of a commit
_KEPT = "Nothing was started."
_BYTECODE = ".pyc"
_CODE = (".py", ".pyw", ".ipynb", _BYTECODE)
_STORE = ".runstore"
_PREFIX = "runstore-code-"
# Files beside the checkout: one until it is complete; then its name, and those of its untracked
# files before it is used. A program that cleans up temporary folders may remove them.
_NEW, _KNOWN = ".incomplete", "known.json"
_LINE_ENDS = ("core.autocrlf", "core.eol")
# No program of a repository runs, not even a hook.
_SETTINGS = ("-c", "core.hooksPath=/dev/null")


@dataclass(slots=True)
class Checkout:
    """A folder with the code of a run.

    Attributes:
        root: The folder, a repository of its own.
        is_kept: Whether it has files that the program wrote, and so was not deleted.
    """

    root: Path
    is_kept: bool = False

    def untracked(self) -> set[str]:
        """Return new files in it, except bytecode, relative to it."""
        listed = _git(["ls-files", "--others", "-z"], self.root)
        names = os.fsdecode(listed).split("\0")[:-1]
        return {
            one
            for one in names
            if not one.startswith(f"{_STORE}/") and "__pycache__" not in PurePosixPath(one).parts
        }


@contextmanager
def checked_out(
    store: Store, run: Run, root: Path | None, *, in_part: bool = False
) -> Iterator[Checkout]:
    """Yield the recorded code of a run, in a repository that shares the objects of the original.

    It has the commit, the uncommitted changes and the new files of the run. Data files that git
    does not track are links to the original ones. When the block ends it is deleted, unless the
    program has written files to it; if this process is killed, by the next one.

    Args:
        store: The store of the run.
        run: The run.
        root: The original repository.
        in_part: Whether changes and new files may be incomplete.

    Raises:
        ConflictError: The code was not recorded as a whole, or the commit is missing.
    """
    if run.commit is None or root is None:
        raise _refused(run, "it was not in a git repository")
    if not in_part and (lost := lost_code(run.facts)):
        # A masked patch may not apply.
        is_hopeless = "patch.masked" in run.facts.unknown
        todo = "" if is_hopeless else "To run the recorded part of it, add --anyway. "
        raise _refused(run, lost, todo)
    above = Path(tempfile.gettempdir())
    with UnfinishedFolder(above, _PREFIX, is_private=True, has_results=_has_results) as folder:
        checkout = Checkout(folder.path / (root.name or "code"))
        try:
            (folder.path / _NEW).touch()
            _fill(store, run, root, checkout.root)
            known = json.dumps([checkout.root.name, *checkout.untracked()])
            (folder.path / _KNOWN).write_text(known, encoding="utf-8")
            (folder.path / _NEW).unlink()
        except StoreError as error:
            error.kept = error.kept or _KEPT
            raise
        except (GitError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or getattr(error, "what", error)
            raise _refused(run, str(reason).rstrip(".")) from error
        folder.keep_locked_by_children()  # if this process is killed, they use it further
        try:
            yield checkout
        finally:
            checkout.is_kept = _has_results(folder.path)
            if checkout.is_kept:
                folder.keep()


def _has_results(above: Path) -> bool:
    """Check whether a program has written files to the checkout in a folder of `checked_out`."""
    try:
        if _NEW in (names := os.listdir(above)) or not names:  # noqa: PTH208 - names
            return False  # nothing was started in it
        name, *known = json.loads((above / _KNOWN).read_text(encoding="utf-8"))
        root = above / name
        return root.is_dir() and not Checkout(root).untracked() <= set(known)
    except (GitError, OSError, ValueError):
        return True  # it cannot be decided


def _fill(store: Store, run: Run, root: Path, place: Path) -> None:
    commit = str(run.commit)
    try:
        _git(["cat-file", "-e", f"{commit}^{{commit}}"], root)
    except GitUnavailableError as error:
        raise ValueError(str(error)) from error
    except GitError as error:
        raise ValueError(f"{root} does not have its commit {commit[:_SHOWN]}") from error
    _git(["clone", "--quiet", "--shared", "--no-checkout", str(root), str(place)], root)
    _git(["update-ref", "--no-deref", "HEAD", commit], place)
    _git(["read-tree", commit], place)
    patch = store.document(run.uid, "patch")
    if patch:
        file = place.parent / "changes.patch"
        file.write_text(patch, encoding="utf-8", errors="surrogateescape")
        _git(["apply", "--cached", "--whitespace=nowarn", str(file)], place)
    for setting in _LINE_ENDS:
        with suppress(GitError):  # it is not set
            _git(["config", setting, os.fsdecode(_git(["config", setting], root)).strip()], place)
    # After the attributes that the run had, which determine line ends as well.
    _git(["checkout-index", "--all", "--index"], place)
    if (place / ".gitmodules").exists():
        raise ValueError("its commit has submodules, which would be fetched")
    # The remote is recorded with each run.
    try:
        remote = os.fsdecode(_git(["config", "remote.origin.url"], root)).strip()
        _git(["config", "remote.origin.url", remote], place)
    except GitError:
        _git(["remote", "remove", "origin"], place)
    texts = entries_of(NEW_FILES, store.document(run.uid, NEW_FILES), run.reference)
    for name, text in texts.items():
        _write(place, name, text, _encoding(run, name))
    hidden = run.facts.values.get(HIDDEN)
    for name in _marked(run):
        _copy(root, place, name, over=isinstance(hidden, tuple) and name in hidden)
    if isinstance(hidden, tuple):
        _git(["update-index", "--assume-unchanged", "--", *hidden], place)
    linked = list(_link_data(root, place))
    with (place / ".git" / "info" / "exclude").open("a", encoding="utf-8") as ignored:
        ignored.writelines(f"/{_escaped(one)}\n" for one in linked)


def _git(words: Sequence[str], folder: Path) -> bytes:
    return run_git([*_SETTINGS, *words], folder, limit_bytes=_LIMIT_BYTES, timeout_s=_TIMEOUT_S)


def _marked(run: Run) -> Iterator[str]:
    """Yield code files of which only fingerprints were recorded."""
    for fact in (OTHER_FILES, IGNORED):
        lines = run.facts.values.get(fact)
        if isinstance(lines, tuple):
            names = (line.partition(" ")[2] for line in lines)
            yield from (one for one in names if not one.endswith(_BYTECODE))


def _inside(place: Path, name: str) -> Path:
    """Return a path in the folder.

    Raises:
        ValueError: The name or a link leads out of it.
    """
    file = place / name
    if not file.parent.resolve().is_relative_to(place.resolve()) or file.is_symlink():
        raise ValueError(f"{name} is not inside the repository")
    return file


def _encoding(run: Run, name: str) -> str:
    """Return the encoding of a new file, of which the text is recorded."""
    noted = f"; {run.facts.unknown.get(ENCODING, '')};"
    return "latin-1" if f"; {name} (latin-1);" in noted else "utf-8"


def _write(place: Path, name: str, text: str, encoding: str) -> None:
    file = _inside(place, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding=encoding, errors="surrogateescape", newline="")
    if text.startswith("#!"):  # rights of new files are not recorded
        file.chmod(file.stat().st_mode | stat.S_IXUSR)


def _copy(root: Path, place: Path, name: str, *, over: bool) -> None:
    """Copy a file from the original folder; the comparison that follows shows a changed one."""
    file = _inside(place, name)
    if (root / name).is_file() and (over or not file.exists()):
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, file)


def _link_data(root: Path, place: Path) -> Iterator[str]:
    """Link files and folders that git does not track, except code that the run did not have."""
    listed = os.fsdecode(_git(["ls-files", "--others", "--directory", "-z"], root))
    for name in listed.split("\0")[:-1]:
        yield from _linked(root, place, name.rstrip("/"))


def _linked(root: Path, place: Path, name: str) -> Iterator[str]:
    source, target = root / name, place / name
    if PurePosixPath(name).name in {_STORE, "__pycache__"} or name.endswith(_CODE):
        return
    if not os.path.lexists(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)
        yield name
    elif source.is_dir() and not source.is_symlink() and not target.is_symlink():
        for inner in sorted(source.iterdir()):
            yield from _linked(root, place, f"{name}/{inner.name}")


def _escaped(name: str) -> str:
    """Return a name as a pattern of git that matches only it."""
    return "".join(f"\\{sign}" if sign in "*?[]\\#! " else sign for sign in name)


def _refused(run: Run, why: str, todo: str = "") -> ConflictError:
    return ConflictError(
        f"The recorded code of {short_name(run)} cannot be restored: {why}.",
        kept=_KEPT,
        hint=f"{todo}Recorded texts are shown by: runstore show {short_name(run)} --full",
    )


def import_first(root: Path) -> None:
    """Make programs import the packages in a checkout, not those of an editable installation."""
    folders = [str(root / "src")] if (root / "src").is_dir() else []
    if (root / "pyproject.toml").is_file() or (root / "setup.py").is_file():
        folders.append(str(root))
    if folders:
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([*folders, *([before] if before else [])])

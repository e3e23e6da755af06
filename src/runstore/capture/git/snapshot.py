"""The code beyond the commit: the patch of changes and the untracked files.

Only text is kept, masked and limited in size. Ignored files are skipped, except for the program.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from runstore.capture.git.asking import Asker, RunGit
from runstore.capture.git.ignored_modules import ignored_modules
from runstore.capture.git.kept_files import KeptFiles
from runstore.capture.git.source_files import is_code, is_source, masked_path
from runstore.capture.git.state import GitError
from runstore.capture.git.tracked import Tracked
from runstore.capture.program.files import Command, LoadedModule
from runstore.errors import genuine
from runstore.model.code.documents import HIDDEN
from runstore.model.facts import Facts
from runstore.value_classes import NamedTuple

FILE_LIMIT_BYTES = 1 << 18
PROGRAM_LIMIT_BYTES = 1 << 20
_NAMES_LIMIT_BYTES = 1 << 24
_FILES_AT_MOST = 1000
_GLOB = str.maketrans({sign: f"\\{sign}" for sign in "*?[]\\"})
# The files of a store change with every run, and are not code.
_DATABASE = "runstore.db"
_BEGIN_FILES_OF_A_STORE = (_DATABASE, "search.db", "store.json")
_OF_A_STORE = frozenset({"spool", "objects", "objects.lock", "runs", "cache"})
# Made from the code, and never read without it.
_COMPILED = ":(exclude,glob)**/__pycache__/**"


def snapshot(
    root: Path,
    run_git: RunGit,
    *,
    store: Path | None = None,
    program: Sequence[str] = (),
    modules: Mapping[str, LoadedModule] | None = None,
    command: Command | None = None,
    has_changes: bool = True,
    has_new_files: bool = True,
) -> Facts:
    """Return the documents `patch` and `untracked` of a work tree, if they are not empty.

    The result also has `modules`, with a fingerprint for each loaded module that is in neither of
    them nor in the commit, and `git.dirty` and `git.has_untracked`. Missing parts are among the
    unknown facts: `patch.rest`, `patch.masked`, `patch.submodules`, `patch.filters`,
    `untracked.cut`, `untracked.masked`, and `untracked.rest` for new files whose text is not
    kept; `untracked.others` has a fingerprint for each of those, as has `patch.others` for changed
    files that are not in the patch. `git.hidden` names the tracked files among them.

    Args:
        root: The top folder of the work tree.
        run_git: Calls git.
        store: The folder of the store, whose files are excluded.
        program: Absolute paths of the program's files, which are kept first.
        modules: The program's own modules that are loaded.
        command: The command of another process, if that is the program, and its folder.
        has_changes: Whether tracked files may have changed.
        has_new_files: Whether there may be files that are neither tracked nor ignored.
    """
    but = _files_of_a_store(root, store)
    own = _Program.at(root, program)
    own = own._replace(outside=own.outside[:1])
    patch = Facts()
    if has_changes:
        from runstore.capture.git.patch import read_patch

        patch = read_patch(Asker(root, run_git), but, own.inside)
    loaded = modules if command is None else command
    # Nor are databases of other stores read: this process may have locks on them, which end when
    # a file is closed.
    databases = [f":(exclude,glob)**/{_DATABASE}{end}" for end in ("", "-wal", "-shm")]
    but += [*databases, _COMPILED]
    new = _untracked(Asker(root, run_git), but, own, loaded, is_asked=has_new_files)
    return patch.merged(new)


def program_alone(root: Path, program: Sequence[str]) -> Facts:
    """Return the document `untracked` of files outside any repository, by name below `root`."""
    own = _Program.at(root, program)
    files = KeptFiles(root)
    # Such names stay the same when all of it is copied elsewhere.
    outside = [os.path.relpath(one, root) for one in own.outside]
    files.read((*own.inside, *outside), PROGRAM_LIMIT_BYTES)
    return files.facts()


class _Program(NamedTuple):
    """The files of the program: those in the work tree by relative path, and the others."""

    inside: tuple[str, ...]
    outside: tuple[str, ...]

    @classmethod
    def at(cls, root: Path, files: Sequence[str]) -> _Program:
        inside, outside = [], []
        resolved = root.resolve()
        for one in files:
            place = _place(one)
            if place.is_relative_to(resolved):
                inside.append(place.relative_to(resolved).as_posix())
            else:
                outside.append(one)
        return cls(tuple(inside), tuple(outside))


def _place(file: str) -> Path:
    """Return the path of a file in the work tree; links in the last part are not resolved."""
    path = Path(file)
    try:
        return path.parent.resolve() / path.name
    except genuine(OSError, RuntimeError):
        return path


def _files_of_a_store(root: Path, store: Path | None) -> list[str]:
    """Return the patterns that exclude the files of a store inside the work tree."""
    if store is None:
        return []
    place = store.resolve()
    if not place.is_relative_to(root):
        return []
    folder = place.relative_to(root).as_posix().translate(_GLOB)
    names = [*sorted(_OF_A_STORE), *(f"{one}*" for one in _BEGIN_FILES_OF_A_STORE)]
    return [f":(exclude,glob){folder}/{name}{end}" for name in names for end in ("", "/**")]


def _untracked(
    ask: Asker,
    but: list[str],
    own: _Program,
    modules: Mapping[str, LoadedModule] | Command | None,
    *,
    is_asked: bool,
) -> Facts:
    """Return untracked files that are not ignored, and untracked files of the program.

    Also changed files that git assumes to be unchanged, and modules that are in none of these.
    """
    names: list[str] = []
    try:
        names = _new_names(ask, but) if is_asked else []
    except GitError as error:
        listed = Facts(unknown={"untracked": str(error)})
    else:
        listed = Facts(values={"git.has_untracked": bool(names)})
    files, tracked = KeptFiles(ask.root), Tracked(ask)
    hidden = _hidden_changes(ask, tracked)
    _read(files, own, names, hidden, tracked)
    ignored = Facts() if listed.unknown else ignored_modules(ask, but)
    found = listed.merged(_hidden_facts(hidden, files)).merged(files.facts()).merged(ignored)
    if modules is None or not (modules or own.inside or own.outside):
        return found

    def is_kept(paths: Sequence[str]) -> set[str]:
        return tracked.among(paths).union(names, files.texts)

    return found.merged(_module_facts(ask.root, own, modules, is_kept))


def _read(
    files: KeptFiles, own: _Program, names: Sequence[str], hidden: Sequence[str], tracked: Tracked
) -> None:
    """Read files in the order of their worth, because not all may fit."""
    new = set(names)
    kept = tracked.among([one for one in own.inside if one not in new])
    files.read((*_script(own, names, kept), *own.outside), PROGRAM_LIMIT_BYTES)
    # git sees no change of these, so they are not in the patch.
    files.read(hidden, PROGRAM_LIMIT_BYTES)
    loaded = [one for one in own.inside if one in new]
    files.read((*loaded, *sorted(names, key=_worth)[:_FILES_AT_MOST]), FILE_LIMIT_BYTES)
    if len(names) > _FILES_AT_MOST:
        more = len(names) - _FILES_AT_MOST
        files.left_out.append(f"{more} more file{'' if more == 1 else 's'}")
        files.unknown["untracked.cut"] = f"they are more than {_FILES_AT_MOST}"


def _hidden_facts(hidden: Sequence[str], files: KeptFiles) -> Facts:
    """Return the facts about changed files that git assumes to be unchanged."""
    if not hidden:
        return Facts()
    names = tuple(map(masked_path, hidden))
    found = Facts(values={HIDDEN: names})
    if files.texts.keys() >= set(names):
        return found
    why = "changes of some files are hidden from git, and the files were not recorded"
    return found._replace(unknown={"patch.hidden": why})


def _module_facts(
    root: Path,
    own: _Program,
    modules: Mapping[str, LoadedModule] | Command,
    is_kept: Callable[[Sequence[str]], set[str]],
) -> Facts:
    """Return the facts about modules of the program whose text is kept nowhere."""
    if isinstance(modules, Command):
        from runstore.capture.program.command_modules import modules_of_command

        return modules_of_command(root, modules, is_kept)
    from runstore.capture.program.modules import modules_at_start

    scripts = [str(root / one) for one in (*own.inside[:1], *own.outside)]
    return modules_at_start(root, modules, scripts, is_kept)


def _hidden_changes(ask: Asker, tracked: Tracked) -> list[str]:
    flagged = tracked.flagged()
    if not flagged:
        return []
    from runstore.capture.git.hidden_changes import changed_among

    return changed_among(ask, flagged)


def _new_names(ask: Asker, but: list[str]) -> list[str]:
    """Return the files that are neither tracked nor ignored, without those of other stores."""
    listed = ask(
        ["ls-files", "--others", "--exclude-standard", "-z", "--", ".", *but], _NAMES_LIMIT_BYTES
    )
    # The last entry is empty, or cut.
    names = os.fsdecode(listed).split("\0")[:-1]
    is_store = cache(lambda folder: os.path.lexists(ask.root / folder / _DATABASE))
    return [name for name in names if not any(map(is_store, _folders_of_stores(name)))]


def _folders_of_stores(name: str) -> Iterator[str]:
    """Yield the folders whose store a file may belong to: `a` for `a/objects/b`."""
    folder = ""
    for part in name.split("/"):
        if part in _OF_A_STORE or part.startswith(_BEGIN_FILES_OF_A_STORE):
            yield folder
        folder += f"{part}/"


def _script(own: _Program, names: Sequence[str], kept: set[str]) -> Sequence[str]:
    """Return the main script if it is untracked; it may be ignored."""
    return [one for one in own.inside[:1] if one in names or one not in kept]


def _worth(name: str) -> tuple[bool, bool, int, str]:
    return not is_code(name), not is_source(name), name.count("/"), name

"""The code beyond the commit: the patch of changes and the untracked files.

Only text is kept, masked and limited in size. Ignored files are skipped, except for the program.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from runstore.capture.git.asking import Asker, RunGit
from runstore.capture.git.ignored_modules import ignored_modules
from runstore.capture.git.source_files import (
    is_code,
    is_secret_file,
    is_source,
    masked_path,
    shown,
)
from runstore.capture.git.state import GitError
from runstore.capture.git.tracked import Tracked
from runstore.capture.program.files import Command, LoadedModule
from runstore.capture.secrets import mask_text
from runstore.errors import genuine
from runstore.model.code.documents import HIDDEN
from runstore.model.facts import Facts, FactValue
from runstore.model.values import blake2b, free_name
from runstore.value_classes import NamedTuple

FILE_LIMIT_BYTES = 1 << 18
PROGRAM_LIMIT_BYTES = 1 << 20
UNTRACKED_LIMIT_BYTES = 1 << 22
_NAMES_LIMIT_BYTES = 1 << 24
_FILES_AT_MOST = 1000
_NAMED_AT_MOST = 50
_GLOB = str.maketrans({sign: f"\\{sign}" for sign in "*?[]\\"})
# The files of a store change with every run, and are not code.
_DATABASE = "runstore.db"
_BEGIN_FILES_OF_A_STORE = (_DATABASE, "search.db", "store.json")
_OF_A_STORE = frozenset({"spool", "objects", "objects.lock", "runs", "cache"})
# Made from the code, and never read without it.
_COMPILED = ":(exclude,glob)**/__pycache__/**"

# Masked texts of the previous run, None if nothing was masked, by the digest of name and text:
# programs start many runs with the same files.
_masked_before: dict[bytes, str | None] = {}


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
    files = _Files(root)
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
    values: dict[str, FactValue] = {}
    unknown: dict[str, str] = {}
    names: list[str] = []
    try:
        names = _new_names(ask, but) if is_asked else []
    except GitError as error:
        unknown["untracked"] = str(error)
    else:
        values["git.has_untracked"] = bool(names)
    files = _Files(ask.root)
    tracked = Tracked(ask)
    kept = tracked.among([one for one in own.inside if one not in set(names)])
    files.read((*_script(own, names, kept), *own.outside), PROGRAM_LIMIT_BYTES)
    # git sees no change of these, so they are not in the patch.
    hidden = _hidden_changes(ask, tracked)
    files.read(hidden, PROGRAM_LIMIT_BYTES)
    if hidden:
        values[HIDDEN] = tuple(map(masked_path, hidden))
    if any(masked_path(one) not in files.texts for one in hidden):
        unknown["patch.hidden"] = (
            "changes of some files are hidden from git, and the files were not recorded"
        )
    loaded = [one for one in own.inside if one in set(names)]
    files.read((*loaded, *sorted(names, key=_worth)[:_FILES_AT_MOST]), FILE_LIMIT_BYTES)
    if len(names) > _FILES_AT_MOST:
        more = len(names) - _FILES_AT_MOST
        files.left_out.append(f"{more} more file{'' if more == 1 else 's'}")
        files.unknown["untracked.cut"] = f"they are more than {_FILES_AT_MOST}"
    ignored = Facts() if "untracked" in unknown else ignored_modules(ask, but)
    found = Facts(values=values, unknown=unknown).merged(files.facts()).merged(ignored)
    if modules is None or not (modules or own.inside or own.outside):
        return found
    scripts = [str(ask.root / one) for one in (*own.inside[:1], *own.outside)]

    def is_kept(paths: Sequence[str]) -> set[str]:
        return tracked.among(paths).union(names, files.texts)

    if isinstance(modules, Command):
        from runstore.capture.program.command_modules import modules_of_command

        return found.merged(modules_of_command(ask.root, modules, is_kept))
    from runstore.capture.program.modules import modules_at_start

    return found.merged(modules_at_start(ask.root, modules, scripts, is_kept))


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


class _Files:
    """Texts of files by name, as many as fit."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.texts: dict[str, str] = {}
        self.masked: dict[bytes, str | None] = {}
        self.left_out: list[str] = []
        self.unknown: dict[str, str] = {}
        self.room = UNTRACKED_LIMIT_BYTES
        self.done: set[str] = set()
        self.marks: list[str] = []
        self.names: set[str] = set()
        self.unkept: list[str] = []

    def read(self, names: Iterable[str], limit_bytes: int) -> None:
        """Read files; binary, large and secret files are only named."""
        for name in names:
            if name not in self.done:
                self.done.add(name)
                why = self._keep(name, limit_bytes)
                if why:
                    self.left_out.append(f"{masked_path(name)} ({why})")
                    self.unkept.append(name)

    def _keep(self, name: str, limit_bytes: int) -> str:
        """Keep one file; return the reason if it is left out."""
        if is_secret_file(name):
            return "may hold secrets"
        try:
            text, encoding, why = _text_of(self.root / name, limit_bytes)
        except genuine(OSError, ValueError) as error:
            return str(getattr(error, "strerror", None) or error)
        if why:
            return why
        if len(text) > self.room:
            limit = UNTRACKED_LIMIT_BYTES >> 20
            self.unknown["untracked.cut"] = f"they are larger than {limit} MiB"
            return "no room left"
        self.room -= len(text)
        masked = self.texts[self._masked_name(name)] = self._mask_text(text, name)
        if masked != text:
            self._note_masked(name)
        if encoding:
            known = self.unknown.get("untracked.encoding")
            told = f"{masked_path(name)} ({encoding})"
            self.unknown["untracked.encoding"] = f"{known}; {told}" if known else told
        return ""

    def _mask_text(self, text: str, name: str) -> str:
        whole = f"{name}\0{text}".encode("utf-8", "surrogatepass")
        key = blake2b(whole, digest_size=32).digest()
        if key in _masked_before:
            masked = _masked_before[key]
        else:
            masked = mask_text(text, name)
            masked = None if masked == text else masked
        self.masked[key] = masked
        return text if masked is None else masked

    def _masked_name(self, name: str) -> str:
        """Return the unique path of a file without tokens, and note if it had some."""
        masked = free_name(masked_path(name), self.names)
        self.names.add(masked)
        if masked != shown(name):
            self._note_masked(name)
        return masked

    def _note_masked(self, name: str) -> None:
        self.unknown["untracked.masked"] = f"secrets in {masked_path(name)} were masked"

    def _mark(self, names: Sequence[str]) -> None:
        """Note fingerprints of files whose text is not kept, to detect changes."""
        from runstore.capture.program.fingerprints import Fingerprints

        fingerprints = Fingerprints()
        for name in names:
            try:
                mark = fingerprints.of(self.root / name, is_secret=is_secret_file(name))
            except genuine(OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or error
                self.unknown["untracked.others"] = f"{masked_path(name)}: {why}"
            else:
                self.marks.append(f"{mark} {self._masked_name(name)}")

    def facts(self) -> Facts:
        """Return the document, and its missing parts."""
        global _masked_before  # noqa: PLW0603 - what the next run may reuse
        _masked_before = self.masked
        if self.left_out:
            more = len(self.left_out) - _NAMED_AT_MOST
            named = self.left_out[:_NAMED_AT_MOST] + ([f"{more} more"] if more > 0 else [])
            self.unknown["untracked.rest"] = "; ".join(named)
        if self.unkept:
            self._mark(sorted(self.unkept))
        # The order does not depend on that of reading.
        text = json.dumps(self.texts, ensure_ascii=False, indent=1, sort_keys=True)
        documents = {"untracked": text} if self.texts else {}
        is_marked = self.marks and "untracked.others" not in self.unknown
        values: dict[str, FactValue] = (
            {"untracked.others": tuple(sorted(self.marks))} if is_marked else {}
        )
        return Facts(values=values, documents=documents, unknown=self.unknown)


def _text_of(file: Path, limit_bytes: int) -> tuple[str, str, str]:
    """Return the text of a file with its encoding if that is not UTF-8, or the reason for none."""
    about = file.lstat()
    # A link can lead anywhere, and a pipe may never end.
    if not stat.S_ISREG(about.st_mode):
        return "", "", "not a plain file"
    if about.st_size > limit_bytes:
        return "", "", f"larger than {limit_bytes >> 10} KiB"
    with file.open("rb") as opened:
        data = opened.read(limit_bytes + 1)
    if b"\0" in data:
        return "", "", "not text"
    try:
        return data.decode("utf-8"), "", ""
    except UnicodeDecodeError:
        # Each byte of code is kept: Latin-1 maps all of them to characters.
        return (
            (data.decode("latin-1"), "latin-1", "") if is_code(file.name) else ("", "", "not text")
        )

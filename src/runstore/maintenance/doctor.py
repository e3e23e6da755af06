"""Checks of a store: damage, dangling references, unreferenced data."""

from __future__ import annotations

import re
import shlex
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runstore.errors import NotFoundError, StoreCorruptError, StoreUnavailableError, genuine
from runstore.inflight.deferred import is_over
from runstore.location import server_of
from runstore.maintenance.gc import gone_folders, gone_in_flight
from runstore.maintenance.recovery import files_of_other_urls, files_without_run
from runstore.maintenance.usage import folders_named, names_of
from runstore.model.artifacts import why_no_name
from runstore.model.display.formatting import size_text
from runstore.model.reference import folder_name
from runstore.model.results.findings import (
    DAMAGED,
    DANGLING,
    ORPHANED,
    UNCHECKED,
    UNUSED,
    WAITING,
    Finding,
)
from runstore.storage.backend import RUNS, STORE_JSON
from runstore.storage.files.safe_files import folder_at, names_in
from runstore.storage.files.spool import uid_of
from runstore.storage.integrity.checks import Checks
from runstore.storage.integrity.orphan_rows import OrphanRows
from runstore.storage.integrity.references import References
from runstore.storage.sqlite.paths import DATABASE
from runstore.store_json.file import REGISTRY

if TYPE_CHECKING:
    from runstore.storage.backend import Backend
    from runstore.storage.files.objects import Objects

_NAMES_TOLD = 100
_CLEAN_UP = "To remove them: runstore gc"
_RECOVER = "Copy the folder aside first, then recover it with .recover in sqlite3."
_REPLACE = "Check its target, then remove it: runstore creates its own when required."
_TRUST = "It is imported when that user opens the store; to import it yourself: runstore trust {}"
_LEFT_ALONE = "It is ignored. Remove it if it is not yours."
_GET_BACK = (
    "If the database was restored from a backup, get the runs from a newer copy of the store with"
    " runstore pull COPY, and this data is added to them. Without a copy, add the data to new runs"
    " with runstore push --recover."
)
_DELIVER = "To try again: runstore push"
_OTHER_URL = (
    "If that is an earlier URL of this store, and this store is not a copy, add the data with:"
    " runstore push --recover"
)
_ODD_PATHS = (
    "Other commands do not write these files. Another program wrote the names: delete the runs,"
    " or read the files in Python with Run.open."
)
_OWN_FOLDERS = frozenset({"spool", "objects", RUNS})
# People keep these on other disks.
_MAY_BE_LINKS = frozenset({DATABASE, STORE_JSON, REGISTRY})
_OWN_FILES = re.compile(
    r"\.gitignore|objects\.lock|(runstore|search)\.db(-wal|-shm|-journal|\.before-schema-\d+)?"
    r"|\.?(store|params_registry)\.json(\.lock|\.new|\.damaged-.*)?"
)
_NOT_OURS = "Objects that you did not add may do harm; export the runs to a new store."
_MIGRATE = "Ask the owner of the database to restore them: runstore migrate"
_REPLACED = "A placeholder is shown instead. Repair the value in {}, or delete the run."
_RESTORE = "Restore them from a backup of the store."
_MEND = "Save the same contents again, or copy the file from a backup into objects/."
_MEND_ELSEWHERE = "Save the same contents again, or restore the objects from a backup."


def check(backend: Backend, *, is_deep: bool) -> tuple[Finding, ...]:
    """Check a store; see `Store.check`."""
    parts: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _engine(backend, is_deep=is_deep),
        lambda: _odd_files(backend),
        lambda: _schema(backend),
        lambda: _rows(backend),
        lambda: _hashes(backend) if is_deep else iter(()),
        lambda: _paths(backend),
        lambda: _objects(backend, is_deep=is_deep),
        lambda: _folders(backend),
        lambda: _in_flight(backend),
        lambda: _waiting(backend),
    )
    return tuple(finding for part in parts for finding in _unless_unreadable(backend, part))


def _unless_unreadable(
    backend: Backend, part: Callable[[], Iterator[Finding]]
) -> Iterator[Finding]:
    """Yield the findings of a part; an unreadable database is a finding too."""
    try:
        yield from part()
    except StoreCorruptError as error:
        recover = _RECOVER if backend.server is None else error.hint or _RESTORE
        yield Finding(DAMAGED, error.what, (), recover)


def _engine(backend: Backend, *, is_deep: bool) -> Iterator[Finding]:
    problems = backend.database.driver.problems(is_deep=is_deep)
    yield from _findings(DAMAGED, "the database file", problems, _RECOVER)


def _odd_files(backend: Backend) -> Iterator[Finding]:
    """Yield entries in place of the store's own files and folders, such as links."""
    odd: list[str] = []
    with suppress(FileNotFoundError):  # the folder beside a server could not be created
        odd = [f"{name} ({why})" for name, why in _odd_names(backend.path)]
    yield from _findings(DAMAGED, "not created by runstore, and not used", odd, _REPLACE)


def _odd_names(folder: Path) -> Iterator[tuple[str, str]]:
    with folder_at(folder, levels=0) as place:
        for name in place.names():
            if name in _OWN_FOLDERS:
                is_right, why = stat.S_ISDIR, "it is a link, or not a folder"
            elif name in _MAY_BE_LINKS or not _OWN_FILES.fullmatch(name):
                continue
            else:
                is_right, why = stat.S_ISREG, "it is a link, or not a regular file"
            found = place.entry(name)
            if not is_right(found.st_mode):
                yield name, why
            elif stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
                yield name, "it is a hard link of another file"


def _schema(backend: Backend) -> Iterator[Finding]:
    names = Checks(backend.database).schema()
    if backend.server is None:
        what, hint = "tables not created by runstore, or altered", _NOT_OURS
    else:
        what, hint = "missing parts of the tables", _MIGRATE
    yield from _findings(DAMAGED, what, names, hint)


def _rows(backend: Backend) -> Iterator[Finding]:
    shell = "sqlite3" if backend.server is None else "psql"
    for what, names in Checks(backend.database).damaged():
        yield from _findings(DAMAGED, what, names, _REPLACED.format(shell))
    for what, names in Checks(backend.database).wrong():
        yield from _findings(
            DANGLING, what, names, "Please report it: runstore writes no such rows."
        )
    counts = OrphanRows(backend.database).counted()
    told = [f"{table}: {count:,}" for table, count in counts.items()]
    yield from _findings(UNUSED, "unreferenced rows", told, _CLEAN_UP)


def _hashes(backend: Backend) -> Iterator[Finding]:
    """Yield values and edits, if they differ from their hashes."""
    from runstore.storage.integrity.hashes import altered
    from runstore.storage.integrity.history import verify

    values, edits = altered(backend.database.driver), verify(backend.database.driver)
    yield from _findings(DAMAGED, "stored values were changed", values.names, _RESTORE)
    yield from _findings(DAMAGED, "the history of edits was changed", edits.problems, _RESTORE)
    for count, what in (
        (values.not_covered, "chunks and summaries of metrics"),
        (edits.not_covered, "edits"),
    ):
        if count:
            told = f"{what} without a hash, recorded by an older runstore: {count:,}"
            yield Finding(UNCHECKED, told, (), "")


def _paths(backend: Backend) -> Iterator[Finding]:
    """Yield artifacts whose paths lead out of the folder of a run, or are no file names."""
    odd = [
        f"{reference}: {name} {why}"
        for _, reference, kind, name, _, _ in References(backend.database).every()
        if kind == "artifact" and (why := why_no_name(name))
    ]
    yield from _findings(DAMAGED, "invalid paths of artifacts", odd, _ODD_PATHS)


def _objects(backend: Backend, *, is_deep: bool) -> Iterator[Finding]:
    """Yield findings about contents; a place of contents that is away is a finding too."""
    try:
        yield from _contents(backend, is_deep=is_deep)
        yield from _files(backend)
    except StoreUnavailableError as error:
        yield Finding(DANGLING, error.what, (), error.hint or "")


def _contents(backend: Backend, *, is_deep: bool) -> Iterator[Finding]:
    """Yield contents that are missing or changed although runs refer to them."""
    objects = backend.objects
    size_of = objects.sizes()
    missing, changed = [], []
    for _, reference, kind, name, digest, size in References(backend.database).every():
        told = f"{reference}: {kind} {name} ({digest[:12]}…)"
        try:
            if size_of(digest) != size:
                changed.append(told)
            elif is_deep:
                objects.check(digest, size)
        except StoreUnavailableError:
            raise
        except (FileNotFoundError, NotFoundError):
            missing.append(told)
        except genuine(OSError, StoreCorruptError):
            changed.append(told)
    mend = _MEND if backend.server is None else _MEND_ELSEWHERE
    yield from _findings(DANGLING, "contents are missing", missing, mend)
    yield from _findings(DAMAGED, "contents were changed or cannot be read", changed, mend)


def _files(backend: Backend) -> Iterator[Finding]:
    """Yield unreferenced files below `objects`."""
    objects = backend.objects
    needed = References(backend.database).needed() | backend.spool.awaited_digests()
    unused, coming, strange = [], [], []
    for path in _files_of(objects):
        digest = objects.digest_at(path)
        if objects.is_leftover(path):
            coming.append(path)
        elif digest is None:
            strange.append(path)
        elif digest not in needed:
            unused.append(path)
    for paths, what in (
        (unused, "unreferenced contents"),
        (coming, "files being saved, or left by a crash"),
    ):
        size = size_text(sum(_size(objects, path) for path in paths))
        told = f"{what}: {len(paths):,}, {size}"
        yield from _findings(UNUSED, told, map(objects.shown, paths), _CLEAN_UP)
    yield from _findings(ORPHANED, "foreign files among the contents", map(str, strange))
    yield from _findings(ORPHANED, "foreign objects in the bucket", objects.foreign())


def _folders(backend: Backend) -> Iterator[Finding]:
    """Yield run folders without a run, and runs without their folder."""
    checks = Checks(backend.database)
    missing = [
        reference
        for uid, reference in checks.full_stores()
        if not folders_named(backend, names_of(backend, uid, reference))
    ]
    yield from _findings(DANGLING, "the folder of plain files is missing", missing)
    gone = map(str, sorted(set(gone_folders(backend))))
    yield from _findings(ORPHANED, "folders of permanently deleted runs", gone, _CLEAN_UP)
    known = {folder_name(name) for name in backend.trash.every_reference()}
    if backend.server is not None:
        from runstore.storage.postgres.waiting import waiting_references

        known |= {folder_name(name) for name in waiting_references(backend.path)}
    runs = backend.path / RUNS
    strange = [str(runs / name) for name in _names_in(runs) if name not in known]
    yield from _findings(ORPHANED, "foreign files in runs/", strange)


def _in_flight(backend: Backend) -> Iterator[Finding]:
    """Yield files of the spool, if invalid or created by another user."""
    refused = backend.spool.look_through()
    odd = [f"{path.name} ({why})" for path, why in sorted(refused.items())]
    yield from _findings(DAMAGED, "in flight, but invalid", odd, _LEFT_ALONE)
    gone = set(gone_in_flight(backend))
    told = "in flight, of permanently deleted runs"
    yield from _findings(ORPHANED, told, map(str, sorted(gone)), _CLEAN_UP)
    waiting = [str(path) for path in backend.spool.files_of_others() if _is_over(backend, path)]
    hint = _TRUST.format(shlex.quote(str(backend.path)))
    yield from _findings(ORPHANED, "in flight, of another user", waiting, hint)
    known = Checks(backend.database).uids()
    apart = {*gone, *refused}
    without_run = [path for some in files_without_run(backend).values() for path in some]
    lost = [path for path in without_run if path not in apart]
    told = "in flight, but the run is missing"
    yield from _findings(ORPHANED, told, map(str, lost), _GET_BACK)
    # The user's private folder is shared by all stores: unknown files may belong to another one.
    place = backend.spool.place
    apart.update(lost)
    strange = [
        str(path)
        for path in backend.spool.every_file()
        if path.parent == place and path not in apart and uid_of(path) not in known
    ]
    told = "in flight, but not of a run of this store"
    yield from _findings(ORPHANED, told, strange, _LEFT_ALONE)


def _waiting(backend: Backend) -> Iterator[Finding]:
    """Yield data that waits for the database or the bucket, and runs that wait for the server."""
    names = [
        f"{run.reference}: {record.kind} {record.body.get('path', '')}".rstrip()
        for record in backend.spool.records(is_to_take=True)
        if (run := backend.database.run_by_uid(record.uid)) is not None
    ]
    yield from _findings(WAITING, "not written to the store yet", names, _DELIVER)
    if backend.server is not None:
        from runstore.storage.postgres.waiting import waiting_references

        runs = sorted(waiting_references(backend.path))
        yield from _findings(WAITING, "runs that are not on the server yet", runs, _DELIVER)
        for folder, paths in files_of_other_urls(backend).items():
            told = f"in flight for another URL, of runs of this store: {server_of(folder)}"
            yield from _findings(WAITING, told, map(str, paths), _OTHER_URL)


def _is_over(backend: Backend, path: Path) -> bool:
    run = backend.database.run_by_uid(uid_of(path))
    return run is not None and is_over(run)


def _findings(kind: str, what: str, names: Iterable[str], hint: str = "") -> Iterator[Finding]:
    """Yield the finding about some names, unless there are none."""
    if told := list(names):
        yield Finding(kind, what, tuple(told[:_NAMES_TOLD]), hint)


def _size(objects: Objects, path: Path) -> int:
    try:
        return objects.stored_size(path)
    except genuine(OSError):
        return 0


def _files_of(objects: Objects) -> list[Path]:
    try:
        return list(objects.files())
    except StoreUnavailableError:
        raise
    except genuine(OSError):  # a link, or not a folder, which another finding reports
        return []


def _names_in(folder: Path) -> list[str]:
    try:
        return names_in(folder)
    except genuine(OSError):  # a link, or not a folder, which another finding reports
        return []

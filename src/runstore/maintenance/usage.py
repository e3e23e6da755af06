"""Disk usage of runs: contents, folders of plain files, and shared files."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from runstore.errors import suppressed
from runstore.model.reference import folder_name
from runstore.model.results.deletion import Amount, Freed
from runstore.storage.backend import RUNS, Backend
from runstore.storage.files.safe_files import files_below, folder_at
from runstore.storage.integrity.references import References


def freed_by(backend: Backend, runs: Mapping[str, Sequence[str]]) -> tuple[Freed, Amount]:
    """Return the files used only by these runs, and their contents shared with others.

    `runs` are the current and former references of each run, by uid.
    """
    references = References(backend.database)
    awaited = backend.spool.awaited_digests()
    going, staying = Amount(), Amount()
    for digest in references.of_runs(runs):
        size_bytes = backend.objects.size_of(digest)
        size = Amount() if size_bytes is None else Amount(1, size_bytes)
        if digest in awaited or not references.users_of(digest) <= runs.keys():
            staying += size
        else:
            going += size
    folders = {folder for names in runs.values() for folder in folders_named(backend, names)}
    return Freed(contents=going, folders=sum(map(amount_in, folders), Amount())), staying


def names_of(backend: Backend, uid: str, reference: str) -> list[str]:
    """Return the current and former references of a run."""
    return [reference, *backend.moves.former_references(uid)]


def folders_named(backend: Backend, references: Iterable[str]) -> list[Path]:
    """Return the existing folders of plain files for references."""
    runs, there = Path(backend.home, RUNS), []
    with suppressed(OSError), folder_at(runs, levels=1) as found:
        for name in map(folder_name, references):
            with suppressed(OSError):
                if stat.S_ISDIR(found.entry(name).st_mode):
                    there.append(runs / name)
    return there


def amount_in(folder: Path) -> Amount:
    """Return the number and size of the files in a run's folder, without following links.

    Unreadable entries are omitted.
    """
    total = Amount()
    with suppressed(OSError), folder_at(folder, levels=2) as found:
        for one in files_below(found):
            total += Amount(1, one.st_size)
    return total

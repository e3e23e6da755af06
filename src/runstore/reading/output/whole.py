"""Reading what a run printed, whole or while it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from runstore.errors import NotFoundError, StoreCorruptError
from runstore.model.run import Run
from runstore.model.text.output import OutputLine
from runstore.storage.backend import Backend
from runstore.storage.files.output import read_lines


def lines_of(backend: Backend, run: Run) -> Iterator[OutputLine]:
    """Yield what a run printed, in the order of its printing, up to now.

    Raises:
        NotFoundError: What was kept is gone.
        StoreCorruptError: It was changed or damaged.
    """
    parts = backend.artifacts.outputs_of(run.uid)
    files = [backend.objects.whole(one.digest, one.size_bytes) for one in parts]
    seen = {one.part for one in parts}
    files += [path for path in backend.spool.output_files(run.uid) if path.name not in seen]
    return read_lines(files)


def text_of(backend: Backend, run: Run) -> str | None:
    """Return all that a run printed as one text, without colours; None for nothing.

    Files that are gone or damaged are left out.
    """
    from runstore.model.text.output import plain_text

    parts = [one for one in backend.artifacts.outputs_of(run.uid) if one.size_bytes]
    seen = {one.part for one in parts}
    files = [
        path
        for path in backend.spool.output_files(run.uid)
        if path.name not in seen and path.lstat().st_size
    ]
    if not parts and not files:
        return None
    kept = []
    for one in parts:
        with suppress(NotFoundError, StoreCorruptError):
            kept.append(backend.objects.whole(one.digest, one.size_bytes))
    return "\n".join(plain_text(line.text) for line in read_lines([*kept, *files]))

"""Reading the whole output of a run, ended or active."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from runstore.errors import NotFoundError, StoreCorruptError, StoreError, suppressed
from runstore.model.run import Run
from runstore.model.text.output import OutputLine
from runstore.storage.backend import Backend
from runstore.storage.files.output import last_lines, read_lines
from runstore.storage.rows import to_micros


def lines_of(backend: Backend, run: Run) -> Iterator[OutputLine]:
    """Yield the output of a run up to now, in order.

    Raises:
        NotFoundError: A file is missing.
        StoreCorruptError: A file was changed or damaged.
    """
    parts = backend.artifacts.outputs_of(run.uid)
    files = [backend.objects.whole(one.digest, one.size_bytes) for one in parts]
    seen = {one.part for one in parts}
    files += [path for path in backend.spool.output_files(run.uid) if path.name not in seen]
    return read_lines(files)


def last_printed(backend: Backend, uid: str, first: int, last: int) -> int | None:
    """Return the time of the last line of output, in microseconds; None if there is none."""
    found: list[int] = []
    with suppressed(StoreError, OSError, ValueError):
        files = [backend.objects.path_of(one.digest) for one in backend.artifacts.outputs_of(uid)]
        for path in (*files, *backend.spool.output_files(uid)):
            with suppressed(OSError):  # missing, or not ours
                found += (to_micros(line.at) for line in last_lines(path))
    return max((at for at in found if first <= at <= last), default=None)


def text_of(backend: Backend, run: Run) -> str | None:
    """Return the output of a run as one text, without colours; None if there is none.

    Missing and damaged files are skipped.
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

"""Texts of runs for tests of searching, and what happens to them."""

from runstore.model.text.output import plain_text
from runstore.recording.output.keeper import OutputKeeper


def printed(store, run, *chunks, is_closed=True):
    """Let a run print, as a process of its own would."""
    keeper = OutputKeeper(store.backend.spool, run.uid)
    for chunk in chunks:
        is_bytes = isinstance(chunk, bytes)
        keeper.feed("stdout", chunk if is_bytes else chunk.encode(errors="surrogatepass"))
    if is_closed:
        keeper.close()
    run.execution.has_output = True
    return keeper


def found(store, *arguments, **options):
    """Return what a search finds: the run's number, the field and the number of each line."""
    page = store.grep(*arguments, limit=None, lines=None, **options)
    return [(one.run.run_number, line.field, line.number) for one in page for line in one.lines]


def texts_of(run):
    """Yield field and lines of what a run said."""
    yield "notes", (run.notes or "").split("\n")
    yield "error", (run.error or "").split("\n")
    yield "traceback", (run.traceback or "").split("\n")
    yield "output", [plain_text(line.text) for line in run.output]


def looked_up(runs, holds):
    """Return what a search has to find, by a look at everything."""
    return [
        (run.run_number, field, number)
        for run in runs
        for field, lines in texts_of(run)
        for number, line in enumerate(lines, 1)
        if holds(line)
    ]


def deleted(store, uid, at):
    """Mark a run as deleted at a time, or as kept."""
    with store.backend.database.driver.write() as connection:
        change = "(SELECT max(changed) + 1 FROM runs)"
        connection.execute(
            f"UPDATE runs SET deleted_at = ?, changed = {change} WHERE uid = ?",  # noqa: S608
            (at, uid),
        )


# Contents of files, wherever the store keeps them


def change_contents(store, digest, change):
    """Replace the bytes of contents, which keep their name."""
    path = store.backend.objects.path_of(digest)
    path.chmod(0o644)
    data = change(path.read_bytes())
    path.write_bytes(data)
    if store.backend.server is not None:
        with store.backend.database.driver.write() as connection:
            connection.execute("UPDATE object_parts SET body = ? WHERE digest = ?", (data, digest))


def take_away(store, digest):
    """Remove contents, and return a function that puts them back."""
    path = store.backend.objects.path_of(digest)
    path.rename(store.path / "aside")
    if store.backend.server is None:
        return lambda: (store.path / "aside").rename(path)
    _rename(store, digest, "aside")
    return lambda: _rename(store, "aside", digest)


def _rename(store, old, new):
    with store.backend.database.driver.write() as connection:
        for table in ("object_parts", "objects"):
            connection.execute(
                f"UPDATE {table} SET digest = ? WHERE digest = ?",  # noqa: S608 - our own name
                (new, old),
            )

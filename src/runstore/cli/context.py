"""The store of a command, and the run that `metric` and `save` add to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runstore.cli.output import say

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.recording.active import ActiveRun
    from runstore.store import Store


STORE = "runstore.store"  # key of the value of `--store` in the context of click
_SHOWN = "runstore.shown"  # key of the store that commands in messages have to name
# A command that a message suggests, unless it names a store, or does not use one.
_SUGGESTED = r"((?:: |^)runstore )(?=[a-z])(?!(?:completion|init|trust)\b)(?!.*--(?:store|help)\b)"
_MEMORY_BYTES = 300 << 20  # for SQLite; more than any command needs


def open_store(*, create: bool = False) -> Store:
    """Open the store of `--store`, or else of the project.

    Args:
        create: Whether to create a missing store; commands that read do not.
    """
    from runstore.errors import ServerUnreachableError
    from runstore.store import Store

    try:
        store = Store.open(store_location(), create=create)
    except ServerUnreachableError as error:
        waiting = _waiting_store()
        if waiting is None:
            raise
        error.kept = error.hint = ""
        say(f"runstore: {error} Using the runs of this machine.", err=True)
        store = waiting
        click.get_current_context().find_root().meta[_SHOWN] = store.backend.place
    if not create:  # otherwise a program of the user can run in this process
        # A store of another user can contain a text that is larger than the memory.
        store.backend.database.driver.limit_memory(_MEMORY_BYTES)
    return store


def _waiting_store() -> Store | None:
    """Return the store of waiting runs if the command names one of them; else None."""
    from runstore.model.reference import is_provisional
    from runstore.store import waiting_store_of

    given = click.get_current_context().params.values()
    lists = [one if isinstance(one, (tuple, list)) else (one,) for one in given]
    if any(isinstance(word, str) and is_provisional(word) for words in lists for word in words):
        return waiting_store_of(store_location())
    return None


def store_location() -> str | None:
    """Return the location of `--store`; None without it."""
    location: str | None = click.get_current_context().find_root().meta.get(STORE)
    return location


def for_this_store(text: str) -> str:
    """Return a message whose commands use the store of this command.

    With `--store`, a command that is copied from a message would use another store without it.
    """
    context = click.get_current_context(silent=True)
    meta = {} if context is None else context.find_root().meta
    named = meta.get(_SHOWN) or meta.get(STORE)
    if not named or "runstore " not in text:
        return text
    import re
    import shlex

    from runstore.errors import RunstoreError
    from runstore.location import server_at

    try:
        server = server_at(named)
    except RunstoreError:  # the message is about this URL
        return text
    option = f"--store {shlex.quote(named if server is None else server.shown)} "
    return re.sub(_SUGGESTED, lambda found: found[1] + option, text, flags=re.MULTILINE)


@contextmanager
def run_to_add_to(name: str | None) -> Iterator[tuple[Store, Run | ActiveRun]]:
    """Yield the store and a run: a `Run` if it has finished, or else an `ActiveRun`.

    Args:
        name: The name of the run; None for the unfinished run that started this process.
    """
    from runstore.cli.words import one_run
    from runstore.errors import ServerUnreachableError
    from runstore.recording.joining.attaching import surrounding_run
    from runstore.store import store_with

    uid = surrounding_run() if name is None else name
    try:
        opened = open_store()
    except ServerUnreachableError:
        opened = open_store(create=True)  # the run may wait on this machine
    with opened:
        if name is None:
            store, run = store_with(opened, uid)
        else:
            store, run = opened, one_run(opened, name)
        is_over = name is not None and run.status.is_final
        yield store, run if is_over else store.attach(run)


def line_file() -> Path | None:
    """Return the file for lines to the surrounding run; None if there is none."""
    from runstore.current import PARENT_VARIABLE
    from runstore.recording.output.program_lines import VARIABLE

    path = Path(os.environ.get(VARIABLE, ""))
    uid = os.environ.get(PARENT_VARIABLE)
    # A run within the command has no such file: the variable is that of the command's own run.
    return path if uid and path.name.startswith(f"{uid}.") and path.is_file() else None

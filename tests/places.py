"""The store of a test on the engine that the test runs on, and runs in it."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from runstore import Store

# On a server: a database for each store that all tests of a file share, by its folder.
_shared = {}
_databases = ExitStack()


def place(folder):
    """Return the location of a test's store: a folder, or the URL of a database."""
    return _shared.get(Path(folder)) or os.environ.get("RUNSTORE_URL") or folder


def store_at(folder):
    """Open the store of a test."""
    return Store.open(place(folder))


def shared_at(folder, engine):
    """Open a new store for all tests of a file."""
    if engine == "postgresql":
        from postgres_server import database

        _shared[Path(folder)] = _databases.enter_context(database())
    return Store.open(place(folder))


def forget_shared():
    """Take back the databases of the tests of a file."""
    _shared.clear()
    _databases.close()


def variables_in(cwd):
    """Return the variables of a program that works in a folder with a shared store."""
    url = _shared.get(Path(cwd) / ".runstore")
    return {} if url is None else {"RUNSTORE_URL": url}


def newest(folder):
    """Return the newest run of the store of a project."""
    with store_at(folder / ".runstore") as store:
        return store.get("latest")


def has_no_run(folder):
    """Return whether the store of a project has no run, or was not made."""
    if (folder / ".runstore" / "runstore.db").exists():
        return False
    with store_at(folder / ".runstore") as store:
        return not store.list()


def ended(store, contents=b"", experiment="fit", **options):
    """Record a run, with a file if there are contents."""
    run = store.start(experiment, capture=False, **options)
    if contents:
        run.save("model.bin", contents)
    run.finish()
    return store.get(run.uid)


def is_folder_only(test):
    """Return whether a test is about a store in a folder, or has none at all; it says why."""
    marker = test.get_closest_marker("folder_only")
    if marker is not None and not marker.args:
        raise pytest.UsageError(f"{test.nodeid}: folder_only needs a reason.")
    return marker is not None

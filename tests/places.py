"""The store of a test on the engine that the test runs on."""

import os

from runstore import Store


def place(folder):
    """Return the URL of the test's store on a server; a folder if the test runs on SQLite."""
    return os.environ.get("RUNSTORE_URL") or folder


def opened(folder):
    """Open the store of a test."""
    return Store.open(place(folder))

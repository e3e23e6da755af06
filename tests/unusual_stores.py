"""Stores that something is wrong with."""

from contextlib import contextmanager

from runstore import Store


@contextmanager
def opened_without_index(given):
    """Open a store where there can be no search index, so that texts have to be looked through."""
    with Store.open(given.backend.url) as store:
        if store.backend.server is not None:
            yield store  # which has none
            return
        folder = store.path / "in the way"
        folder.mkdir()
        store.backend.texts._file.path = folder
        store.backend.texts._tell = lambda _message: None
        yield store

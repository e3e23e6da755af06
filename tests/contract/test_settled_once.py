"""A search looks once at each process whose run has no end yet."""

import pytest

from runstore.capture.machine import process
from runstore.errors import StoreReadOnlyError
from runstore.recording import live_runs


@pytest.fixture
def asked(store, monkeypatch):
    """The processes that were looked at, in a store with three runs that go on."""
    runs = [store.start("fit", capture=False, notes="warm") for _ in range(3)]
    found = []
    is_gone = process.is_gone
    monkeypatch.setattr(
        process, "is_gone", lambda one, **more: found.append(one) or is_gone(one, **more)
    )
    yield found
    assert all(live_runs.running(run.uid) for run in runs)
    store.backend.database.driver.refuse_writes(None)
    for run in runs:
        run.finish()


@pytest.mark.parametrize(
    "text",
    ["status = running", "duration is missing", "notes contains warm", "ended is missing", ""],
)
def test_a_search_looks_once_at_each_process(store, asked, text):
    assert len(store.find(text)) == 3

    assert len(asked) == 3


def test_a_search_for_texts_looks_once_at_each_process(store, asked):
    assert len(store.grep("warm", "status = running", fields=["notes"])) == 3

    assert len(asked) == 3


def test_groups_look_once_at_each_process(store, asked):
    (group,) = store.group("experiment", "status = running and not output contains 'x'")

    assert group.runs == 3
    assert len(asked) == 3


def test_a_store_that_cannot_be_written_looks_again_at_those_that_it_shows(store, asked):
    """The first look is for a warning about runs that would be marked as lost."""
    store.backend.database.driver.refuse_writes(StoreReadOnlyError("It is read only."))

    assert len(store.find("status = running", limit=2)) == 2

    assert len(asked) == 3 + 2

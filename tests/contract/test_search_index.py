"""The index of a store in a folder: derived data that may be missing, damaged or outdated."""

import contextlib
import sqlite3

import pytest

from runstore import Store, StoreWarning
from runstore.storage.fulltext import index as search_index
from runstore.storage.fulltext import index_file as search_file
from runstore.storage.fulltext.index_file import SEARCH
from runstore.storage.sqlite.paths import DATABASE
from searching import deleted, found, printed


def index_counts(store):
    with store.backend.texts._file.opened() as connection:
        return [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in ("documents", "parts")
        ]


def test_the_index_forgets_deleted_runs(store):
    for number in (1, 2):
        with store.start("fit", notes=f"note {number}", capture=False) as run:
            printed(store, run, "words\n")
    assert len(found(store, "words")) == 2
    assert index_counts(store) == [4, 2]

    deleted(store, run.uid, 1)

    assert found(store, "words") == [(1, "output", 1)]
    assert index_counts(store) == [2, 1]
    deleted(store, run.uid, None)
    assert len(found(store, "words")) == 2
    assert index_counts(store) == [4, 2]


def copy_database(store, path):
    """Copy the database of an open store to a file."""
    with (
        contextlib.closing(sqlite3.connect(path)) as copy,
        store.backend.database.driver.read() as connection,
    ):
        connection.backup(copy)


def put_back(path, store):
    """Close the store, and replace the contents of its database by those of the file."""
    store.close()
    with (
        contextlib.closing(sqlite3.connect(path)) as copy,
        contextlib.closing(sqlite3.connect(store.path / DATABASE)) as target,
        target,
    ):
        copy.backup(target)


def test_an_older_database_put_back_is_searched_as_it_is(store, tmp_path):
    store.start("fit", notes="old words", capture=False).finish()
    copy_database(store, tmp_path / "copy.db")
    store.start("fit", notes="lost words", capture=False).finish()
    store.edit("fit#1", notes="edited words")
    assert len(found(store, "words")) == 2
    put_back(tmp_path / "copy.db", store)

    with Store.open(store.path) as again:
        assert found(again, "words") == [(1, "notes", 1)]
        assert found(again, "old words") == [(1, "notes", 1)]
        again.start("fit", notes="new words", capture=False).finish()
        assert found(again, "new words") == [(2, "notes", 1)]


@pytest.mark.parametrize("edits", [["fit#1"], ["fit#2", "fit#1", "fit#1"]])
def test_edits_after_an_older_database_was_put_back_are_found(store, tmp_path, edits):
    """Their numbers of changes are those of the lost edits, which the index has seen."""
    for _ in range(2):
        store.start("fit", capture=False).finish()
    store.edit("fit#2", notes="before")
    found(store, "before")
    copy_database(store, tmp_path / "copy.db")
    for _ in edits[-2:]:
        store.edit("fit#1", notes="lost words")
    found(store, "lost words")
    put_back(tmp_path / "copy.db", store)

    with Store.open(store.path) as again:
        for number, name in enumerate(edits):
            again.edit(name, notes=f"new words {number}")

        assert {run for run, *_ in found(again, "new words")} == {int(one[-1]) for one in edits}


def runs_left(store):
    with store.backend.texts._file.opened() as connection:
        return search_index.SearchIndex(connection, store.backend.database, None).left()[0]


def test_the_index_is_kept_after_the_run_of_the_last_edit_was_removed(store):
    """Its event is removed too, and the next one gets the same id."""
    for _ in range(3):
        store.start("fit", notes="words", capture=False).finish()
    store.edit("fit#3", notes="other words")
    for number in range(search_index._MARKS_KEPT + 1):
        store.start("fit", notes="words", capture=False).finish()
        assert len(found(store, "words")) == number + 4
    store.delete("fit#3")
    store.collect_garbage(older_than=0)

    assert runs_left(store) == 1
    store.edit("fit#1", notes="new words")
    assert runs_left(store) == 2
    assert found(store, "new words") == [(1, "notes", 1)]


def test_the_index_is_kept_after_a_run_with_many_edits_was_removed(store):
    for _ in range(3):
        store.start("fit", notes="words", capture=False).finish()
    assert len(found(store, "words")) == 3
    for number in range(search_index._MARKS_KEPT + 1):
        store.edit("fit#3", notes=f"words {number}")
        assert found(store, f"words {number}") == [(3, "notes", 1)]
    store.delete("fit#3")
    store.collect_garbage(older_than=0)

    assert runs_left(store) == 1
    assert len(found(store, "words")) == 2


def test_an_edit_before_a_removal_in_an_older_database_is_found(store, tmp_path):
    """The removed run is the one that had the last lost edit."""
    for _ in range(2):
        store.start("fit", capture=False).finish()
    copy_database(store, tmp_path / "copy.db")
    store.edit("fit#1", notes="lost words")
    store.start("fit", capture=False).finish()
    store.edit("fit#2", notes="lost words")
    found(store, "lost words")
    put_back(tmp_path / "copy.db", store)

    with Store.open(store.path) as again:
        again.edit("fit#1", notes="new words")
        for _ in range(3):
            again.start("fit", capture=False).finish()
        again.delete("fit#2")
        again.collect_garbage(older_than=0)

        assert found(again, "new words") == [(1, "notes", 1)]


def test_the_index_of_another_store_is_made_anew(tmp_path):
    for name in ("one", "two"):
        with Store.open(tmp_path / name) as store:
            store.start("fit", notes=f"words of {name}", capture=False).finish()
            assert len(found(store, "words")) == 1

    (tmp_path / "one" / SEARCH).replace(tmp_path / "two" / SEARCH)

    with Store.open(tmp_path / "two") as store:
        assert found(store, "words of two") == [(1, "notes", 1)]
        assert found(store, "words of one") == []


def test_an_index_of_stale_texts_is_made_anew(store, monkeypatch):
    monkeypatch.setattr(search_index, "_STALE_AT_LEAST", 20)
    run = store.start("fit", notes="start", capture=False)
    for number in range(50):
        store.edit(run.uid, notes=f"note {number}")
        assert found(store, f"note {number}") == [(1, "notes", 1)]
    run.finish()

    with store.backend.texts._file.opened() as connection:
        assert connection.execute("SELECT max(id) FROM documents").fetchone()[0] < 40
        assert (
            connection.execute("SELECT value FROM facts WHERE name = 'stale'").fetchone()[0] < 21
        )


# Without an index, or with one that is of no use


def test_without_an_index_all_is_found_and_said(store, monkeypatch):
    """SQLite before 3.34 has no index of this kind, and some are built without any."""
    schema = tuple(text.replace("trigram case_sensitive 1", "nope") for text in search_file.SCHEMA)
    monkeypatch.setattr(search_file, "SCHEMA", schema)
    with store.start("fit", notes="some words", capture=False) as run:
        printed(store, run, "more words\n")

    with pytest.warns(StoreWarning, match="no search index for 1 run .*tokenizer") as said:
        assert found(store, "words") == [(1, "notes", 1), (1, "output", 1)]
        assert store.find("output contains 'more' and output not contains 'less'")
    assert len(said) == 1


def damage(path, kind, store):
    if kind == "garbage":
        path.write_bytes(b"this is no database" * 1000)
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:8000])
    elif kind == "zeros in the middle":
        data = bytearray(path.read_bytes())
        data[4096:-4096] = bytes(len(data) - 8192)
        path.write_bytes(data)
    elif kind == "a schema that is no text":
        path.write_bytes(path.read_bytes().replace(b"TABLE", b"\xd4ABLE"))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "the run database":
        path.write_bytes((store.path / DATABASE).read_bytes())
    else:
        database = sqlite3.connect(path)
        database.executescript(kind)
        database.close()


@pytest.mark.parametrize(
    "kind",
    [
        "garbage",
        "truncated",
        "zeros in the middle",
        "a schema that is no text",
        "empty",
        "the run database",
        "PRAGMA user_version=0",
        "DROP TABLE trigrams",
        "DROP TABLE documents",
        "UPDATE facts SET value = 'nonsense' WHERE name = 'marks'",
        "PRAGMA writable_schema=1; DELETE FROM sqlite_master WHERE name = 'trigrams_data'",
    ],
)
@pytest.mark.filterwarnings("ignore::runstore.StoreWarning")
def test_an_index_that_is_of_no_use_is_made_anew(store, kind):
    with store.start("fit", notes="some words", capture=False) as run:
        printed(store, run, "more words\n")
    assert len(found(store, "words")) == 2
    store.backend.database.driver.close()
    damage(store.path / SEARCH, kind, store)

    with Store.open(store.path) as again:
        for _ in range(2):
            assert found(again, "words") == [(1, "notes", 1), (1, "output", 1)]
            assert again.find("output contains 'more'")
        assert index_counts(again) == [2, 1]


def test_a_file_of_somebody_else_is_kept(store):
    """A store may be any folder; a file that is not ours is never overwritten."""
    store.start("fit", notes="some words", capture=False).finish()
    theirs = sqlite3.connect(store.path / SEARCH)
    theirs.execute("CREATE TABLE precious (x)")
    theirs.close()

    with pytest.warns(StoreWarning, match="was not a search index"):
        assert found(store, "words") == [(1, "notes", 1)]

    kept = [path for path in store.path.glob(f"{SEARCH}.*") if path.suffix[1:].isdigit()]
    assert len(kept) == 1
    again = sqlite3.connect(kept[0])
    assert again.execute("SELECT count(*) FROM precious").fetchone() == (0,)
    again.close()


def test_the_index_of_a_newer_runstore_is_left_alone(store):
    store.start("fit", notes="some words", capture=False).finish()
    found(store, "words")
    newer = sqlite3.connect(store.path / SEARCH)
    newer.execute("PRAGMA user_version=99")
    newer.close()

    with pytest.warns(StoreWarning, match="newer runstore"):
        assert found(store, "words") == [(1, "notes", 1)]

    newer = sqlite3.connect(store.path / SEARCH)
    assert newer.execute("PRAGMA user_version").fetchone() == (99,)
    newer.close()


def test_the_index_may_be_deleted_at_any_time(store):
    store.start("fit", notes="some words", capture=False).finish()
    for _ in range(3):
        assert found(store, "words") == [(1, "notes", 1)]
        (store.path / SEARCH).unlink()


def test_an_index_that_tells_other_contents_is_made_anew(store):
    """As a copy of another folder's would; the contents themselves are whole."""
    with store.start("fit", capture=False) as run:
        printed(store, run, "words\n")
    assert len(found(store, "words")) == 1
    with store.backend.texts._file.opened() as connection:
        connection.execute("UPDATE documents SET checksum = 1")

    assert found(store, "words") == [(1, "output", 1)]
    assert store.find("output contains 'words'")
    with store.backend.texts._file.opened() as connection:
        assert connection.execute("SELECT checksum = 1 FROM documents").fetchone() == (0,)


def test_who_may_not_read_the_runs_may_not_read_the_index(store):
    (store.path / DATABASE).chmod(0o600)
    store.start("fit", notes="some words", capture=False).finish()

    found(store, "words")

    assert (store.path / SEARCH).stat().st_mode & 0o777 == 0o600


def test_a_search_that_takes_long_says_so_once(store, monkeypatch):
    monkeypatch.setattr(search_index, "_STEP_S", 0.0)
    monkeypatch.setattr("runstore.storage.fulltext.search._SLOW_S", 0.0)
    for _ in range(5):
        with store.start("fit", notes="some words", capture=False) as run:
            printed(store, run, "more words\n")

    with pytest.warns(StoreWarning) as said:
        assert len(found(store, "words")) == 10

    assert len(said) == 1
    assert "Adding 4 runs with 124 bytes of output" in str(said[0].message)


def test_a_slow_step_is_not_mentioned_if_nothing_is_left(store, monkeypatch, recwarn):
    monkeypatch.setattr("runstore.storage.fulltext.search._SLOW_S", 0.0)
    store.start("fit", notes="some words", capture=False).finish()

    assert len(found(store, "words")) == 1
    assert recwarn.list == []


def test_an_interrupted_search_goes_on_where_it_was(store, monkeypatch):
    monkeypatch.setattr(search_index, "_STEP_S", 0.0)
    for number in range(5):
        store.start("fit", notes=f"note {number}", capture=False).finish()
    steps = iter([None, None, KeyboardInterrupt])

    def interrupted():
        if next(steps) is not None:
            raise KeyboardInterrupt

    with store.backend.texts._file.opened() as connection:
        index = search_index.SearchIndex(connection, store.backend.database, None)
        with pytest.raises(KeyboardInterrupt):
            index.catch_up(interrupted)
        assert connection.execute("SELECT count(*) FROM documents").fetchone() == (3,)

    assert len(found(store, "note")) == 5


def is_known(store, sequence):
    """Tell whether the index knows a sequence of three characters."""
    with store.backend.texts._file.opened() as connection:
        statement = "SELECT count(*) FROM words WHERE term = ?"
        return connection.execute(statement, (sequence,)).fetchone()[0] > 0


def test_the_index_can_be_forgotten(store):
    """With all that it holds of texts that are gone."""
    store.backend.texts.forget()
    run = store.start("fit", notes="some zyzzyva", capture=False)
    run.finish()
    found(store, "some")
    store.edit(run.uid, notes="others")
    assert found(store, "zyzzyva") == []
    assert is_known(store, "zyz")

    store.backend.texts.forget()

    assert not (store.path / SEARCH).exists()
    assert found(store, "others") == [(1, "notes", 1)]
    assert is_known(store, "oth")
    assert not is_known(store, "zyz")


def test_recording_does_not_touch_the_index(store):
    with store.start("fit", notes="some words", capture=False) as run:
        printed(store, run, "words\n")

    assert not (store.path / SEARCH).exists()

"""Names of files reach SQLite whole, whatever bytes they have."""

import contextlib
import os
import sqlite3

import pytest

from runstore.storage.sqlite.paths import file_uri


@pytest.mark.parametrize(
    "name", [b"plain", b"a b?c#d%20&e=f", b"caf\xc3\xa9", b"\xff\xfe", b"-x;'\""]
)
def test_the_file_of_this_name_is_opened(tmp_path, name):
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    path = folder / "runs.db"
    with contextlib.closing(sqlite3.connect(os.fsencode(path))) as made:
        made.execute("CREATE TABLE mine (x)")

    with contextlib.closing(sqlite3.connect(file_uri(path, "mode=ro"), uri=True)) as opened:
        tables = opened.execute("SELECT name FROM sqlite_master").fetchall()

    assert tables == [("mine",)]

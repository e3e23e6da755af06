"""A store means the same whatever a server, a role or a URL has set."""

from urllib.parse import quote

import pytest

from runstore import Store
from runstore.errors import StoreError, StoreReadOnlyError

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def empty():
    """Return the URL of a database without tables."""
    from postgres_server import drop, new_database

    url, name = new_database(is_empty=True)
    yield url
    drop(name)


def with_options(url, options):
    return f"{url}{'&' if '?' in url else '?'}options={quote(options)}"


TEXT = "n\u00f6te \u5931\u8d25 \\n '\""


@pytest.mark.parametrize(
    "options",
    [
        "-c search_path=team",
        "-c standard_conforming_strings=off",
        "-c standard_conforming_strings=off -c search_path=team",
        "-c client_encoding=LATIN1",
        "-c default_transaction_isolation=serializable",
        "-c timezone=Asia/Kathmandu -c datestyle=German",
        "-c bytea_output=escape -c extra_float_digits=0",
    ],
)
def test_settings_of_a_session_change_nothing(empty, options):
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA team")

    with Store.open(with_options(empty, options)) as store:
        with store.start(
            "fit", params={"lr": 0.1, "text": TEXT}, notes=TEXT, capture=False
        ) as run:
            run.log(loss=0.1234567890123456)
            run.log(loss=float("inf"))
            run.save("a.bin", b"\\x00\xff'")
            run.tags["text"] = TEXT

        kept = store.get("fit#1")
        assert (kept.notes, kept.params["text"], kept.tags["text"]) == (TEXT, TEXT, TEXT)
        assert kept.metric("loss").values.tolist() == [0.1234567890123456, float("inf")]
        assert kept.read_bytes("a.bin") == b"\\x00\xff'"
        assert [
            one.run_number for one in store.find("notes like '%\u5931%' and params.lr < 1")
        ] == [1]
        assert len(store.grep("\u8d25 \\n")) == 1
        assert store.check() == ()


def test_the_encoding_of_the_environment_changes_nothing(empty, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")

    with Store.open(empty) as store:
        store.start("fit", notes=TEXT, capture=False).finish()
        assert store.get("fit#1").notes == TEXT

    with psycopg.connect(empty, client_encoding="utf8") as connection:
        assert connection.execute("SELECT notes FROM runs").fetchall() == [(TEXT,)]


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_in_another_encoding_is_refused(encoding):
    from postgres_server import admin, drop, server, with_database

    name = f"runstore_{encoding.lower()}"
    drop(name)
    admin(
        f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        " TEMPLATE template0"
    )
    try:
        with pytest.raises(StoreError, match=f"has the encoding {encoding}"):
            Store.open(with_database(server(), name))
    finally:
        drop(name)


def test_a_session_that_only_reads_by_default_reads(empty):
    with Store.open(empty) as store:
        store.start("fit", capture=False).finish()

    with Store.open(with_options(empty, "-c default_transaction_read_only=on")) as store:
        assert [run.run_number for run in store.list()] == [1]
        with pytest.raises(StoreReadOnlyError, match="only read"):
            store.start("fit", capture=False)

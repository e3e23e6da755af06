"""A store means the same whatever a server, a role or a URL has set."""

import warnings
from urllib.parse import quote

import pytest

from runstore import Store
from runstore.errors import (
    ServerUnreachableError,
    StoreCorruptError,
    StoreError,
    StoreReadOnlyError,
    StoreUnavailableError,
    StoreWarning,
)
from runstore.recording import aside
from runstore.storage.postgres.connections import pool

psycopg = pytest.importorskip("psycopg")


def with_options(url, options):
    return f"{url}{'&' if '?' in url else '?'}options={quote(options)}"


TEXT = "n\u00f6te \u5931\u8d25 \\n '\""


@pytest.mark.parametrize(
    "settings",
    [
        ["standard_conforming_strings=off", "search_path=team"],
        [
            *("client_encoding=LATIN1", "default_transaction_isolation=serializable"),
            *("timezone=Asia/Kathmandu", "datestyle=German", "intervalstyle=sql_standard"),
            *("bytea_output=escape", "extra_float_digits=-15", "transform_null_equals=on"),
            *("row_security=off", "quote_all_identifiers=on"),
        ],
        [
            *("array_nulls=off", "enable_seqscan=off", "enable_nestloop=off"),
            *("enable_hashjoin=off", "enable_sort=off"),
        ],
    ],
)
def test_settings_of_a_session_change_nothing(empty_url, settings):
    options = " ".join(f"-c {one}" for one in settings)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA team")

    with Store.open(with_options(empty_url, options)) as store:
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


def test_the_encoding_of_the_environment_changes_nothing(empty_url, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")

    with Store.open(empty_url) as store:
        store.start("fit", notes=TEXT, capture=False).finish()
        assert store.get("fit#1").notes == TEXT

    with psycopg.connect(empty_url, client_encoding="utf8") as connection:
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


def test_a_session_that_only_reads_by_default_reads(empty_url):
    with Store.open(empty_url) as store:
        store.start("fit", capture=False).finish()

    with Store.open(with_options(empty_url, "-c default_transaction_read_only=on")) as store:
        assert [run.run_number for run in store.list()] == [1]
        with pytest.raises(StoreReadOnlyError, match="only read"):
            store.start("fit", capture=False)


@pytest.fixture
def writer(url):
    """Return the URL of a store for a role that owns nothing, and that of the owner."""
    from postgres_server import admin

    admin("DROP ROLE IF EXISTS writer", "CREATE ROLE writer LOGIN")
    with psycopg.connect(url) as connection:
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO writer")
        connection.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO writer")
    yield url.replace("postgres@", "writer@"), url
    with psycopg.connect(url) as connection:
        connection.execute("DROP OWNED BY writer")
    admin("DROP ROLE writer")


def test_lists_with_nulls_are_read_as_such_whatever_the_role_has_set(writer):
    from postgres_server import admin

    admin("ALTER ROLE writer SET array_nulls = off")
    with Store.open(writer[0]) as store:
        run = store.start("fit", params={"text": "NULL", "lr": 0.1}, capture=False)
        run.tags.update(a="1", b="NULL")
        del run.tags["a"]
        run.finish()

        kept = store.get("fit#1")

        assert (kept.params, kept.tags) == ({"text": "NULL", "lr": 0.1}, {"b": "NULL"})
        assert (
            len(store.find("params.lr = 0.1 and params.text = 'NULL' and tags.a is missing")) == 1
        )


def test_a_free_connection_is_waited_for(writer, monkeypatch):
    from postgres_server import admin

    admin("ALTER ROLE writer CONNECTION LIMIT 1")
    monkeypatch.setattr(pool, "_TELLS_FULL_AFTER_S", 0)
    monkeypatch.setattr(pool, "FREES_WITHIN_S", 60)
    holder = psycopg.connect(writer[0])
    told = []

    def release(message, *_, **__):
        told.append(str(message))
        holder.close()

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", release)
        with Store.open(writer[0]) as store:
            run = store.start("fit", capture=False)
            run.finish()

            assert store.get("fit#1").run_number == run.run_number == 1
    assert len(told) == 1
    assert "has no free connection" in told[0]


def test_a_start_without_a_free_connection_waits_on_this_machine(writer, monkeypatch):
    from postgres_server import admin

    admin("ALTER ROLE writer CONNECTION LIMIT 0")
    monkeypatch.setattr(pool, "FREES_WITHIN_S", 0)
    monkeypatch.setattr(aside, "_warned", set())
    with Store.open(writer[0]) as store:
        with pytest.warns(StoreWarning, match="too many connections"):
            run = store.start("fit", capture=False)
        run.finish()
        with pytest.raises(ServerUnreachableError, match="too many connections"):
            store.list()
    admin("ALTER ROLE writer CONNECTION LIMIT -1")

    with Store.open(writer[0]) as store:
        assert store.get(run.reference).run_number == 1


@pytest.mark.parametrize("has_saved", [False, True])
def test_a_role_that_loses_its_permissions_loses_no_data(writer, has_saved):
    url, owner = writer
    with Store.open(url) as store, warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        with store.start("fit", capture=False) as run:
            if has_saved:
                run.save("first.txt", b"early")
            with psycopg.connect(owner) as connection:
                connection.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM writer")
            run.log(loss=0.5)
            run.save("model.txt", b"weights")
            run.tags["kept"] = "yes"
        with pytest.raises(StoreReadOnlyError, match="no permission") as refused:
            store.list()
        assert "still works" not in str(refused.value)

    with psycopg.connect(owner) as connection:
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO writer")
    with Store.open(url) as store:
        found = store.get("fit#1")
        assert found.status == "complete"
        with found.open("model.txt") as file:
            assert file.read() == b"weights"
        assert found.metric("loss").values.tolist() == [0.5]
        assert found.tags["kept"] == "yes"


def test_a_statement_that_takes_too_long_for_its_role_is_named(empty_url):
    Store.open(empty_url).close()
    with (
        Store.open(with_options(empty_url, "-c statement_timeout=200")) as store,
        psycopg.connect(empty_url) as other,
    ):
        other.execute("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreUnavailableError, match="longer statement_timeout"):
            store.list()


def test_a_table_that_was_dropped_is_found(empty_url):
    with Store.open(empty_url) as store:
        store.start("fit", capture=False).finish()
        with psycopg.connect(empty_url) as connection:
            connection.execute("DROP TABLE artifacts CASCADE")

        with pytest.raises(StoreCorruptError, match="restore the database from a backup"):
            store.get("fit#1").artifacts  # noqa: B018 - it is read
        findings = {finding.what: finding.hint for finding in store.check()}

    assert any('"artifacts" does not exist' in what for what in findings)
    assert not any("sqlite3" in hint for hint in findings.values())


def test_a_damaged_row_is_repaired_with_the_tools_of_the_server(empty_url):
    with Store.open(empty_url) as store:
        store.start("fit", capture=False).finish()
        with psycopg.connect(empty_url) as connection:
            connection.execute("UPDATE runs SET started_at = 9223372036854775807")

        hints = [finding.hint for finding in store.check()]

    assert any("in psql" in hint for hint in hints)

"""A store on a PostgreSQL server: what differs from a store in a folder."""

import os
import pickle
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

import command_server
from runstore import Status, Store
from runstore.errors import (
    FilterError,
    SchemaTooNewError,
    SchemaTooOldError,
    ServerUnreachableError,
    StoreCorruptError,
    StoreReadOnlyError,
    StoreUnavailableError,
    StoreWarning,
    UsageError,
)
from runstore.storage.postgres import schema
from runstore.storage.postgres.connections import pool
from runstore.storage.postgres.dialect import translated
from runstore.storage.postgres.functions import WRITE_LOCK
from runstore.storage.postgres.location import masked, server_location
from runstore.storage.postgres.patterns import postgres_pattern
from runstore.store import migrate

psycopg = pytest.importorskip("psycopg")
regex = pytest.importorskip("regex")


# URLs


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:secret@db/runs", "postgresql://ann:***@db/runs"),
        ("postgres://ann@db:5433/runs", "postgresql://ann@db:5433/runs"),
        ("postgresql:///runs?password=secret&sslmode=require", "postgresql:///runs?password=***&sslmode=require"),
        ("postgresql://a:s%40x@h1,h2/runs", "postgresql://a:***@h1,h2/runs"),
        ("postgresql://:secret@db/runs", "postgresql://:***@db/runs"),
    ],
)  # fmt: skip
def test_passwords_are_masked(url, shown):
    location = server_location(url)

    assert masked(url) == location.shown == str(location) == shown
    assert "secret" not in repr(location)


def test_the_password_does_not_name_another_store():
    one, other = (
        server_location(url)
        for url in ("postgresql://ann:old@db/runs", "postgresql://ann:new@db/runs?connect_timeout=3")
    )  # fmt: skip

    assert one.folder == other.folder
    assert server_location("postgresql://ann@db/other").folder != one.folder


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann@db/my%20runs",
        "postgresql://db?dbname=my%20runs",
        "postgresql://db/other?dbname=my%20runs&objects=/shared/x",
    ],
)
def test_a_url_names_a_database(url):
    assert server_location(url).database == "my runs"


def test_the_folder_of_contents_is_no_option_of_the_server():
    location = server_location("postgresql://ann@db/runs?objects=/shared/x&sslmode=require")

    assert str(location.objects) == "/shared/x"
    assert location.url == "postgresql://ann@db/runs?sslmode=require"


@pytest.mark.parametrize(
    "url", ["postgresql://db", "postgresql://db/", "postgresql://db/r?objects=x"]
)
def test_an_incomplete_url_is_an_error(url):
    with pytest.raises(UsageError):
        Store.open(url)


def test_a_server_that_does_not_answer_is_an_error_without_the_password(tmp_path):
    with pytest.raises(ServerUnreachableError, match="cannot be reached") as raised:
        Store.open(f"postgresql://ann:secret@/runs?host={tmp_path}", create=False)

    assert "secret" not in str(raised.value)
    assert raised.value.kept == "Runs recorded before are safe; nothing more was written."


def test_the_error_for_a_missing_database_says_so(url):
    missing = urlsplit(url)._replace(path="/missing").geturl()

    with pytest.raises(StoreUnavailableError, match='"missing" does not exist') as raised:
        Store.open(missing)

    assert raised.value.hint.endswith("and that the database exists.")


# Opening


def test_a_new_store_is_made_in_an_empty_database(empty_url):
    with pytest.raises(StoreUnavailableError):
        Store.open(empty_url, create=False)

    with Store.open(empty_url) as store, store.start("fit", capture=False) as run:
        run.log(loss=1.0)

    with Store.open(empty_url, create=False) as store:
        assert store.get("fit#1").status is Status.COMPLETE
        assert not [one for one in store.check(deep=True) if one.is_trouble]


def test_a_store_that_another_program_creates_at_the_same_moment_is_used(empty_url, monkeypatch):
    has_others = schema.has_others

    def after_the_other(driver):
        monkeypatch.setattr(schema, "has_others", has_others)
        Store.open(empty_url).close()
        return has_others(driver)

    monkeypatch.setattr(schema, "has_others", after_the_other)
    with Store.open(empty_url) as store:
        store.start("fit", capture=False).finish()

        assert store.get("fit#1").status is Status.COMPLETE


def test_tables_of_another_program_are_left_alone(empty_url):
    with psycopg.connect(empty_url) as connection:
        connection.execute("CREATE TABLE books (title text)")

    with pytest.raises(StoreCorruptError, match="another program"):
        Store.open(empty_url)


def test_a_store_is_found_by_the_variable(url, monkeypatch):
    monkeypatch.setenv("RUNSTORE_URL", url)

    with Store.open() as store, store.start("fit", capture=False):
        pass

    code = "import runstore; runstore.start_run('fit', capture=False).finish()"
    assert command_server.Program(code).wait() == 0
    with Store.open(url) as store:
        assert [run.run_number for run in store.list()] == [2, 1]


def test_its_folder_on_this_machine_is_no_store(url):
    with Store.open(url) as store:
        folder = store.path

    with pytest.raises(UsageError, match="belongs to a store on a server"):
        Store.open(folder)


def test_a_copy_in_another_process_is_the_same_store(url):
    with Store.open(url) as store:
        store.start("fit", capture=False).finish()
        copy = pickle.loads(pickle.dumps(store))  # noqa: S301 - our own

        assert copy.get("fit#1") == store.get("fit#1")


def test_a_folder_on_this_machine_that_cannot_be_used_is_named(url, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))

    with pytest.raises(StoreUnavailableError, match="set XDG_STATE_HOME to a folder") as found:
        Store.open(url)

    assert str(tmp_path / "file") in str(found.value)
    assert "Not a directory" in str(found.value)


def test_runs_are_moved_between_a_folder_and_a_server(url, tmp_path):
    with Store.open(tmp_path / "folder") as folder, Store.open(url) as server:
        with folder.start("fit", params={"lr": 0.1}, capture=False) as run:
            run.log(loss=0.5)
            run.save("model.bin", b"weights")
        folder.push(url)
        server.edit("fit#1", notes="from the server")
        server.start("other", capture=False).finish()
        folder.pull(url)

        assert folder.get("fit#1").notes == "from the server"
        assert {run.uid for run in folder.list()} == {run.uid for run in server.list()}
        assert contents(server) == b"weights"
        assert not [one for one in server.check(deep=True) if one.is_trouble]


# Migrations


@pytest.fixture
def later_step(monkeypatch):
    """Add a migration, as a later release has it."""
    from runstore.storage import migrations
    from runstore.storage.postgres import database, schema

    steps = migrations.known_migrations()
    later = migrations.Migration(
        len(steps) + 1, "later", (), ("ALTER TABLE runs ADD COLUMN later {text}",)
    )
    monkeypatch.setattr(schema, "known_migrations", lambda: (*steps, later))
    monkeypatch.setattr(database, "SCHEMA_VERSION", later.version)
    return later


def test_older_tables_are_migrated_only_on_request(empty_url, request):
    with Store.open(empty_url) as store:
        store.start("fit", capture=False).finish()
    later = request.getfixturevalue("later_step")

    with pytest.raises(SchemaTooOldError, match="requires"):
        Store.open(empty_url)
    for _ in range(2):
        with migrate(empty_url) as store:
            assert store.get("fit#1").status is Status.COMPLETE

    with psycopg.connect(empty_url) as connection:
        notes = connection.execute(
            "SELECT count(*) FROM schema_migrations WHERE version = %s", (later.version,)
        ).fetchone()
        assert notes == (1,)
        assert connection.execute("SELECT later FROM runs").fetchall() == [(None,)]


def test_new_tables_have_all_migrations(empty_url, later_step):
    with Store.open(empty_url), psycopg.connect(empty_url) as connection:
        assert connection.execute("SELECT later FROM runs").fetchall() == []


def test_parts_without_data_are_restored(empty_url):
    with Store.open(empty_url) as store:
        store.start("fit", params={"lr": 1}, capture=False).finish()
    with psycopg.connect(empty_url) as connection:
        for part in ("FUNCTION number_of", "FUNCTION is_json", "INDEX runs_by_start"):
            connection.execute(f"DROP {part} CASCADE")
        connection.execute("ALTER TABLE params DROP COLUMN is_plain")
        connection.execute("ALTER TABLE runs DROP CONSTRAINT runs_uid_key")
        connection.execute(
            "CREATE OR REPLACE FUNCTION json_number(spelled text) RETURNS double precision"
            " LANGUAGE sql AS 'SELECT 0.0::double precision'"
        )

    with pytest.raises(SchemaTooOldError, match="lacks a function"):
        Store.open(empty_url)
    with pytest.warns(StoreWarning, match="function json_number, index runs_uid_key") as told:
        migrate(empty_url).close()
    assert "view tags_flat" in str(told[0].message)
    with migrate(empty_url) as store:
        assert store.check() == ()
        assert [run.run_number for run in store.find("params.lr = 1")] == [1]


def test_tables_that_are_searched_in_indexes_are_vacuumed_early(empty_url):
    Store.open(empty_url).close()

    with psycopg.connect(empty_url) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class"
            " WHERE 'autovacuum_vacuum_insert_scale_factor=0.02' = ANY (reloptions)"
        ).fetchall()

    assert {name for (name,) in rows} == {*schema.SEARCHED_TABLES}


def test_lost_tables_and_columns_are_named(empty_url):
    Store.open(empty_url).close()
    with psycopg.connect(empty_url) as connection:
        connection.execute("DROP TABLE known_files")
        connection.execute("DROP TABLE metric_chunks_3")
        connection.execute("ALTER TABLE runs DROP COLUMN exit_code CASCADE")

    lost = r": table known_files, table metric_chunks_3, column runs\.exit_code\."
    with pytest.raises(StoreCorruptError, match=lost):
        migrate(empty_url)
    with Store.open(empty_url) as store:
        hints = {finding.what: finding.hint for finding in store.check()}
    assert "runstore migrate" in hints["missing parts of the tables"]


def test_newer_tables_are_read_and_not_written(url, monkeypatch):
    from runstore.storage.postgres import database

    with Store.open(url) as store:
        store.start("fit", capture=False).finish()
    monkeypatch.setattr(database, "SCHEMA_VERSION", database.SCHEMA_VERSION - 1)

    with Store.open(url) as store:
        assert store.get("fit#1").status is Status.COMPLETE
        with pytest.raises(SchemaTooNewError):
            store.edit("fit#1", notes="no")


# Roles


def test_a_reader_reads_and_cannot_write(url):
    with Store.open(url) as store:
        store.start("fit", params={"lr": 0.1}, capture=False).finish()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    try:
        with Store.open(url.replace("postgres@", "reader@")) as store:
            assert [run.run_number for run in store.find("params.lr = 0.1")] == [1]
            with pytest.raises(StoreReadOnlyError, match="only read"):
                store.edit("fit#1", notes="no")
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP OWNED BY reader")
            connection.execute("DROP ROLE reader")


# Many writers, and a server that goes away

WRITER = """
import sys
from runstore import Store
with Store.open(sys.argv[1]) as store:
    for number in range(int(sys.argv[2])):
        with store.start("fit", params={"a": number}, capture=False) as run:
            run.log(loss=number)
            run.tags["writer"] = sys.argv[3]
"""


def test_processes_that_write_at_once_lose_nothing(url):
    command_server.load("psycopg")
    writers = [command_server.Program(WRITER, url, 4, number) for number in range(4)]

    assert [writer.wait(timeout=100) for writer in writers] == [0] * 4
    with Store.open(url) as store:
        runs = store.list(limit=100)
        assert sorted(run.run_number for run in runs) == list(range(1, 17))
        assert all(run.metrics["loss"].count == 1 for run in runs)


def test_a_connection_that_the_server_closed_is_replaced(url):
    with Store.open(url) as store, psycopg.connect(url, autocommit=True) as other:
        run = store.start("fit", capture=False)
        end_sessions("current_database()", other.execute)
        assert store.get("fit#1").status is Status.RUNNING
        end_sessions("current_database()", other.execute)
        run.tags["after"] = "yes"
        end_sessions("current_database()", other.execute)
        run.finish()

        assert store.get("fit#1").status is Status.COMPLETE
        assert store.get("fit#1").tags["after"] == "yes"


def test_a_start_that_was_committed_without_an_answer_is_repeated(url, monkeypatch):
    with Store.open(url) as store:
        connections = store.backend.database.driver._pool
        take, is_lost = connections.take, []

        class Losing:
            """A connection that is lost after the server has committed."""

            def __init__(self, raw):
                self._raw = raw

            def __getattr__(self, name):
                return getattr(self._raw, name)

            def execute(self, *arguments):
                self._raw.execute(*arguments)
                self._raw.close()
                is_lost.append(1)
                raise psycopg.errors.AdminShutdown

        monkeypatch.setattr(connections, "take", lambda *_: take() if is_lost else Losing(take()))
        run = store.start("fit", params={"lr": 0.1}, capture=False)
        monkeypatch.undo()

        assert [one.uid for one in store.list()] == [run.uid]
        assert run.reference == store.get("fit#1").reference
        assert store.start("fit", capture=False).run_number == 2


def test_connections_are_kept_again_after_one_was_lost(url):
    def process():
        with driver.read() as connection:
            return connection.execute("SELECT pg_backend_pid()").fetchone()[0]

    with Store.open(url) as store, psycopg.connect(url, autocommit=True) as other:
        driver = store.backend.database.driver
        lost = process()
        end_sessions("current_database()", other.execute)

        first = process()
        assert first != lost
        assert process() == first


def end_sessions(database, run):
    run(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"  # noqa: S608 - our own name
        f" WHERE datname = {database} AND pid <> pg_backend_pid()"
    )


class LateError(Exception):
    """What a program's own signal handler raises."""


def test_a_start_that_a_signal_interrupts_is_cancelled_on_the_server(url):
    """It would be committed after its run was looked for, and stay without an end."""

    def interrupt(_number, _frame):
        raise LateError

    before = signal.signal(signal.SIGALRM, interrupt)
    with Store.open(url) as store, psycopg.connect(url) as writer:
        writer.execute(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})")
        done = threading.Timer(0.5, writer.commit)
        done.start()
        try:
            with pytest.raises(LateError):
                signal.setitimer(signal.ITIMER_REAL, 0.1)
                store.start("late", capture=False)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        done.join()

        assert list(store.list()) == []
        assert store.start("late", capture=False).finish() is None


def test_a_change_is_seen_by_a_reader_that_asks_for_what_is_new(url):
    from runstore.storage.query.changes import Changes

    with Store.open(url) as store, Store.open(url) as reader:
        changes, seen, found = Changes(reader.backend.database), 0, set()

        def write():
            for _ in range(20):
                store.start("fit", capture=False).finish()

        writer = threading.Thread(target=write)
        writer.start()
        some, is_over = [], False
        while some or not is_over:
            is_over = not writer.is_alive()  # before the question, so that its answer is the last
            some = changes.since(seen, 3)
            found |= {one.row_id for one in some}
            seen = max([seen, *(one.change for one in some)])
        writer.join()

        assert len(found) == 20


# Through a pooler


@pytest.fixture
def pooled(url):
    """Return the URL of a store behind PgBouncer, which pools transactions."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("PgBouncer is not installed")
    parts = urlsplit(url)
    options = parse_qs(parts.query)
    server = options["host"][0] if "host" in options else parts.hostname
    folder = Path(tempfile.mkdtemp(prefix="rs-pgb-", dir="/tmp"))  # the name of a socket is short
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={server} port={parts.port or 5432} user={parts.username}\n"
        "[pgbouncer]\npool_mode = transaction\nauth_type = any\nlisten_port = 6432\n"
        f"unix_socket_dir = {folder}\ndefault_pool_size = 2\nmax_client_conn = 100\n"
        "ignore_startup_parameters = extra_float_digits\n"
    )
    user = []
    if os.geteuid() == 0:  # which it refuses
        name = Path(server).owner() if Path(server).exists() else "nobody"
        user = ["-u", name]
        shutil.chown(folder, name)
    pooler = subprocess.Popen(
        [program, "-q", *user, folder / "pgbouncer.ini"], stderr=subprocess.DEVNULL
    )
    try:
        while not (folder / ".s.PGSQL.6432").exists():
            assert pooler.poll() is None
            time.sleep(0.01)
        yield f"postgresql://{parts.username}@{parts.path}?host={folder}&port=6432"
    finally:
        pooler.terminate()
        pooler.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


def test_everything_works_through_a_pooler_of_transactions(pooled):
    command_server.load("psycopg")
    code = "import sys; from runstore import Store; Store.open(sys.argv[1]).close()"
    assert command_server.Program(code, pooled).wait() == 0
    writers = [command_server.Program(WRITER, pooled, 3, number) for number in range(3)]
    with Store.open(pooled) as store:
        with store.start("more", params={"lr": 0.1, "name": "x"}, capture=False) as run:
            run.log(loss=1.0)
            run.save("model.bin", b"weights")
        store.edit("more#1", notes="from a pool")
        store.delete("more#1")
        store.restore("more#1")
        assert [writer.wait(timeout=100) for writer in writers] == [0] * 3

        found = store.find("params.lr = 0.1 and notes contains 'pool' order by metrics.loss")
        assert [run.reference for run in found] == [run.reference]
        assert len(store.list(limit=100)) == 10
        assert [group.runs for group in store.group("status")] == [10]
        assert not [one for one in store.check(deep=True) if one.is_trouble]


def test_settings_behind_a_pooler_change_nothing(pooled):
    from postgres_server import admin

    name = urlsplit(pooled).path.strip("/")
    for setting in ("standard_conforming_strings", "array_nulls"):
        admin(f'ALTER DATABASE "{name}" SET {setting} = off')
    try:
        with Store.open(pooled) as store:
            run = store.start("fit", params={"lr": 1, "text": "NULL"}, capture=False)
            run.tags["path"] = "a\\n"
            run.finish()

            assert store.get("fit#1").params == {"lr": 1, "text": "NULL"}
            assert len(store.find("tags.path = 'a\\\\n' or tags.path like 'a_n'")) == 1
    finally:
        admin(f'ALTER DATABASE "{name}" RESET ALL')


def test_a_statement_behind_a_pooler_may_take_long(pooled, monkeypatch):
    monkeypatch.setattr(pool, "SILENT_AT_MOST_S", 0.1)
    with (
        Store.open(pooled) as store,
        pytest.warns(StoreWarning, match="the server is working"),
        store.backend.database.driver.read() as connection,
    ):
        assert connection.execute("SELECT pg_sleep(1)::text").fetchall() == [("",)]


# Words of SQLite


LETTERS = (
    "abAB09_ .-\n\u00e9\u00c9e\u0301\u0131\u0130iI\u00dfsS\u017fkK\u212a"
    "\u03c3\u03c2\u03a3\u0436\u0416\u0663\u5931\u00a0\U0001f680"
)


@given(
    flags=st.sampled_from(["", "", "(?i)", "(?a)", "(?ai)", "(?s)"]),
    pattern=st.lists(
        st.sampled_from(
            [*LETTERS, "\\.", "[a-c]", "[^a]", "\\d", "\\w+", "(a|b)", "b?", "a*", "^", "$",
             "(?:x|)", "{2}", "a{1,3}", "\\b", "\\B", "[\\w-]", "\\W", "\\S", "\\s", "[^\\w]",
             "[\\W\\d]", "[^\\W_]", "[\u00e0-\u00fc]", "[]^-]", "[^\\x00-\U0010ffff]"]
        ),
        max_size=5,
    ).map("".join),
    text=st.text(LETTERS, max_size=8),
)  # fmt: skip
def test_a_regular_expression_finds_the_same(patterns_in_sql, flags, pattern, text):
    try:
        expected = regex.search(flags + pattern, text) is not None
        ours = postgres_pattern(flags + pattern)
    except (regex.error, FilterError):
        return

    assert patterns_in_sql(ours, text) is expected, ours


@pytest.fixture(scope="module")
def patterns_in_sql():
    """Evaluate expressions in a database without a locale, which knows no letters but ASCII's."""
    from postgres_server import admin, drop, server, with_database

    name = f"runstore_{os.getpid()}_without_locale"
    drop(name)
    admin(f"CREATE DATABASE {name} LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    Store.open(with_database(server(), name)).close()
    with psycopg.connect(with_database(server(), name), autocommit=True) as connection:

        def found(pattern, text):
            return connection.execute("SELECT is_match(%s, %s)", (pattern, text)).fetchone()[0]

        yield found
    drop(name)


@pytest.mark.parametrize("pattern", [r"(a)\1", r"(?m)^a", "a{300}", r"(?P<n>a)(?P=n)", "a++"])
def test_an_expression_that_postgresql_lacks_is_an_error(pattern):
    with pytest.raises(FilterError, match="not available on PostgreSQL yet"):
        postgres_pattern(pattern)


def test_parameters_are_numbered_and_literals_are_left_alone():
    text = "SELECT ':a ?', \"b:c\" FROM t WHERE x = :x AND y = :y AND z = :x"

    assert translated(text).text == text.replace("= :x", "= $1").replace("= :y", "= $2")
    assert translated(text).values({"y": 2, "x": 1}) == [1, 2]
    assert re.findall(r"\$\d", translated("a = ? AND b IS ?").text) == ["$1", "$2"]


def test_what_a_run_records_while_the_server_is_away_is_taken_in_later(url, monkeypatch):
    from postgres_server import admin
    from runstore.storage.postgres.connections import pool

    monkeypatch.setattr(pool, "RETURNS_WITHIN_S", 0)
    name = server_location(url).url.partition("?")[0].rpartition("/")[2]
    with Store.open(url) as store:
        run = store.start("fit", capture=False)
        run.log(loss=1.0)
        admin(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        end_sessions(f"'{name}'", admin)
        try:
            with pytest.warns(StoreWarning):
                run.log(loss=0.5)
                run.tags["away"] = "yes"
                run.save("model.bin", b"weights")
                run.finish()
        finally:
            admin(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    with Store.open(url) as store:
        kept = store.get("fit#1")
        assert (kept.status, kept.tags) == (Status.COMPLETE, {"away": "yes"})
        assert kept.metric("loss").values.tolist() == [1.0, 0.5]
        assert contents(store) == b"weights"
        store.path.joinpath("objects").rename(store.path / "elsewhere")  # as on another machine
        assert contents(store) == b"weights"


def test_output_is_searched_without_the_copies_of_this_machine(url):
    from runstore.recording.output.keeper import OutputKeeper

    with Store.open(url) as store:
        with store.start("fit", capture=False) as run:
            keeper = OutputKeeper(store.backend.spool, run.uid)
            keeper.feed("stdout", b"first\nCUDA out of memory\n")
            keeper.close()
            run.execution.has_output = True
        assert [line.number for page in store.grep("CUDA") for line in page.lines] == [2]
        shutil.rmtree(store.path / "objects")

        assert [line.number for page in store.grep("memory") for line in page.lines] == [2]


def test_a_copy_that_is_being_fetched_is_kept_by_programs_that_save(url, monkeypatch):
    with Store.open(url) as store:
        with store.start("fit", capture=False) as run:
            run.save("model.bin", b"weights")
        shutil.rmtree(store.path / "objects")
        driver, folder = store.backend.database.driver, store.backend.objects.folder
        fetch_one = driver.fetch_one

        def during_another_save(*question):
            found = fetch_one(*question)
            if any(folder.joinpath("incoming").iterdir()):
                with Store.open(url) as other, other.start("fit", capture=False) as saving:
                    saving.save("other.bin", b"other")
            return found

        monkeypatch.setattr(driver, "fetch_one", during_another_save)
        folder.joinpath("incoming").mkdir(parents=True)

        assert contents(store) == b"weights"
        assert store.backend.objects.folder == folder
        assert store.get("fit#2").artifacts.keys() == {"other.bin"}


def contents(store):
    saved = store.get("fit#1").artifacts["model.bin"]
    with store.backend.objects.opened(saved.digest, saved.size_bytes) as file:
        return file.read()


def test_a_file_that_took_the_descriptor_of_a_connection_is_left_alone(url, tmp_path):
    """A program that becomes a daemon closes all descriptors; its files reuse the numbers."""
    with Store.open(url) as store:
        store.start("fit", capture=False).finish()
        taken = [raw.pgconn.socket for raw in store.backend.database.driver._pool._idle.free]
        mine = os.open(tmp_path / "mine", os.O_RDWR | os.O_CREAT)
        for number in taken:
            os.dup2(mine, number)

        assert store.get("fit#1").status is Status.COMPLETE

    assert taken
    for number in (*taken, mine):
        assert os.path.sameopenfile(number, mine)
        os.close(number)
    assert (tmp_path / "mine").read_bytes() == b""


def test_a_url_from_a_message_gets_the_password_of_the_variable(monkeypatch):
    url = "postgresql://ada:sesame@db.example.org/runs?sslpassword=secret"
    monkeypatch.setenv("RUNSTORE_URL", url)

    assert server_location(masked(url)) == server_location(url)
    other = masked(url.replace("runs", "others"))
    assert server_location(other).given == other

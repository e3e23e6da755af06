"""Each statement of the tables, written once, is understood by PostgreSQL as well."""

import importlib
import pkgutil
import re

import pytest

from runstore import storage

psycopg = pytest.importorskip("psycopg")

# Statements about SQLite's own files: the search index, and checks of the database file.
OF_SQLITE = ("sqlite", "migrations", "postgres", "fulltext.index", "fulltext.candidates")
_OWN_TABLES = re.compile(r"sqlite_(schema|master)|temp\.waiting_params|\bparts\b")
_BEGIN = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
# What is filled in: placeholders of lists, and conditions.
_FILLED = {"{ids}": "?", "{uids}": "?", "{kept}": "r.deleted_at IS NULL", "{where}": "(1 = 1)"}
# Its types are those of its parameters.
_UNTYPED = {"CHUNKS_OF_MANY"}


def texts_in(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (tuple, list, set, frozenset)):
        for one in value:
            yield from texts_in(one)
    elif isinstance(value, dict):
        yield from texts_in(list(value.values()))


def statements():
    found = {}
    for module in pkgutil.walk_packages(storage.__path__, "runstore.storage."):
        if any(part in module.name for part in OF_SQLITE):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            for text in texts_in(value):
                if not _BEGIN.match(text) or _OWN_TABLES.search(text) or name in _UNTYPED:
                    continue
                for mark, filling in _FILLED.items():
                    text = text.replace(mark, filling)  # noqa: PLW2901 - the same statement
                if not re.search(r"\{\w*\}", text):
                    plain = text.replace("{{", "{").replace("}}", "}")
                    found.setdefault(plain, f"{module.name}.{name}")
    return found


def test_postgresql_understands_each_statement():
    from postgres_server import database
    from runstore.storage.postgres.dialect import translated

    url, take_back = database()
    found = statements()
    refused = {}
    with psycopg.connect(url, autocommit=True) as connection:
        for text, name in found.items():
            try:
                connection.execute(f"PREPARE one AS {translated(text).text}")
                connection.execute("DEALLOCATE one")
            except psycopg.Error as error:
                refused[name] = str(error)
    take_back()

    assert refused == {}
    assert len(found) > 200

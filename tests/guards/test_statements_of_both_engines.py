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


def constants(leaving_out):
    """Yield the texts among the constants of the storage, with their names."""
    for module in pkgutil.walk_packages(storage.__path__, "runstore.storage."):
        if not any(part in module.name for part in leaving_out):
            for name, value in vars(importlib.import_module(module.name)).items():
                for text in texts_in(value):
                    yield f"{module.name}.{name}", text


def statements():
    found = {}
    for name, text in constants(OF_SQLITE):
        if (
            not _BEGIN.match(text)
            or _OWN_TABLES.search(text)
            or name.rpartition(".")[2] in _UNTYPED
        ):
            continue
        for mark, filling in _FILLED.items():
            text = text.replace(mark, filling)  # noqa: PLW2901 - the same statement
        if not re.search(r"\{\w*\}", text):
            found.setdefault(text.replace("{{", "{").replace("}}", "}"), name)
    return found


def unnamed_subqueries(text):
    """Yield the subqueries of a statement or template that have no name."""
    for begin in re.finditer(r"\b(FROM|JOIN) (?=\()", text):
        depth = 0
        for at in range(begin.end(), len(text)):
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            if not depth:
                if not re.match(r"\s+(AS )?[a-z]", text[at + 1 :]):
                    yield text[begin.start() : at + 1]
                break


def test_each_subquery_has_a_name():
    """PostgreSQL 14 and 15 refuse others."""
    found = {
        (name, one)
        for name, text in constants(("sqlite", "migrations"))
        for one in unnamed_subqueries(text)
    }

    assert not found


def test_postgresql_understands_each_statement():
    from postgres_server import database
    from runstore.storage.postgres.dialect import translated

    found = statements()
    refused = {}
    with database() as url, psycopg.connect(url, autocommit=True) as connection:
        for text, name in found.items():
            try:
                connection.execute(f"PREPARE one AS {translated(text).text}")
                connection.execute("DEALLOCATE one")
            except psycopg.Error as error:
                refused[name] = str(error)

    assert refused == {}
    assert len(found) > 200

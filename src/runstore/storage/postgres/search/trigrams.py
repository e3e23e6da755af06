"""The shared index of printed texts: a table with a trigram index, if the server has pg_trgm.

Contents never change and have their digest as name, so that rows are never outdated; they are
removed together with the contents. Searches add what is missing, in short statements that do not
wait for programs that record, nor delay them.
"""
# ruff: noqa: S608 - nothing but constants, and marks of parameters, are put into SQL

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from runstore.errors import StoreError
from runstore.storage.postgres import objects
from runstore.storage.postgres.search.expression import PRINTED_BODY, simplified_in

if TYPE_CHECKING:
    from runstore.storage.postgres.driver import PostgresDriver

# How long a search adds texts, in seconds, and the output that one statement adds.
_ADDS_FOR_S = 1.0
_BYTES_AT_ONCE = 1 << 20
_ROWS_AT_ONCE = 200

# Programs that use a new store at the same time make the table, extension and index one by one.
_LOCK = f"PERFORM pg_advisory_xact_lock({0x74726773})"
# The table has the privileges of `outputs`: whoever may read output may search in it.
_MAKE = f"""
    DO $$ DECLARE
        one record;
    BEGIN
        {_LOCK};
        IF to_regclass('search_texts') IS NULL THEN
            CREATE EXTENSION IF NOT EXISTS pg_trgm;
            CREATE TABLE search_texts (
                digest TEXT COLLATE "C" NOT NULL
                    REFERENCES objects (digest) ON DELETE CASCADE ON UPDATE CASCADE,
                part BIGINT NOT NULL,
                is_whole BOOLEAN NOT NULL,
                text TEXT COLLATE "C" NOT NULL,
                PRIMARY KEY (digest, part)
            );
            FOR one IN SELECT a.grantee, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
                WHERE c.oid = 'outputs'::regclass AND a.grantee <> c.relowner
            LOOP
                EXECUTE format('GRANT %s ON search_texts TO %s', one.privilege_type,
                    CASE one.grantee WHEN 0 THEN 'PUBLIC' ELSE one.grantee::regrole::text END);
            END LOOP;
        END IF;
    EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_file THEN
        NULL; -- without the extension, the server reads the texts themselves
    END $$
"""
# The extension may be in any schema.
_MAKE_INDEX = f"""
    DO $$ BEGIN
        {_LOCK};
        EXECUTE (
            SELECT format('CREATE INDEX IF NOT EXISTS search_texts_by_trigram ON search_texts'
                ' USING gin (text %I.gin_trgm_ops)', n.nspname)
            FROM pg_opclass c JOIN pg_namespace n ON n.oid = c.opcnamespace
            WHERE c.opcname = 'gin_trgm_ops'
        );
    END $$
"""
RIGHTS = """
    SELECT to_regclass('search_texts_by_trigram') IS NOT NULL,
        coalesce(has_table_privilege(to_regclass('search_texts'), 'SELECT'), false),
        coalesce(has_table_privilege(to_regclass('search_texts'), 'INSERT'), false)
"""
_IS_MISSING = """
    o.size_bytes > 0 AND NOT EXISTS (SELECT 1 FROM search_texts t WHERE t.digest = o.digest)
"""
MISSING = f"""
    SELECT DISTINCT o.digest, o.size_bytes FROM outputs o JOIN objects c ON c.digest = o.digest
    WHERE {_IS_MISSING} LIMIT {_ROWS_AT_ONCE}
"""
RUNS_WITHOUT = f"""
    SELECT o.run_id, sum(o.size_bytes) FROM outputs o WHERE {_IS_MISSING} GROUP BY o.run_id
    ORDER BY o.run_id DESC
"""
_BODIES = f"""
    SELECT p.digest AS id, p.part, c.size_bytes AS size, {PRINTED_BODY} AS body
    FROM object_parts p JOIN objects c ON c.digest = p.digest
    WHERE p.digest = ANY ($1) AND (c.size_bytes > $2 OR encode(sha256(p.body), 'hex') = p.digest)
"""
_ADD = f"""
    WITH added AS (
        INSERT INTO search_texts (digest, part, is_whole, text)
        SELECT t.id, t.part, t.size <= $2, t.text
        FROM {simplified_in(_BODIES, is_printed=True).format(raw="true")}
        ORDER BY t.id, t.part ON CONFLICT DO NOTHING RETURNING 1
    ) SELECT count(*) FROM added
"""
RUNS_WITH = """
    SELECT DISTINCT o.run_id FROM search_texts t JOIN outputs o ON o.digest = t.digest
    WHERE {strict} OR (NOT t.is_whole AND {loose}) LIMIT :at_most
"""


def make_index(driver: PostgresDriver, tell: Callable[[str], None]) -> None:
    """Create the table and its index if this role may, and the server has pg_trgm.

    `tell` receives a message for users if texts are added, which takes long.
    """
    with driver.read() as connection:
        connection.raw.execute(_MAKE)
        has_index, is_there, may_add = connection.execute(RIGHTS).fetchone()
        if has_index or not (is_there and may_add):
            return
        if missing := connection.execute(MISSING).fetchall():
            tell("Adding the output of all runs to the search index of the store.")
    # Before the index, because it is made faster from all texts.
    if missing:
        _add_missing(driver, math.inf)
    with driver.read() as connection:
        connection.raw.execute(_MAKE_INDEX)


def can_search(driver: PostgresDriver) -> bool:
    """Check whether there is an index; first, add texts that are missing, if this role may."""
    is_there, may_read, may_add = driver.fetch_one(RIGHTS)
    if is_there and may_read and may_add and driver.refusal is None:
        # Texts that cannot be added now are read instead.
        with suppress(StoreError), driver.as_one(_nothing):
            _add_missing(driver, time.monotonic() + _ADDS_FOR_S)
    return bool(is_there and may_read)


def _add_missing(driver: PostgresDriver, until: float) -> None:
    while time.monotonic() < until:
        missing = driver.fetch_all(MISSING)
        digests: list[str] = []
        size = 0
        for digest, size_bytes in sorted(missing):
            if not digests or size + size_bytes <= _BYTES_AT_ONCE:
                digests.append(digest)
                size += size_bytes
        if not digests or not driver.call(_ADD, [digests, objects.PART_BYTES])[0]:
            return


def _nothing() -> None:
    """Do nothing: no run was changed."""

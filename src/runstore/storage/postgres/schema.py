"""The tables of a store on a server: those of one version at once, then the later migrations.

Tables and columns have the names that the migrations give them in SQLite. Indexes differ: an
entry of PostgreSQL's has at most 2,700 bytes, and texts of users may be longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runstore.storage.migrations import (
    CREATE_NOTES,
    Migration,
    known_migrations,
    note,
)
from runstore.storage.postgres.dialect import TYPES
from runstore.storage.postgres.functions import (
    COLUMN_FUNCTIONS,
    FUNCTIONS,
    IS_BEHIND,
    RAISE_BASE,
)
from runstore.storage.postgres.short_texts import INDEXES as SHORT_TEXT_INDEXES
from runstore.storage.postgres.views import VIEWS
from runstore.storage.statements import CURRENT_VERSION
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.storage.postgres.connections.connection import PostgresConnection
    from runstore.storage.postgres.driver import PostgresDriver

# The version of the tables below, which never change; later steps are migrations.
FIRST_VERSION = 15
# Points of one run are in one partition, so that runs do not get in each other's way.
_PARTITIONS = 8
IS_THERE = """
    SELECT to_regclass('schema_migrations') IS NOT NULL,
        NOT current_setting('array_nulls')::boolean
"""
# A store of a development version may lack functions of the first version. If somebody dropped
# `runs`, the first statement that reads it says so.
_FOUND = """
    SELECT coalesce(max(version), 0), to_regproc('is_json') IS NOT NULL,
        coalesce(has_table_privilege(to_regclass('runs'), 'INSERT'), true)
            AND NOT current_setting('default_transaction_read_only')::boolean,
        pg_is_in_recovery()
    FROM schema_migrations
"""
_OTHERS = """
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p')
"""

# Whether a value is no truth value. Searches for numbers need it, and the text it is computed from
# may be too long for their index.
_IS_PLAIN = """is_plain BOOLEAN
        GENERATED ALWAYS AS (text IS NULL OR text NOT IN ('false', 'true')) STORED"""
# Decided when they are written, because an error in a search would end it.
_HAS_FACTS = "has_facts BOOLEAN GENERATED ALWAYS AS (is_json(facts)) STORED"
# The last heartbeat of a run that has none any more, for an index.
_FINAL_SEEN_AT = """final_seen_at BIGINT
        GENERATED ALWAYS AS (CASE WHEN ended_at IS NOT NULL THEN last_seen_at END) STORED"""
# The number that a tag spells. Patterns take twice as long, and PL/pgSQL longer still.
_AS_NUMBER = """as_number DOUBLE PRECISION GENERATED ALWAYS AS (CASE
            WHEN value >= '-' AND value < ':' THEN
                CASE WHEN octet_length(value) < 16 AND ltrim(value, '0123456789') = ''
                    AND (value >= '1' OR value = '0') THEN value::double precision
                    ELSE number_of(value) END
            WHEN value IN ('inf', 'false', 'true') THEN number_of(value)
        END) STORED"""
GENERATED = {
    "is_plain": _IS_PLAIN,
    "has_facts": _HAS_FACTS,
    "final_seen_at": _FINAL_SEEN_AT,
    "as_number": _AS_NUMBER,
}
TABLES = (
    """
    CREATE TABLE experiments (
        id {identity},
        name {text} NOT NULL UNIQUE,
        last_run_number {integer} NOT NULL,
        created_at {integer} NOT NULL
    )
    """,
    """
    CREATE TABLE runs (
        id {identity},
        uid {text} NOT NULL UNIQUE,
        experiment_id {integer} NOT NULL REFERENCES experiments (id),
        run_number {integer} NOT NULL,
        duplicate {integer} NOT NULL DEFAULT 0,
        reference {text} NOT NULL,
        timestamp {text} NOT NULL,
        status {text} NOT NULL,
        started_at {integer} NOT NULL,
        ended_at {integer},
        last_seen_at {integer},
        parent_uid {text},
        notes {text},
        error {text},
        traceback {text},
        exit_code {integer},
        commit_hash {text},
        workdir_dirty {integer},
        cli {text},
        full_store {integer} NOT NULL DEFAULT 0,
        reproduce {text},
        hostname {text},
        boot_id {text},
        pid {integer},
        process_started {text},
        facts {text},
        block {text},
        changed {integer} NOT NULL,
        deleted_at {integer},
        purged_at {integer},
        params_hash {text},
        facts_filed {integer},
        last_link {bytes},
        {has_facts},
        {final_seen_at},
        UNIQUE (experiment_id, run_number, duplicate) INCLUDE (id)
    )
    """,
    """
    CREATE TABLE reference_aliases (
        reference {text} NOT NULL,
        run_id {integer} NOT NULL REFERENCES runs (id),
        experiment_id {integer},
        run_number {integer},
        PRIMARY KEY (reference, run_id)
    )
    """,
    """
    CREATE TABLE param_values (
        tree_key {text} PRIMARY KEY,
        tree {text} NOT NULL
    )
    """,
    """
    CREATE TABLE run_params (
        run_id {integer} NOT NULL REFERENCES runs (id),
        set_index {integer} NOT NULL,
        file {text},
        name {text} NOT NULL,
        hash {text} NOT NULL,
        tree_key {text},
        PRIMARY KEY (run_id, set_index)
    )
    """,
    """
    CREATE TABLE params (
        run_id {integer} NOT NULL,
        set_index {integer} NOT NULL,
        key {text} NOT NULL,
        number {real},
        text {text},
        indexed {integer} DEFAULT 1,
        {is_plain}
    )
    """,
    """
    CREATE TABLE documents (
        hash {text} PRIMARY KEY,
        body {text} NOT NULL
    )
    """,
    """
    CREATE TABLE run_documents (
        run_id {integer} NOT NULL REFERENCES runs (id),
        name {text} NOT NULL,
        hash {text} NOT NULL REFERENCES documents (hash),
        PRIMARY KEY (run_id, name)
    )
    """,
    """
    CREATE TABLE events (
        id {identity},
        run_id {integer} NOT NULL REFERENCES runs (id),
        at {integer} NOT NULL,
        author {text} NOT NULL,
        field {text} NOT NULL,
        old {text},
        new {text},
        operation {text},
        undoes {text},
        link {bytes}
    )
    """,
    """
    CREATE TABLE store_state (
        name {text} PRIMARY KEY,
        value {text} NOT NULL
    )
    """,
    """
    CREATE TABLE metric_keys (
        id {identity},
        key {text} NOT NULL UNIQUE
    )
    """,
    """
    CREATE TABLE metric_chunks (
        run_id {integer} NOT NULL,
        set_index {integer} NOT NULL,
        key_id {integer} NOT NULL,
        chunk_index {integer} NOT NULL,
        count {integer} NOT NULL,
        chunk {bytes} NOT NULL,
        digest {bytes},
        PRIMARY KEY (run_id, set_index, key_id, chunk_index)
    ) PARTITION BY HASH (run_id)
    """,
    """
    CREATE TABLE metric_levels (
        run_id {integer} NOT NULL,
        set_index {integer} NOT NULL,
        key_id {integer} NOT NULL,
        level {integer} NOT NULL,
        place {integer} NOT NULL,
        blocks {bytes} NOT NULL,
        digest {bytes} NOT NULL,
        PRIMARY KEY (run_id, set_index, key_id, level, place)
    ) PARTITION BY HASH (run_id)
    """,
    """
    CREATE TABLE metric_summaries (
        run_id {integer} NOT NULL REFERENCES runs (id),
        set_index {integer} NOT NULL,
        key_id {integer} NOT NULL REFERENCES metric_keys (id),
        count {integer} NOT NULL,
        nan_count {integer} NOT NULL,
        first {real},
        last {real},
        min {real},
        max {real},
        total {real},
        last_step {integer} NOT NULL,
        last_at {integer} NOT NULL,
        digest {bytes},
        PRIMARY KEY (run_id, set_index, key_id)
    )
    """,
    """
    CREATE TABLE spool_marks (
        name {text} PRIMARY KEY,
        position {integer} NOT NULL
    )
    """,
    """
    CREATE TABLE artifacts (
        run_id {integer} NOT NULL REFERENCES runs (id),
        path {text} NOT NULL,
        digest {text} NOT NULL,
        size_bytes {integer} NOT NULL,
        media_type {text} NOT NULL,
        saved_at {integer} NOT NULL,
        PRIMARY KEY (run_id, path)
    )
    """,
    """
    CREATE TABLE previews (
        digest {text} PRIMARY KEY,
        media_type {text} NOT NULL,
        body {bytes} NOT NULL
    )
    """,
    """
    CREATE TABLE inputs (
        run_id {integer} NOT NULL REFERENCES runs (id),
        name {text} NOT NULL,
        digest {text},
        size_bytes {integer},
        modified_at {integer},
        location {text},
        source_uid {text},
        used_at {integer} NOT NULL,
        PRIMARY KEY (run_id, name)
    )
    """,
    """
    CREATE TABLE known_files (
        location {text} PRIMARY KEY,
        size_bytes {integer} NOT NULL,
        modified_ns {integer} NOT NULL,
        file_id {text} NOT NULL,
        digest {text} NOT NULL
    )
    """,
    """
    CREATE TABLE outputs (
        run_id {integer} NOT NULL REFERENCES runs (id),
        part {text} NOT NULL,
        digest {text} NOT NULL,
        size_bytes {integer} NOT NULL,
        PRIMARY KEY (run_id, part)
    )
    """,
    """
    CREATE TABLE tags (
        run_id {integer} NOT NULL REFERENCES runs (id),
        key {text} NOT NULL,
        value {text} NOT NULL,
        {as_number},
        PRIMARY KEY (run_id, key)
    )
    """,
    """
    CREATE TABLE fact_values (
        key {text} NOT NULL,
        set_id {integer} NOT NULL,
        place {integer} NOT NULL,
        number {real},
        text {text},
        {is_plain},
        PRIMARY KEY (key, set_id, place)
    )
    """,
    """
    CREATE TABLE run_facts (
        set_id {integer} NOT NULL,
        run_id {integer} NOT NULL REFERENCES runs (id),
        PRIMARY KEY (set_id, run_id)
    )
    """,
    # Contents of artifacts and output, in parts; only used without a shared folder.
    """
    CREATE TABLE object_parts (
        digest {text} NOT NULL,
        part {integer} NOT NULL,
        body {bytes} NOT NULL,
        PRIMARY KEY (digest, part)
    )
    """,
    """
    CREATE TABLE objects (
        digest {text} PRIMARY KEY,
        size_bytes {integer} NOT NULL,
        saved_at {integer} NOT NULL
    )
    """,
)
INDEXES = (
    "CREATE INDEX runs_by_reference ON runs (reference)",
    # Without texts of users, which may be too long for an entry, and without the last heartbeat:
    # it changes all the time, and a change of a column in an index writes to all of them.
    """
    CREATE INDEX runs_by_start ON runs (started_at, id)
        INCLUDE (status, ended_at, final_seen_at, experiment_id, run_number, exit_code,
            workdir_dirty)
        WHERE deleted_at IS NULL
    """,
    """
    CREATE INDEX runs_with_traceback ON runs (started_at, id)
        WHERE deleted_at IS NULL AND traceback IS NOT NULL
    """,
    *SHORT_TEXT_INDEXES,
    "CREATE INDEX runs_by_change ON runs (changed)",
    "CREATE INDEX runs_by_parent ON runs (parent_uid) WHERE parent_uid IS NOT NULL",
    "CREATE INDEX runs_incomplete ON runs (status, id) WHERE status <> 'complete'",
    "CREATE INDEX runs_in_trash ON runs (deleted_at, id) WHERE deleted_at IS NOT NULL",
    """
    CREATE INDEX runs_done ON runs (experiment_id, params_hash, commit_hash, id)
        WHERE status = 'complete' AND deleted_at IS NULL
    """,
    """
    CREATE INDEX runs_with_loose_facts ON runs (id)
        WHERE facts IS NOT NULL AND facts_filed IS NULL
    """,
    "CREATE INDEX aliases_by_run ON reference_aliases (run_id)",
    "CREATE INDEX params_of_run ON params (run_id, key, set_index)",
    "CREATE INDEX params_by_key ON params (key, number, run_id, set_index, is_plain)",
    "CREATE INDEX run_documents_by_hash ON run_documents (name, hash, run_id)",
    "CREATE INDEX events_by_run ON events (run_id, id)",
    "CREATE INDEX events_by_author ON events (author, at, id)",
    "CREATE INDEX events_by_operation ON events (operation)",
    "CREATE INDEX events_by_undoes ON events (undoes) WHERE undoes IS NOT NULL",
    """
    CREATE INDEX metric_summaries_by_key ON metric_summaries
        (key_id, run_id, set_index, last, first, min, max, total, count, nan_count)
    """,
    "CREATE INDEX artifacts_by_digest ON artifacts (digest)",
    "CREATE INDEX artifacts_by_path ON artifacts (path, run_id)",
    "CREATE INDEX inputs_by_source ON inputs (source_uid) WHERE source_uid IS NOT NULL",
    "CREATE INDEX inputs_by_name ON inputs (name, run_id)",
    "CREATE INDEX outputs_by_digest ON outputs (digest)",
    "CREATE INDEX tags_by_key ON tags (key, run_id)",
    """
    CREATE INDEX tags_by_number ON tags (key, as_number, run_id) WHERE as_number IS NOT NULL
    """,
)
# Tables of which searches read indexes alone, as far as VACUUM has marked the pages of their rows:
# done when a few percent of the rows are new or changed, instead of a fifth.
SEARCHED_TABLES = (
    *("runs", "run_params", "params", "metric_summaries", "tags", "fact_values", "run_facts"),
    *("artifacts", "inputs", "run_documents"),
)
_STORAGE = (
    *(
        f"ALTER TABLE {table} SET (autovacuum_vacuum_insert_scale_factor = 0.02,"
        " autovacuum_vacuum_scale_factor = 0.05)"
        for table in SEARCHED_TABLES
    ),
    # Chunks and contents are compressed already.
    "ALTER TABLE metric_chunks ALTER COLUMN chunk SET STORAGE EXTERNAL",
    "ALTER TABLE metric_levels ALTER COLUMN blocks SET STORAGE EXTERNAL",
    "ALTER TABLE object_parts ALTER COLUMN body SET STORAGE EXTERNAL",
)
_STATE = (
    # Every event has a link, and parameters are indexed when they are written.
    ("last_event_without_link", "0"),
    ("last_run_indexed", str(2**62)),
)


def partitions() -> list[str]:
    """Return the statements that create the partitions of tables."""
    return [
        f"CREATE TABLE {table}_{part} PARTITION OF {table}"
        f" FOR VALUES WITH (MODULUS {_PARTITIONS}, REMAINDER {part})"
        for table in ("metric_chunks", "metric_levels")
        for part in range(_PARTITIONS)
    ]


class FoundTables(NamedTuple):
    """The tables that a database has.

    Attributes:
        version: Their version; 0 if there are none.
        has_functions: Whether they have the functions of the first version.
        may_write: Whether the role may write to them.
        is_replica: Whether the server is a replica.
    """

    version: int
    has_functions: bool = False
    may_write: bool = True
    is_replica: bool = False


def find(driver: PostgresDriver) -> FoundTables:
    """Return which tables there are, in two round trips."""
    with driver.read() as connection:
        has_notes, driver.reads_nulls_as_texts = connection.execute(IS_THERE).fetchone()
        if not has_notes:
            return FoundTables(0)
        return FoundTables(*connection.execute(_FOUND).fetchone())


def create(driver: PostgresDriver) -> None:
    """Create the tables in a database without any; another program may do the same now."""
    with driver.write() as connection:
        has_notes, _ = connection.execute(IS_THERE).fetchone()
        if not has_notes:
            _create(connection)


def table_statements() -> list[str]:
    """Return the statements that create the tables of the first version, without partitions."""
    return [statement.format(**TYPES, **GENERATED) for statement in TABLES]


def migrate(driver: PostgresDriver) -> None:
    """Apply all missing migrations in one transaction.

    Two programs may do this at the same time: the second one finds the notes of the first.
    """
    with driver.write() as connection:
        found = int(connection.execute(CURRENT_VERSION).fetchone()[0])
        _apply(connection, known_migrations()[found:])


def go_on_counting(driver: PostgresDriver) -> None:
    """Let changes have higher numbers than before if the tables came from another server."""
    is_behind = driver.fetch_one(IS_BEHIND)[0]
    if is_behind:
        with driver.write() as connection:
            connection.execute(RAISE_BASE)


def has_others(driver: PostgresDriver) -> bool:
    """Check whether the schema has tables of another program."""
    return bool(driver.fetch_one(_OTHERS)[0])


def _create(connection: PostgresConnection) -> None:
    for statement in (*COLUMN_FUNCTIONS, *table_statements(), CREATE_NOTES.format(**TYPES)):
        connection.raw.execute(statement)
    for statement in (*partitions(), *INDEXES, *_STORAGE, *FUNCTIONS, *VIEWS):
        connection.raw.execute(statement)
    for name, value in _STATE:
        connection.execute(
            "INSERT INTO store_state (name, value) VALUES (:name, :value)",
            {"name": name, "value": value},
        )
    steps = known_migrations()
    for step in steps[:FIRST_VERSION]:
        note(step, connection)
    _apply(connection, steps[FIRST_VERSION:])


def _apply(connection: PostgresConnection, steps: Sequence[Migration]) -> None:
    for step in steps:
        for statement in step.on_server:
            connection.raw.execute(statement.format(**TYPES))
        note(step, connection)

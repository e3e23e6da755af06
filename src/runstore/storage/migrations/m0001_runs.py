"""The first tables: experiments, runs, parameters, documents, events."""

NAME = "runs"

STATEMENTS = (
    """
    CREATE TABLE experiments (
        id {identity},
        name {text} NOT NULL UNIQUE,
        last_run_number {integer} NOT NULL,
        created_at {integer} NOT NULL
    )
    """,
    # duplicate: 0 for every run that runstore numbered. Files of other tools may contain a number
    # twice; the second run keeps its number and gets duplicate 1. changed: grows with every change
    # of any run, so that a reader can ask for news. block: the metadata block as written by
    # another tool.
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
        UNIQUE (experiment_id, run_number, duplicate)
    )
    """,
    "CREATE INDEX runs_by_reference ON runs (reference)",
    "CREATE INDEX runs_by_start ON runs (started_at, id) WHERE deleted_at IS NULL",
    "CREATE INDEX runs_by_change ON runs (changed)",
    "CREATE INDEX runs_by_parent ON runs (parent_uid) WHERE parent_uid IS NOT NULL",
    # Former references of moved runs still find them.
    """
    CREATE TABLE reference_aliases (
        reference {text} NOT NULL,
        run_id {integer} NOT NULL REFERENCES runs (id),
        PRIMARY KEY (reference, run_id)
    ) {without_rowid}
    """,
    """
    CREATE TABLE param_values (
        tree_key {text} PRIMARY KEY,
        tree {text} NOT NULL
    ) {without_rowid}
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
    ) {without_rowid}
    """,
    """
    CREATE TABLE params (
        run_id {integer} NOT NULL REFERENCES runs (id),
        set_index {integer} NOT NULL,
        key {text} NOT NULL,
        number {real},
        text {text},
        PRIMARY KEY (run_id, set_index, key)
    ) {without_rowid}
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
    ) {without_rowid}
    """,
    """
    CREATE TABLE events (
        id {identity},
        run_id {integer} NOT NULL REFERENCES runs (id),
        at {integer} NOT NULL,
        author {text} NOT NULL,
        field {text} NOT NULL,
        old {text},
        new {text}
    )
    """,
    "CREATE INDEX events_by_run ON events (run_id, id)",
    # Small facts about the store itself, such as the last store.json written.
    """
    CREATE TABLE store_state (
        name {text} PRIMARY KEY,
        value {text} NOT NULL
    ) {without_rowid}
    """,
)

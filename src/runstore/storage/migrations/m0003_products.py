"""Artifacts, inputs and output of runs; tags, and edits that can be undone."""

NAME = "products"

STATEMENTS = (
    """
    CREATE TABLE artifacts (
        run_id {integer} NOT NULL REFERENCES runs (id),
        path {text} NOT NULL,
        digest {text} NOT NULL,
        size_bytes {integer} NOT NULL,
        media_type {text} NOT NULL,
        saved_at {integer} NOT NULL,
        PRIMARY KEY (run_id, path)
    ) {without_rowid}
    """,
    # By contents: to find the run that saved an input, and unreferenced contents.
    "CREATE INDEX artifacts_by_digest ON artifacts (digest)",
    # A small preview, stored once per contents.
    """
    CREATE TABLE previews (
        digest {text} PRIMARY KEY,
        media_type {text} NOT NULL,
        body {bytes} NOT NULL
    )
    """,
    # digest: null if it was not requested. source_uid: the run that had saved it.
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
    ) {without_rowid}
    """,
    "CREATE INDEX inputs_by_source ON inputs (source_uid) WHERE source_uid IS NOT NULL",
    # Digests of files that were read before, so that large data is read once.
    """
    CREATE TABLE known_files (
        location {text} PRIMARY KEY,
        size_bytes {integer} NOT NULL,
        modified_ns {integer} NOT NULL,
        file_id {text} NOT NULL,
        digest {text} NOT NULL
    ) {without_rowid}
    """,
    # Printed output: one row for each process that printed and each life of the run.
    """
    CREATE TABLE outputs (
        run_id {integer} NOT NULL REFERENCES runs (id),
        part {text} NOT NULL,
        digest {text} NOT NULL,
        size_bytes {integer} NOT NULL,
        PRIMARY KEY (run_id, part)
    ) {without_rowid}
    """,
    "CREATE INDEX outputs_by_digest ON outputs (digest)",
    """
    CREATE TABLE tags (
        run_id {integer} NOT NULL REFERENCES runs (id),
        key {text} NOT NULL,
        value {text} NOT NULL,
        PRIMARY KEY (run_id, key)
    ) {without_rowid}
    """,
    "CREATE INDEX tags_by_key ON tags (key, value)",
    # operation: shared by edits made at once, which are undone at once. undoes: the undone
    # operation.
    "ALTER TABLE events ADD COLUMN operation {text}",
    "ALTER TABLE events ADD COLUMN undoes {text}",
    "UPDATE events SET operation = 'before-' || id WHERE field NOT IN ('status', 'run_number')",
    "CREATE INDEX events_by_author ON events (author, id)",
    "CREATE INDEX events_by_operation ON events (operation)",
    "CREATE INDEX events_by_undoes ON events (undoes) WHERE undoes IS NOT NULL",
)

"""The SQL: one named statement per operation, the same for both engines.

Statements are composed of the constants here; values are always passed as parameters.
"""
# ruff: noqa: S608 - nothing but constants of this file is put into a text

from __future__ import annotations

from runstore.value_classes import NamedTuple

# Of the tables that these statements are for.
SCHEMA_VERSION = 16
CURRENT_VERSION = "SELECT coalesce(max(version), 0) FROM schema_migrations"
# Objects that no migration creates: the names of its views end with `_flat`.
FOREIGN = """
    SELECT type, name FROM sqlite_schema WHERE type = 'trigger'
        OR (type = 'view' AND name NOT LIKE '%\\_flat' ESCAPE '\\')
        OR (type = 'table' AND sql LIKE 'CREATE VIRTUAL%')
"""


class RunRow(NamedTuple):
    """The columns of a run in the order of `RUN_COLUMNS`; times are microseconds since 1970."""

    id: int
    uid: str
    experiment: str
    run_number: int
    reference: str
    timestamp: str
    status: str
    started_at: int
    ended_at: int | None
    last_seen_at: int | None
    parent_uid: str | None
    notes: str | None
    error: str | None
    traceback: str | None
    exit_code: int | None
    commit_hash: str | None
    workdir_dirty: int | None
    cli: str | None
    full_store: int
    reproduce: str | None
    hostname: str | None
    boot_id: str | None
    pid: int | None
    process_started: str | None
    facts: str | None
    block: str | None
    deleted_at: int | None


RUN_COLUMNS = ", ".join("e.name" if one == "experiment" else f"r.{one}" for one in RunRow._fields)
# The number that a tag `v` spells. Most are words, or integers that SQLite parses as Python does:
# calling Python takes ten times as long.
TAG_NUMBER = (
    "(CASE WHEN length(v.value) BETWEEN 1 AND 15 AND v.value NOT GLOB '*[^0-9]*'"
    " AND v.value NOT GLOB '0?*' THEN CAST(v.value AS REAL)"
    " WHEN v.value GLOB '*[0-9]*' OR v.value LIKE '%inf%' OR v.value IN ('false', 'true')"
    " THEN number_of(v.value) END)"
)
# The facts of a run for json_each, without text that another program damaged.
READABLE_FACTS = "CASE WHEN json_valid({run}.facts) THEN {run}.facts END"
# The number and the text of a fact `v`.
FACT_NUMBER = "(CASE WHEN v.type = 'text' THEN NULL ELSE v.value END)"
FACT_TEXT = (
    "(CASE v.type WHEN 'text' THEN v.value WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' END)"
)
_RUNS = f"SELECT {RUN_COLUMNS} FROM runs r JOIN experiments e ON e.id = r.experiment_id"
# A join by name would let PostgreSQL sort all runs of the experiment.
_OF_EXPERIMENT = "r.experiment_id = (SELECT id FROM experiments WHERE name = :experiment)"
# Runs that are kept, in the trash, removed except for their names, and kept or in the trash.
KEPT = "r.deleted_at IS NULL"
# Runs whose conditions may be on any column: PostgreSQL reads most of them from an index.
SCANNED_RUNS = "runs r /* scanned */"
# The last sign of life in a search: PostgreSQL reads that of most runs from an index.
LAST_SEEN = "r.last_seen_at /* searched */"
# At the end of a table in brackets: all of its rows are needed before the limit outside. Otherwise
# PostgreSQL looks for a few of them one by one, although they are rare.
ALL_FIRST = "/* all first */"
# After a limit: rows are read from an index in their order until there are enough. PostgreSQL does
# that whatever it knows of the table: it expects to need a tenth of the rows.
IN_ORDER = "/* in order */"
# At the end of a list of values, with a limit outside: PostgreSQL reads them from their index, and
# not all rows of the table until there are enough.
BY_INDEX = " /* by index */"
TRASHED = "r.deleted_at IS NOT NULL AND r.purged_at IS NULL"
PURGED = "r.purged_at IS NOT NULL"
EVERY = "r.purged_at IS NULL"
UNFINISHED = "('queued', 'running', 'live')"
# SQLite serialises write transactions, so that change numbers are unique.
NEXT_CHANGE = "(SELECT coalesce(max(changed), 0) + 1 FROM runs)"

EXPERIMENT_ID = """
    INSERT INTO experiments (name, last_run_number, created_at) VALUES (:name, :number, :now)
    ON CONFLICT (name) DO UPDATE SET last_run_number =
        CASE WHEN experiments.last_run_number < :number THEN :number
             ELSE experiments.last_run_number END
    RETURNING id
"""
LAST_RUN_NUMBER = """
    SELECT e.id, e.last_run_number,
        (SELECT max(r.run_number) FROM runs r WHERE r.experiment_id = e.id)
    FROM experiments e WHERE e.name = ?
"""
# Changes no row if another process counted on meanwhile.
COUNT_ON = "UPDATE experiments SET last_run_number = ? WHERE id = ? AND last_run_number = ?"
# For a new experiment. Preparing it takes three times as long as the two above together.
NEXT_RUN_NUMBER = """
    INSERT INTO experiments (name, last_run_number, created_at) VALUES (:name, 1, :now)
    ON CONFLICT (name) DO UPDATE SET last_run_number = experiments.last_run_number + 1
    RETURNING id, last_run_number,
        (SELECT max(r.run_number) FROM runs r WHERE r.experiment_id = experiments.id)
"""  # the counter's row lock makes numbers unique between processes
HIGHEST_NUMBER = """
    SELECT coalesce(max(r.run_number), 0) FROM runs r
    WHERE r.experiment_id = :id AND r.run_number BETWEEN 1 AND 4611686018427387903
"""
SET_COUNTER = "UPDATE experiments SET last_run_number = :number WHERE id = :id"

TAKE_BACK_NUMBER = """
    UPDATE experiments SET last_run_number = last_run_number - 1
    WHERE (id, last_run_number) = (SELECT experiment_id, run_number FROM runs WHERE id = :id)
"""
REMOVE_RUN_PARAMS = "DELETE FROM run_params WHERE run_id = :id"
REMOVE_FLAT_PARAMS = "DELETE FROM params WHERE run_id = :id"
REMOVE_RUN_DOCUMENTS = "DELETE FROM run_documents WHERE run_id = :id"
SET_PARAMS_HASH = "UPDATE runs SET params_hash = :hash WHERE id = :id"
IS_MORE_THAN_STARTED = """
    SELECT 1 FROM runs r WHERE r.uid = :uid AND (
        r.ended_at IS NOT NULL OR r.deleted_at IS NOT NULL
        OR EXISTS (SELECT 1 FROM metric_summaries m WHERE m.run_id = r.id)
        OR EXISTS (SELECT 1 FROM artifacts a WHERE a.run_id = r.id)
        OR EXISTS (SELECT 1 FROM inputs n WHERE n.run_id = r.id)
        OR EXISTS (SELECT 1 FROM outputs o WHERE o.run_id = r.id)
        OR EXISTS (SELECT 1 FROM events e WHERE e.run_id = r.id)
    )
"""
NEWEST_CHANGE = "SELECT coalesce(max(changed), 0) FROM runs"
REMOVE_TAGS = "DELETE FROM tags WHERE run_id = :id"
REMOVE_RUN = "DELETE FROM runs WHERE id = :id"

PUT_TAG = """
    INSERT INTO tags (run_id, key, value) VALUES (:run_id, :key, :value)
    ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value
"""

MARK_CHANGED = f"UPDATE runs SET changed = {NEXT_CHANGE} WHERE id = :id"

SET_REPRODUCE = f"""
    UPDATE runs SET reproduce = :reproduce, changed = {NEXT_CHANGE}
    WHERE uid = :uid AND purged_at IS NULL
"""

INSERT_VALUES = """
    INSERT INTO param_values (tree_key, tree) VALUES (?, ?)
    ON CONFLICT (tree_key) DO NOTHING
"""
INSERT_SET = """
    INSERT INTO run_params (run_id, set_index, file, name, hash, tree_key)
    VALUES (?, ?, ?, ?, ?, ?)
"""
INSERT_PARAM = """
    INSERT INTO params (run_id, set_index, key, number, text) VALUES (?, ?, ?, ?, ?)
"""

RUN_BY_UID = f"{_RUNS} WHERE r.uid = :uid AND {KEPT}"
KNOWN_UIDS = "SELECT uid FROM runs WHERE uid IN ({ids})"
# Other runs with the number of a run: after a transfer, two runs of different stores.
NAMESAKES = f"""
    SELECT m.uid, r.uid FROM runs m
    JOIN runs r ON r.experiment_id = m.experiment_id AND r.run_number = m.run_number
    WHERE m.uid IN ({{ids}}) AND r.id <> m.id AND {KEPT}
"""
IS_PURGED = f"SELECT 1 FROM runs r WHERE r.uid = :uid AND {PURGED}"
RUN_OR_TRASHED_BY_UID = f"{_RUNS} WHERE r.uid = :uid AND r.purged_at IS NULL"
RUNS_BY_REFERENCE = f"{_RUNS} WHERE r.reference = :reference AND {KEPT} ORDER BY r.id LIMIT 21"
RUNS_BY_ALIAS = f"""
    {_RUNS} JOIN reference_aliases a ON a.run_id = r.id
    WHERE a.reference = :reference AND {KEPT} ORDER BY r.id LIMIT 21
"""
# The former number of a moved run: the prefix `mnist_7_` of its old reference.
RUNS_BY_ALIAS_PREFIX = f"""
    {_RUNS} JOIN reference_aliases a ON a.run_id = r.id
    WHERE a.reference >= :begin AND a.reference < :end AND {KEPT} ORDER BY r.id LIMIT 21
"""
RUNS_BY_NUMBER = f"""
    {_RUNS} WHERE e.name = :experiment AND r.run_number = :number AND {KEPT}
    ORDER BY r.id LIMIT 21
"""
# Of several runs with one number, those whose uid ends with some digits.
RUNS_BY_NUMBER_AND_ENDING = RUNS_BY_NUMBER.replace(
    f"{KEPT}\n    ORDER BY r.id", f"{KEPT} AND r.uid LIKE :ending\n    ORDER BY r.duplicate"
)
RUN_FROM_END = f"""
    {_RUNS} WHERE {_OF_EXPERIMENT} AND {KEPT}
    ORDER BY r.run_number DESC, r.duplicate DESC LIMIT 1 OFFSET :back
"""
RUN_BEFORE_NUMBER = f"""
    {_RUNS} WHERE {_OF_EXPERIMENT} AND r.run_number < :number AND {KEPT}
    ORDER BY r.run_number DESC, r.duplicate DESC LIMIT 1
"""
RUN_AFTER_NUMBER = f"""
    {_RUNS} WHERE {_OF_EXPERIMENT} AND r.run_number > :number AND {KEPT}
    ORDER BY r.run_number, r.duplicate LIMIT 1
"""
RUNS_BY_REFERENCE_PREFIX = f"""
    {_RUNS} WHERE r.reference >= :begin AND r.reference < :end AND {KEPT}
    ORDER BY r.reference LIMIT 21
"""
# If many references share the prefix, the newest are the likely ones.
RECENT_RUNS_BY_PREFIX = f"""
    {_RUNS} WHERE {KEPT} AND r.id IN (
        SELECT n.id FROM (
            SELECT r.id, r.reference, r.started_at FROM runs r WHERE {KEPT}
            ORDER BY r.started_at DESC, r.id DESC LIMIT 1000
        ) n
        WHERE n.reference >= :begin AND n.reference < :end
        ORDER BY n.started_at DESC, n.id DESC LIMIT 21
    )
"""
RUNS_BY_UID_PREFIX = f"""
    {_RUNS} WHERE r.uid >= :begin AND r.uid < :end AND {KEPT} ORDER BY r.uid LIMIT 21
"""
LATEST_RUN = f"{_RUNS} WHERE {KEPT} ORDER BY r.started_at DESC, r.id DESC LIMIT 1"

NEWEST_RUNS = f"""
    {_RUNS} WHERE {KEPT} AND (r.started_at, r.id) < (:first, :id)
    ORDER BY r.started_at DESC, r.id DESC LIMIT :limit
"""
NEWEST_RUNS_OF_EXPERIMENT = f"""
    {_RUNS} WHERE {KEPT} AND (r.run_number, r.id) < (:first, :id)
      AND {_OF_EXPERIMENT}
    ORDER BY r.run_number DESC, r.id DESC LIMIT :limit
"""
CHILDREN = f"{_RUNS} WHERE r.parent_uid = :uid AND {KEPT} ORDER BY r.id"

RUNS_BY_ID = f"{_RUNS} WHERE {KEPT} AND r.id IN ({{ids}})"
# The first condition lets the engine use the small index of runs that are not complete.
UNFINISHED_RUNS = f"""
    {_RUNS} WHERE {KEPT} AND r.status <> 'complete' AND r.status IN {UNFINISHED}
      AND r.pid IS NOT NULL
      AND (r.boot_id LIKE :boot OR (r.hostname = :hostname AND r.boot_id LIKE :machine))
"""

SETS_OF_RUNS = """
    SELECT p.run_id, p.name, p.hash, v.tree, p.file
    FROM run_params p LEFT JOIN param_values v ON v.tree_key = p.tree_key
    WHERE p.run_id IN ({ids}) ORDER BY p.run_id, p.set_index
"""

TAGS_OF_RUNS = """
    SELECT run_id, key, value FROM tags WHERE run_id IN ({ids}) ORDER BY run_id, key
"""

EXPERIMENTS = """
    SELECT e.name, e.last_run_number, count(r.id), max(r.started_at)
    FROM experiments e JOIN runs r ON r.experiment_id = e.id AND r.deleted_at IS NULL
    GROUP BY e.id, e.name, e.last_run_number
    ORDER BY max(r.started_at) DESC, e.name
"""

COUNT_RUNS = """
    SELECT count(*) FROM (SELECT 1 FROM runs r WHERE r.deleted_at IS NULL LIMIT :most) c
"""
COUNT_RUNS_OF_EXPERIMENT = """
    SELECT count(*) FROM (
        SELECT 1 FROM runs r
        WHERE r.experiment_id = (SELECT e.id FROM experiments e WHERE e.name = :experiment)
          AND r.deleted_at IS NULL LIMIT :most
    ) c
"""

HAS_EXPERIMENT = """
    SELECT 1 FROM runs r JOIN experiments e ON e.id = r.experiment_id
    WHERE e.name = :name AND r.deleted_at IS NULL LIMIT 1
"""
LAST_RUN_NUMBERS = "SELECT name, last_run_number FROM experiments"
EXPERIMENT_NAMES = "SELECT name FROM experiments ORDER BY name"

# The newest thousand first: sorting all matches of the prefix would cost more with every run.
RECENT_REFERENCES = f"""
    SELECT n.reference FROM (
        SELECT r.reference, r.started_at, r.id FROM runs r WHERE {KEPT}
        ORDER BY r.started_at DESC, r.id DESC LIMIT 1000
    ) n
    WHERE n.reference >= :begin AND n.reference < :end
    ORDER BY n.started_at DESC, n.id DESC LIMIT :limit
"""
REFERENCES_WITH_PREFIX = f"""
    SELECT r.reference FROM runs r
    WHERE r.reference >= :begin AND r.reference < :end AND {KEPT}
    ORDER BY r.reference LIMIT :limit
"""

# The error of a lost run is the reason for its status.
FINISH_RUN = f"""
    UPDATE runs SET status = :status, ended_at = :ended_at, last_seen_at = :ended_at,
        error = CASE status WHEN 'lost' THEN :error ELSE coalesce(:error, error) END,
        traceback = coalesce(:traceback, traceback),
        exit_code = coalesce(:exit_code, exit_code), changed = {NEXT_CHANGE}
    WHERE uid = :uid AND status IN ('queued', 'running', 'live', 'lost') AND purged_at IS NULL
"""

# The process is part of the condition because another one may have resumed the run meanwhile.
MARK_LOST = f"""
    UPDATE runs SET status = 'lost', changed = {NEXT_CHANGE}, error = coalesce(error, :why),
        ended_at = CASE WHEN :last_sign >= started_at
                AND :last_sign > coalesce(last_seen_at, started_at) THEN :last_sign
            WHEN last_seen_at > started_at THEN last_seen_at ELSE started_at END
    WHERE uid = :uid AND status IN {UNFINISHED} AND coalesce(pid, -1) = :pid
      AND coalesce(process_started, '') = :process_started
"""

# Metric points and samples of the machine; their times may be the program's own.
LAST_POINT_BETWEEN = """
    SELECT max(m.last_at) FROM metric_summaries m JOIN runs r ON r.id = m.run_id
    WHERE r.uid = :uid AND m.last_at BETWEEN :first AND :last
"""

# For a child whose parent process executed the run and has ended.
TAKE_OVER = f"""
    UPDATE runs SET status = CASE status WHEN 'lost' THEN 'running' ELSE status END,
        error = CASE status WHEN 'lost' THEN NULL ELSE error END, ended_at = NULL,
        last_seen_at = :now, pid = :pid, process_started = :process_started,
        changed = {NEXT_CHANGE}
    WHERE uid = :uid AND status IN ('queued', 'running', 'live', 'lost') AND purged_at IS NULL
      AND coalesce(pid, -1) = :old_pid AND coalesce(process_started, '') = :old_started
"""

RESUME_RUN = f"""
    UPDATE runs SET status = :status, ended_at = NULL, last_seen_at = :now, error = NULL,
        traceback = NULL, exit_code = NULL, hostname = :hostname, boot_id = :boot_id, pid = :pid,
        process_started = :process_started, changed = {NEXT_CHANGE}
    WHERE id = :id
"""

SEEN_ALIVE = f"""
    UPDATE runs SET last_seen_at = :now
    WHERE uid = :uid AND status IN {UNFINISHED} AND coalesce(last_seen_at, 0) < :now
"""

# Before a move: the present reference and place become former ones.
ADD_ALIAS = """
    INSERT INTO reference_aliases (reference, run_id, experiment_id, run_number)
    SELECT r.reference, r.id, r.experiment_id, r.run_number FROM runs r WHERE r.id = :run_id
    ON CONFLICT (reference, run_id) DO UPDATE
        SET experiment_id = excluded.experiment_id, run_number = excluded.run_number
"""
LAST_EVENT_AT = "SELECT at FROM events WHERE run_id = :run_id ORDER BY id DESC LIMIT 1"
# The ids of edits by the program of a run begin so: they are part of its recording.
OF_PROGRAM = "program-"
BY_HAND = f"operation NOT LIKE '{OF_PROGRAM}%'"
ADD_EVENT = """
    INSERT INTO events (run_id, at, author, field, old, new, operation, undoes, link)
    VALUES (:run_id, :at, :author, :field, :old, :new, :operation, :undoes, :link)
"""

FACTS_OF_RUN = """
    SELECT id, facts, facts_filed FROM runs WHERE uid = :uid AND purged_at IS NULL
"""
SET_WORKDIR_DIRTY = f"""
    UPDATE runs SET workdir_dirty = :is_dirty, changed = {NEXT_CHANGE} WHERE id = :id
"""
SET_FACTS = "UPDATE runs SET facts = :facts, facts_filed = 1 WHERE id = :id"
ADD_DOCUMENT = """
    INSERT INTO documents (hash, body) VALUES (:hash, :body) ON CONFLICT (hash) DO NOTHING
"""
LINK_DOCUMENT = """
    INSERT INTO run_documents (run_id, name, hash) VALUES (:run_id, :name, :hash)
    ON CONFLICT (run_id, name) DO UPDATE SET hash = excluded.hash
"""
DOCUMENT_OF_RUN = """
    SELECT d.body FROM run_documents l JOIN documents d ON d.hash = l.hash
    WHERE l.run_id = (SELECT id FROM runs WHERE uid = :uid) AND l.name = :name
"""
DOCUMENT_NAMES = """
    SELECT name FROM run_documents
    WHERE run_id = (SELECT id FROM runs WHERE uid = :uid) ORDER BY name
"""

GET_STATE = "SELECT value FROM store_state WHERE name = :name"
SET_STATE = """
    INSERT INTO store_state (name, value) VALUES (:name, :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


def cell_of_run(column: str) -> str:
    """Return the statement that reads one of `RUN_COLUMNS` of a run."""
    joined = "runs r JOIN experiments e ON e.id = r.experiment_id"
    return f"SELECT {column} FROM {joined} WHERE r.id = :id"


def ids_among(condition: str) -> str:
    """Return the statement that filters a JSON list of row ids by a condition."""
    return (
        f"SELECT r.id FROM runs r WHERE {condition} AND r.id IN (SELECT value FROM json_each(?))"
    )

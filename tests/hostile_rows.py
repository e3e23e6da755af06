"""Stores in which anything may stand anywhere: how they are made, and what reads them."""

import contextlib
import sqlite3

from hypothesis import strategies as st

from runstore import Store

# Commands that read, with words that lead them to damaged runs and past them.
READING = (
    ("ls",),
    ("ls", "--json"),
    ("ls", "--columns", "run,status,params,metrics,tags,notes,error"),
    ("ls", "--sets", "--format", "csv"),
    ("ls", "params.lr > 0 and tags.phase = pilot"),
    ("ls", "notes contains 'first' or error ~ 'bad'"),
    ("ls", "host.name = x"),
    ("ls", "--sort", "metrics.loss.min"),
    ("ls", "--sort", "started"),
    ("ls", "--group-by", "params.lr", "--columns", "metrics.loss"),
    ("ls", "--group-by", "tags.phase"),
    ("show", "latest"),
    ("show", "latest", "--json"),
    ("show", "exp#1"),
    ("show", "exp#2"),
    ("show", "exp#1", "--history"),
    ("show", "exp_2"),
    ("artifacts", "exp#1"),
    ("output", "exp#1"),
    ("diff", "exp#1", "exp#2"),
    ("compare", "exp#1", "exp#2", "exp#3"),
    ("grep", "first"),
    ("best", "exp", "-m", "loss"),
    ("why", "exp#1", "exp#2", "--metric", "loss"),
    ("similar", "exp#1"),
    ("plot", "exp#1", "-m", "loss"),
    ("plot", "exp#1", "exp#2", "exp#3"),
    ("views", "ls"),
    ("direction", "ls"),
    ("trash",),
    ("gc", "--dry-run"),
    ("rm", "exp#1", "--dry-run"),
    ("download", "exp#1", "-o", "taken"),
    ("doctor",),
    ("doctor", "--deep"),
    ("verify",),
)
# Those that change what they were led to.
CHANGING = (
    ("note", "exp#1", "mine"),
    ("tag", "exp#1", "phase=final"),
    ("undo", "exp#1"),
    ("undo",),
    ("mv", "exp#2", "other"),
    ("undo",),
    ("rm", "exp#1", "--yes"),
    ("restore", "latest"),
    ("undo",),
    ("views", "save", "mine", "status = complete"),
    ("direction", "set", "loss", "max"),
    ("rm", "exp#3", "--yes"),
    ("gc", "--yes", "--older-than", "0d"),
    ("ls",),
)
_DEEP = "[" * 100_000
# What SQLite keeps in any column: other types, no UTF-8, no JSON, too much of it.
VALUES = (
    None, b"", b"\xff\x00", bytearray(b"\xff\xfe no text"), "", "x", "{", "[", _DEEP,
    _DEEP + "]" * 100_000, '{"a":' * 5000 + "1" + "}" * 5000, '{"values":{},"unknown":[]}',
    '{"values":[1],"unknown":{}}', '{"values":{"a":{"b":1}},"unknown":{}}',
    '{"lr":{"$fraction":[1,0]}}', '{"$set":5}', '{"lr":{"$int":"' + "f" * 20_000 + '"}}',
    '{"lr":NaN}', '{"lr":1e999}', "[1]", "null", '"x"', 2**63 - 1, -(2**63), 0, -1, 1, 1e308,
    float("inf"), float("-inf"), 10**15, 5.5, "x" * 300_000, "\x1b[31m\n", "9" * 5000, "running",
    "live", "odd", "lost", "1e5", " ", "exp_1", "../../etc/passwd", "/etc/passwd",
    b"\x01\x00\x00\x00\xff\xff\xff\xff" + bytes(40), "2026-11-27T00:00:00",
    bytearray("\udc80".encode("utf-8", "surrogatepass")),
)  # fmt: skip
# Rows that find each other by these would be other rows.
_FOUND_BY = frozenset({"id", "run_id", "key_id", "set_id"})


def make(folder):
    """Make a store with a little of everything."""
    with Store.open(folder) as store:
        for place in range(3):
            small = {"name": "small", "lr": place / 10, "layers": [1, 2]}
            sets = [small, {"name": "wide", "lr": 1}][: 1 + place % 2]
            with store.start("exp", params=sets, capture=False, notes="first try") as run:
                run.log({"loss": float(place), "val/acc": 0.5})
                run.log(loss=0.1)
                run.save("a.csv", b"x,y\n1,2\n")
                run.tags["phase"] = "pilot"
        with contextlib.suppress(ValueError), store.start("exp", params={"lr": 2}, capture=False):
            raise ValueError("bad luck")
        store.edit("exp#1", notes="edited first")
        store.queries["good"] = "status = complete"
        store.directions["loss"] = "min"
        store.start("gone", capture=False).finish()
        store.delete("gone#1")


def columns_of(path):
    """Return (table, column) of every cell that holds something."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return [
            (table, column[1])
            for (table,) in tables
            if not table.startswith("sqlite") and table != "schema_migrations"
            if database.execute(f"SELECT 1 FROM {table}").fetchone()  # noqa: S608 - our tables
            for column in database.execute(f"PRAGMA table_info({table})").fetchall()
            if column[1] not in _FOUND_BY
        ]


def changes_of(path, *, min_size=0):
    """Return a strategy for changes of a store; see `damage`."""
    cells = st.tuples(
        st.sampled_from(columns_of(path)),
        st.sampled_from([None, 0, 1, 2, 3]),
        st.sampled_from(VALUES),
    )
    return st.lists(cells.map(lambda one: (*one[0], *one[1:])), min_size=min_size, max_size=3)


def damage(path, changes):
    """Write values into cells: (table, column, place of the row, value)."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA foreign_keys=OFF")
        for table, column, place, value in changes:
            where = "" if place is None else _where(database, table, place)
            new = "CAST(? AS TEXT)" if isinstance(value, bytearray) else "?"
            change = f'UPDATE OR IGNORE {table} SET "{column}" = {new}{where}'  # noqa: S608 - our tables
            bound = bytes(value) if isinstance(value, bytearray) else value
            # Some constraints are kept by the database itself.
            with contextlib.suppress(sqlite3.IntegrityError):
                database.execute(change, (bound,))


def _where(database, table, place):
    try:
        rows = database.execute(f"SELECT rowid FROM {table}").fetchall()  # noqa: S608 - our tables
    except sqlite3.OperationalError:  # it has none
        return ""
    return f" WHERE rowid = {rows[place % len(rows)][0]}"

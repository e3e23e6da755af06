"""Freeze a database of the current schema: `python tests/data/schemas/freeze.py`.

Run it once for each schema that is released, with the code of that release; the databases are
opened by `tests/contract/test_frozen_schemas.py` for ever. Names of people and machines are
replaced.
"""

import contextlib
import gzip
import os
import sqlite3
import tempfile
from pathlib import Path

from runstore import Store
from runstore.storage.statements import SCHEMA_VERSION

LONG = 20_000
PARAMS = {"lr": 0.1, "layers": [1, 2], "opt": {"name": "adam"}}
NEUTRAL = (
    "UPDATE runs SET hostname = 'node1', boot_id = 'm/b/1', pid = 4242, process_started = '77'",
    "UPDATE runs SET cli = 'python train.py'",
    "UPDATE runs SET traceback = 'ValueError: bad luck' WHERE traceback IS NOT NULL",
    "UPDATE inputs SET location = '/data/train.csv'",
    "DELETE FROM known_files",
    "VACUUM",
)


def record(store, data):
    """Record a little of everything."""
    with store.start("bert", params=PARAMS, notes="first try", capture=False) as run:
        for step in range(10):
            run.log({"loss": 1.0 / (step + 1), "val/acc": 0.5})
        values = [float(one % 97) for one in range(LONG)]
        run.log_points("curve", values, times=[1_795_780_800 + one for one in range(LONG)])
        run.save("a.csv", b"x,y\n1,2\n")
        run.tags["phase"] = "pilot"
        run.use(data, "train.csv")
    sets = [{"name": "small", "lr": 1}, {"name": "wide", "lr": 2}]
    store.start("bert", params=sets, capture=False).finish()
    with contextlib.suppress(ValueError), store.start("gpt", params={"lr": 2.0}, capture=False):
        raise ValueError("bad luck")
    store.edit(run.reference, notes="second thoughts")
    store.start("open", capture=False)
    store.start("gone", capture=False).finish()
    store.delete("gone#1")
    store.queries["good"] = "status = complete"


def freeze(target):
    """Write the database of such a store."""
    os.environ["LOGNAME"] = "ada"  # hashes cover who made an edit
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "train.csv"
        data.write_text("x,y\n")
        with Store.open(Path(folder) / "store") as store:
            record(store, data)
        path = Path(folder) / "store" / "runstore.db"
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            for statement in NEUTRAL:
                database.execute(statement)
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        target.write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


if __name__ == "__main__":
    freeze(Path(__file__).with_name(f"{SCHEMA_VERSION:04d}.db.gz"))

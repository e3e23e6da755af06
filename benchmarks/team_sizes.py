"""The cost of each operation of a store on a server, by the number of runs it keeps.

python benchmarks/team_sizes.py URL [SIZES...]

URL is that of a database on the server, such as postgresql://localhost/postgres. The stores are
kept in databases runstore_10, runstore_100000 …, which are made and filled if they are missing:
100,000 runs take minutes. Remove them with dropdb.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit, urlunsplit

import psycopg
from finding import FILTERS
from psycopg.sql import SQL, Identifier
from team_stores import fill
from timing import spent_ms

from runstore import Store
from runstore.model.query.parse import parse_query
from runstore.model.query.tree import Query

SIZES = (10, 100_000, 1_000_000)
PARAMS = {f"p{number}": number / 10 for number in range(10)}
POINTS = [step / 7 for step in range(1000)]
ROUNDS, ROUNDS_OF_FILTERS, PROCESSES = 21, 5, 3
LIMIT_MS, LONGEST_MS = 50, 500
TABLES = ("runs", "run_params", "params", "param_values", "metric_summaries", "artifacts", "tags")
# Points of a series, and how many runs have it.
SERIES = {1_000: 200, 100_000: 20}
POINT_BYTES = """
    SELECT sum(pg_total_relation_size(oid)) FROM pg_class
    WHERE relkind = 'r' AND relname ~ '^metric_(chunks|levels|summaries)'
"""
Laps = dict[str, list[float]]


def database(url: str, runs: int) -> str:
    """Return the URL of a store with this many runs, filled if it is missing."""
    name = f"runstore_{runs}"
    with psycopg.connect(url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        is_there = known.fetchone() is not None
        if not is_there:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    store = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    if not is_there:
        fill(store, runs)
    return store


def recording(store: Store) -> Laps:
    """Return the times of everything that writes, of new runs that are deleted at the end."""
    laps: Laps = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        laps.setdefault(name, []).append(spent_ms(work))

    runs = []
    for round_ in range(ROUNDS):
        begun = []
        timed("start", lambda: begun.append(store.start("exp_3", params=PARAMS, capture=False)))  # noqa: B023 - called at once
        (run,) = begun
        runs.append(run.uid)
        timed("log 1,000 points", lambda: run.log_points("loss", POINTS))  # noqa: B023
        timed("finish with them", run.finish)
        timed("tag", lambda: store.tag(run.uid, {"round": round_}))  # noqa: B023
        timed("one series", lambda: store.get(run.uid).metric("loss"))  # noqa: B023
        timed("delete into the trash", lambda: store.delete(run.uid))  # noqa: B023
    timed("empty the trash", lambda: store.collect_garbage(older_than=0))
    return laps


def reading(store: Store) -> Laps:
    """Return the times of lists and single runs."""
    (run,) = store.list(limit=1)
    page = store.list(limit=20)
    calls: dict[str, Callable[[], object]] = {
        "newest 20": lambda: newest(store, ""),
        "the 20 before them": lambda: tuple(store.list(limit=20, after=page.next)),
        "newest 20 of an experiment": lambda: tuple(store.list("exp_3", limit=20)),
        "one run by its uid": lambda: store.get(run.uid),
        "one run by its reference": lambda: store.get(run.reference),
        "the newest of an experiment": lambda: store.get("exp_3#-1"),
        "summaries of 20 runs": lambda: store.last_values(page),
        "experiments": store.experiments,
    }
    return {name: several(call, ROUNDS) for name, call in calls.items()}


def filters(store: Store) -> Laps:
    """Return the times of all documented filters and orders, for the newest 20."""
    laps: Laps = {}
    for text, _ in FILTERS:
        query = parse_query(text)
        search = partial(newest, store, query)
        search()  # translates it
        laps[text] = several(search, ROUNDS_OF_FILTERS)
    return laps


def newest(store: Store, query: Query | str) -> int:
    """Return how many runs are found, after reading them."""
    return len(tuple(store.find(query, limit=20)))


def several(work: Callable[[], object], rounds: int) -> list[float]:
    """Return the times of some rounds, fewer if they take long."""
    laps: list[float] = []
    while len(laps) < rounds and sum(laps) < LONGEST_MS:
        laps.append(spent_ms(work))
    return laps


def processes(url: str) -> Laps:
    """Return the times of whole processes."""
    commands = {
        "process: python -c pass": ["-c", "pass"],
        "process: runstore ls": ["-m", "runstore", "--store", url, "ls"],
        "process: runstore ls FILTER": ["-m", "runstore", "--store", url, "ls", "params.lr > 0.5"],
    }

    def run(words: list[str]) -> None:
        subprocess.run([sys.executable, *words], check=True, capture_output=True)

    return {
        name: [spent_ms(partial(run, words)) for _ in range(PROCESSES)]
        for name, words in commands.items()
    }


def number(connection: psycopg.Connection, statement: str) -> float:
    """Return the only value of a statement."""
    row = connection.execute(statement).fetchone()
    return float(row[0]) if row else 0.0


def show_bytes(url: str, runs: int) -> None:
    """Print the size of a store, and the bytes of a row of the large tables with its indexes."""
    with psycopg.connect(url) as connection:
        size = number(connection, "SELECT pg_database_size(current_database())")
        print(f"\n{runs:,} runs, {size / 1e6:,.0f} MB, {size / runs / 1e3:.1f} kB a run")
        print("bytes of a row and its entries in indexes:")
        for table in TABLES:
            rows = number(connection, f"SELECT count(*) FROM {table}")  # noqa: S608 - our own names
            taken = number(connection, f"SELECT pg_total_relation_size('{table}')")
            print(f"{taken / rows:8.0f}  {table}, {rows / runs:.1f} rows a run")


def show_points(url: str) -> None:
    """Print the bytes of 1,000 points of a run, from a store that is made for it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS runstore_points WITH (FORCE)")
        connection.execute("CREATE DATABASE runstore_points")
        store_url = urlunsplit(urlsplit(url)._replace(path="/runstore_points"))
        for count, runs in SERIES.items():
            with Store.open(store_url) as store, psycopg.connect(store_url) as own:
                before = number(own, POINT_BYTES)
                for _ in range(runs):
                    with store.start("points", capture=False) as run:
                        run.log_points("loss", [random.random() for _ in range(count)])
                own.rollback()
                spent = (number(own, POINT_BYTES) - before) / runs
            print(f"{spent / count * 1000:8,.0f}  bytes for 1,000 points, {count:,} of a series")
        connection.execute("DROP DATABASE runstore_points WITH (FORCE)")


def show(columns: dict[int, Laps]) -> None:
    """Print the medians of all stores as a table."""
    print(f"| ms | {' | '.join(f'{size:,} runs' for size in columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for name in next(iter(columns.values())):
        cells = (f"{statistics.median(one[name]):.1f}" for one in columns.values())
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the tables."""
    url, *sizes = sys.argv[1:]
    urls = {size: database(url, size) for size in ([int(one) for one in sizes] or SIZES)}
    plain: dict[int, Laps] = {}
    searches: dict[int, Laps] = {}
    for size, store_url in urls.items():
        with Store.open(store_url) as store:
            plain[size] = reading(store) | recording(store) | processes(store_url)
            searches[size] = filters(store)
        print(f"{size:,} runs: measured", file=sys.stderr, flush=True)
    show(plain)
    print()
    show(searches)
    for size, laps in searches.items():
        medians = {text: statistics.median(some) for text, some in laps.items()}
        over = {text: one for text, one in medians.items() if one > LIMIT_MS}
        print(
            f"\n{size:,} runs: {len(medians)} filters, median"
            f" {statistics.median(medians.values()):.1f} ms, highest {max(medians.values()):.1f}"
            f" ms, {len(over)} above {LIMIT_MS} ms"
        )
        for text, one in sorted(over.items(), key=lambda pair: -pair[1]):
            print(f"{one:8.1f}  {text}")
    show_bytes(*reversed([*urls.items()][-1]))
    show_points(url)


if __name__ == "__main__":
    main()

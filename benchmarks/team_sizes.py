"""The cost of each operation of a store on a server, by the number of runs it keeps.

python benchmarks/team_sizes.py URL [SIZES...]

URL is that of a database on the server, such as postgresql://localhost/postgres. The stores are
kept in databases runstore_10, runstore_100000 …, which are made and filled if they are missing:
100,000 runs take minutes. Remove them with dropdb.
"""

from __future__ import annotations

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

SIZES = (10, 100_000, 1_000_000)
PARAMS = {f"p{number}": number / 10 for number in range(10)}
POINTS = [step / 7 for step in range(1000)]
ROUNDS, ROUNDS_OF_FILTERS, PROCESSES = 31, 5, 5
LIMIT_MS = 50
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
        if round_ < ROUNDS_OF_FILTERS:
            timed("delete permanently", lambda: store.collect_garbage(older_than=0))
    store.collect_garbage(older_than=0)
    return laps


def reading(store: Store) -> Laps:
    """Return the times of lists and single runs."""
    (run,) = store.list(limit=1)
    page = store.list(limit=20)
    calls: dict[str, Callable[[], object]] = {
        "newest 20": lambda: tuple(store.find("", limit=20)),
        "the 20 before them": lambda: tuple(store.list(limit=20, after=page.next)),
        "newest 20 of an experiment": lambda: tuple(store.list("exp_3", limit=20)),
        "one run by its uid": lambda: store.get(run.uid),
        "one run by its reference": lambda: store.get(run.reference),
        "the newest of an experiment": lambda: store.get("exp_3#-1"),
        "summaries of 20 runs": lambda: store.last_values(page),
        "experiments": store.experiments,
    }
    return {name: [spent_ms(call) for _ in range(ROUNDS)] for name, call in calls.items()}


def filters(store: Store) -> Laps:
    """Return the times of all documented filters and orders, for the newest 20."""
    queries = {text: parse_query(text) for text, _ in FILTERS}
    laps: Laps = {text: [] for text in queries}
    for _ in range(ROUNDS_OF_FILTERS + 1):
        for text, query in queries.items():
            laps[text].append(
                spent_ms(
                    lambda: tuple(store.find(query, limit=20))  # noqa: B023 - called at once
                )
            )
    return {text: some[1:] for text, some in laps.items()}  # the first one translates


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


def size_of(url: str) -> int:
    """Return the bytes of a database."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(row[0]) if row else 0


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
    for size, store in urls.items():
        print(f"{size:,} runs: {size_of(store) / 1e6:,.0f} MB")
    plain: dict[int, Laps] = {}
    searches: dict[int, Laps] = {}
    for size, store_url in urls.items():
        with Store.open(store_url) as store:
            plain[size] = reading(store) | recording(store) | processes(store_url)
            searches[size] = filters(store)
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


if __name__ == "__main__":
    main()

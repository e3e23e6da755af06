"""Many processes that record runs in one PostgreSQL store while others read: times, and losses.

python benchmarks/team_load.py [URL of an empty database] [--seconds 60] [--writers 32]
    [--readers 4] [--pause SECONDS]

Each writer starts, logs, tags and finishes runs one after another, as if it was on a machine of
its own; some runs save a file. Afterwards, every run, point, tag and file that a call
acknowledged is looked for. First, as many processes insert bare rows for a sixth of the time.
Without a URL, a server is started, which syncs to the disk.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import NamedTuple

import psycopg
from postgres import started_server

from runstore import Run, Store

EXPERIMENTS = 8
POINTS = 100
READ = {
    "newest 20": "",
    "filter by status": "status = 'running'",
    "filter by a parameter": "params.lr > 0.9",
    "filter by a metric": "metrics.loss.last < 0.001",
    "filter by a tag": "tags.phase = 'final'",
    "sorted by a metric": "order by metrics.loss.last desc",
}
SETTINGS = ("server_version", "fsync", "synchronous_commit", "shared_buffers", "max_connections")
_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"


BARE = "insert a run and 10 parameters"
BARE_TABLES = """
    CREATE TABLE bare_runs (id bigserial PRIMARY KEY, uid text UNIQUE);
    CREATE TABLE bare_params (run_id bigint, key text, number float8)
"""


class Work(NamedTuple):
    """What a process does.

    Attributes:
        url: The store.
        folder: For its results and for data in flight.
        number: Of this process.
        seconds: How long it works.
        pause_s: How long it waits between two runs or two questions.
    """

    url: str
    folder: Path
    number: int
    seconds: float
    pause_s: float


class Recorded(NamedTuple):
    """A run as its writer knows it; its contents are derived from the number."""

    uid: str
    experiment: str
    run_number: int
    number: int


class Laps:
    """Times of operations, in milliseconds."""

    def __init__(self) -> None:
        self.of: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time of the block."""
        begin = time.perf_counter()
        yield
        self.of[name].append((time.perf_counter() - begin) * 1e3)


def values_of(number: int, count: int) -> list[float]:
    """Return the points of a run, which differ from run to run."""
    return [(number * 1000 + step) / 7 for step in range(count)]


def contents_of(number: int) -> bytes:
    """Return the file of a run, about 10 kB."""
    return f"{number:5}".encode() * 2000


def phase_of(number: int) -> str:
    """Return the tag of a run."""
    return "final" if number % 10 == 0 else "pilot"


def write(work: Work, barrier: Barrier) -> None:
    """Record runs until the time is over, and leave a file of what was acknowledged."""
    os.environ["XDG_STATE_HOME"] = str(work.folder / f"machine-{work.number}")
    chance, laps = random.Random(work.number), Laps()
    with Store.open(work.url) as store:
        # The first one loads modules, and is only checked at the end.
        runs = [record(store, work.number * 100_000, chance, Laps())]
        barrier.wait()
        until = time.monotonic() + work.seconds
        while time.monotonic() < until:
            runs.append(record(store, work.number * 100_000 + len(runs), chance, laps))
            time.sleep(work.pause_s)
    leave(work, laps, runs)


def record(store: Store, number: int, chance: random.Random, laps: Laps) -> Recorded:
    """Record one run."""
    experiment = f"exp_{chance.randrange(EXPERIMENTS)}"
    params = {"lr": chance.random(), "n": number, **{f"p{n}": n / 10 for n in range(8)}}
    with laps.measure("start"):
        run = store.start(experiment, params=params, capture=False)
    with laps.measure(f"log {POINTS} points, one call each"):
        for value in values_of(number, POINTS):
            run.log(loss=value)
    with laps.measure("tag"):
        store.tag(run, {"phase": phase_of(number)})
    if number % 5 == 0:
        with laps.measure("save 10 kB"):
            run.save("model.bin", contents_of(number))
    with laps.measure("finish"):
        run.finish()
    return Recorded(run.uid, experiment, run.run_number, number)


def insert(work: Work, barrier: Barrier) -> None:
    """Insert the rows of a run and its parameters until the time is over, without runstore."""
    laps = Laps()
    with psycopg.connect(work.url, autocommit=True) as connection:
        barrier.wait()
        until = time.monotonic() + work.seconds
        while time.monotonic() < until:
            with laps.measure(BARE), connection.transaction(), connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO bare_runs (uid) VALUES (%s) RETURNING id", (os.urandom(8).hex(),)
                )
                row = cursor.fetchone()
                rows = [(row[0] if row else 0, f"p{number}", number) for number in range(10)]
                cursor.executemany("INSERT INTO bare_params VALUES (%s, %s, %s)", rows)
            time.sleep(work.pause_s)
    leave(work, laps, [])


def read(work: Work, barrier: Barrier) -> None:
    """Ask questions until the time is over."""
    os.environ["XDG_STATE_HOME"] = str(work.folder / f"machine-{work.number}")
    laps = Laps()
    with Store.open(work.url) as store:
        ask(store, Laps(), 0)
        barrier.wait()
        until = time.monotonic() + work.seconds
        while time.monotonic() < until:
            ask(store, laps, work.pause_s)
    leave(work, laps, [])


def ask(store: Store, laps: Laps, pause_s: float) -> None:
    """Ask each question once."""
    for name, query in READ.items():
        with laps.measure(name):
            tuple(store.find(query, limit=20))
        time.sleep(pause_s)
    for run in store.find("status = 'complete'", limit=1):
        with laps.measure("one run by its uid"):
            store.get(run.uid)
        with laps.measure("one series"):
            store.points(run, "loss")


def leave(work: Work, laps: Laps, runs: list[Recorded]) -> None:
    """Write the results of this process."""
    text = json.dumps({"laps": laps.of, "runs": runs})
    (work.folder / f"{work.number}.json").write_text(text, encoding="utf-8")


def connections(url: str, seconds: float) -> int:
    """Return the highest number of connections in this time."""
    highest, until = 0, time.monotonic() + seconds
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < until:
            row = connection.execute(_CONNECTIONS).fetchone()
            highest = max(highest, row[0] - 1 if row else 0)
            time.sleep(0.5)
    return highest


def problems(url: str, runs: list[Recorded]) -> list[str]:
    """Return everything acknowledged that is not there exactly once."""
    found: list[str] = []
    with Store.open(url) as store:
        numbers: dict[str, list[int]] = defaultdict(list)
        uids: Counter[str] = Counter()
        for run in store.list(limit=None):
            numbers[run.experiment_name].append(run.run_number)
            uids[run.uid] += 1
        for experiment, some in numbers.items():
            if sorted(some) != [*range(1, len(some) + 1)]:
                found.append(f"{experiment}: numbers have gaps or duplicates")
        if set(uids) != {run[0] for run in runs} or set(uids.values()) > {1}:
            found.append(f"{len(runs)} runs were acknowledged, {len(uids)} are there")
        for recorded in runs:
            found += differences(store.get(recorded.uid), recorded)
    return found


def differences(run: Run, recorded: Recorded) -> list[str]:
    """Return everything about a run that is not as it was recorded."""
    number = recorded.number
    files = {path: run.read_bytes(path) for path in run.artifacts}
    pairs = {
        "name": (
            (run.experiment_name, run.run_number),
            (recorded.experiment, recorded.run_number),
        ),
        "status": (run.status.value, "complete"),
        "parameters": (run.params["n"], number),
        "points": (list(run.metric("loss").values), values_of(number, POINTS)),
        "tags": (dict(run.tags), {"phase": phase_of(number)}),
        "files": (files, {"model.bin": contents_of(number)} if number % 5 == 0 else {}),
    }
    return [
        f"{run.reference}: {name}" for name, (found, wanted) in pairs.items() if found != wanted
    ]


def show(laps: dict[str, list[float]]) -> None:
    """Print a table of times."""
    print("| ms | count | median | 95 % | 99 % | highest |")
    print("|---" * 6 + "|")
    for name, some in laps.items():
        parts = (
            statistics.quantiles(some, n=100, method="inclusive") if len(some) > 1 else some * 99
        )
        cells = (statistics.median(some), parts[94], parts[98], max(some))
        print(f"| {name} | {len(some):,} | {' | '.join(f'{one:.1f}' for one in cells)} |")


class Result(NamedTuple):
    """What processes did together."""

    laps: dict[str, list[float]]
    runs: list[Recorded]
    seconds: float
    connections: int
    failed: int


def together(tasks: list[Callable[[Work, Barrier], None]], work: Work) -> Result:
    """Run each task in a process of its own, all at the same time."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(tasks) + 1)
    processes = [
        context.Process(target=task, args=(work._replace(number=number), barrier))
        for number, task in enumerate(tasks)
    ]
    for process in processes:
        process.start()
    barrier.wait(timeout=300)
    begin = time.monotonic()
    highest = connections(work.url, work.seconds)
    for process in processes:
        process.join()
    spent = time.monotonic() - begin
    laps: dict[str, list[float]] = defaultdict(list)
    runs: list[Recorded] = []
    for number in range(len(tasks)):
        path = work.folder / f"{number}.json"
        left = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        path.unlink(missing_ok=True)
        runs += [Recorded(*one) for one in left.get("runs", ())]
        for operation, some in left.get("laps", {}).items():
            laps[operation] += some
    failed = sum(process.exitcode != 0 for process in processes)
    return Result(laps, runs, spent, highest, failed)


def arguments() -> argparse.Namespace:
    """Return the arguments of this program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--writers", type=int, default=32)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0)
    return parser.parse_args()


def main() -> None:
    """Print all figures."""
    chosen = arguments()
    url = chosen.url or started_server()
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_STATE_HOME"] = f"{name}/here"
        Store.open(url).close()
        with psycopg.connect(url) as connection:
            told = [connection.execute(f"SHOW {one}").fetchone() for one in SETTINGS]
            connection.execute(BARE_TABLES)
        print(", ".join(f"{one} {row[0]}" for one, row in zip(SETTINGS, told, strict=True) if row))
        work = Work(url, Path(name), 0, chosen.seconds / 6, chosen.pause)
        bare = together([insert] * chosen.writers, work)
        count = len(bare.laps[BARE])
        print(f"{chosen.writers} writers of bare rows: {count / bare.seconds:.1f} commits/s")
        show(bare.laps)
        tasks = [write] * chosen.writers + [read] * chosen.readers
        found = together(tasks, work._replace(seconds=chosen.seconds))
        runs = len(found.laps["start"])
        print(
            f"\n{chosen.writers} writers, {chosen.readers} readers, {found.seconds:.0f} s:"
            f" {runs / found.seconds:.1f} runs/s, {runs * POINTS / found.seconds:,.0f} points/s,"
            f" {found.connections} connections"
        )
        show(found.laps)
        wrong = problems(url, found.runs)
        print(f"{len(found.runs):,} runs checked: {len(wrong)} problems")
        print(f"{found.failed + bare.failed} processes failed")
        print("\n".join(wrong[:20]))
        sys.exit(bool(wrong or found.failed or bare.failed))


if __name__ == "__main__":
    main()

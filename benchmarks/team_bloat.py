"""What live runs leave behind in the tables of a store on a server.

python benchmarks/team_bloat.py URL [--runs 8] [--beats 8640] [--seconds 60]

URL is that of a store or of an empty database. First each run writes as many heartbeats as in a
day, without waiting between them; then each logs five metrics for some time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping

import psycopg

from runstore import Store

KEYS = [f"metric_{number}" for number in range(5)]
# Dead rows of one hour are what autovacuum finds at most, with its usual settings.
COUNTS = """
    SELECT relname, n_tup_upd, n_tup_hot_upd, n_dead_tup, autovacuum_count,
        pg_total_relation_size(relid)
    FROM pg_stat_user_tables WHERE n_live_tup + n_dead_tup > 0
"""
Counts = Mapping[str, tuple[int, int, int, int, int]]


def counts(connection: psycopg.Connection) -> Counts:
    """Return updates, those within a page, dead rows, cleanings and bytes by table."""
    time.sleep(2)  # until the server has counted
    found: dict[str, tuple[int, int, int, int, int]] = {}
    for name, *numbers in connection.execute(COUNTS):
        table = name.rstrip("0123456789").rstrip("_")
        before = found.get(table, (0,) * 5)
        found[table] = tuple(map(sum, zip(before, numbers, strict=True)))  # type: ignore[assignment]
    return found


def show(title: str, before: Counts, after: Counts) -> None:
    """Print the tables that changed."""
    print(f"\n| {title} | updates | within a page | dead rows | cleaned | MB before | MB after |")
    print("|---" * 7 + "|")
    for name, now in after.items():
        then = before.get(name, (0,) * 5)
        updates = now[0] - then[0]
        if updates:
            within = (now[1] - then[1]) / updates
            sizes = f"{then[4] / 1e6:.1f} | {now[4] / 1e6:.1f}"
            cleaned = now[3] - then[3]
            print(f"| {name} | {updates:,} | {within:.0%} | {now[2]:,} | {cleaned} | {sizes} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--beats", type=int, default=8640)
    parser.add_argument("--seconds", type=float, default=60)
    chosen = parser.parse_args()
    # Commits that do not wait for the disk leave the same rows.
    mark = "&" if "?" in chosen.url else "?"
    url = f"{chosen.url}{mark}options=-c%20synchronous_commit%3Doff"
    with Store.open(url) as store, psycopg.connect(chosen.url, autocommit=True) as connection:
        runs = [store.start("bloat", capture=False) for _ in range(chosen.runs)]
        first = counts(connection)
        begin = time.perf_counter()
        for _ in range(chosen.beats):
            for run in runs:
                store.backend.database.mark_seen([run.uid])
        spent = (time.perf_counter() - begin) / (chosen.beats * chosen.runs)
        second = counts(connection)
        show(f"{chosen.runs} runs, {chosen.beats:,} heartbeats each", first, second)
        print(f"{spent * 1e3:.2f} ms each")
        until = time.monotonic() + chosen.seconds
        while time.monotonic() < until:
            for run in runs:
                run.log(dict.fromkeys(KEYS, time.time()))
            time.sleep(0.1)
        third = counts(connection)
        show(f"{chosen.runs} runs log {len(KEYS)} metrics, {chosen.seconds:.0f} s", second, third)
        for run in runs:
            run.finish()
        connection.execute("VACUUM")
        show("the same after their ends and VACUUM", second, counts(connection))


if __name__ == "__main__":
    main()

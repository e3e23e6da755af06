"""How long the page waits for metrics: `GET /api/v1/series`, from request to the last byte.

Run it with a folder for the store, which is filled if it is empty:
python benchmarks/page_series.py FOLDER. A cold answer is the first of a process.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from runstore import Store

TOKEN = "token-of-page-series"  # noqa: S105 - of this benchmark
ROUNDS = 15
SERIES, POINTS, MANY = 20, 100_000, 10_000_000
AT_ONCE = 1_000_000


def filled(folder: Path) -> None:
    """Record the runs: losses with noise, a point every 50 ms or so."""
    random.seed(1)
    with Store.open(folder) as store:
        for count in (*[POINTS] * SERIES, MANY):
            run = store.start("long" if count == MANY else "curves", capture=False)
            at = time.time() - count / 20
            for begin in range(0, count, AT_ONCE):
                steps = range(begin, min(begin + AT_ONCE, count))
                values = [math.exp(-one / POINTS) + random.gauss(0, 0.05) for one in steps]
                times = [at + one * 0.05 + random.random() * 0.005 for one in steps]
                run.log_points("loss", values, steps=steps, times=times)
            run.finish()


def served(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the page and return its process and address."""
    command = [sys.executable, "-m", "runstore", "ui", "--no-browser", "--token", TOKEN]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "RUNSTORE_URL": str(folder), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "http://" in line:
            address = line[line.index("http://") :].split()[0]
            return process, address.partition("/?")[0].rstrip("/")
    raise RuntimeError("the page did not start")


def asked(base: str, query: str) -> tuple[float, int]:
    """Return the milliseconds and the bytes of an answer."""
    request = urllib.request.Request(f"{base}/api/v1/{query}")  # noqa: S310 - our own page
    request.add_header("Authorization", f"Bearer {TOKEN}")
    request.add_header("Accept-Encoding", "gzip")
    begin = time.perf_counter()
    with urllib.request.urlopen(request) as response:  # noqa: S310 - our own page
        size = len(response.read())
    return (time.perf_counter() - begin) * 1e3, size


def spent_s(process: subprocess.Popen[str]) -> float:
    """Return the processor's time that a process has taken; Linux alone says so."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2]
    return sum(map(int, fields.split()[11:13])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    if not (folder / "runstore.db").exists():
        filled(folder)
    curves = ",".join(f"curves%23{number}" for number in range(1, SERIES + 1))
    ids = ",".join(str(number) for number in range(1, SERIES + 1))
    few = f"&from={POINTS // 3}&to={POINTS // 3 + POINTS // 100}"
    queries = {
        f"{SERIES} x {POINTS:,} points": f"series?keys=loss&runs={curves}",
        "over relative time": f"series?keys=loss&x=relative&runs={curves}",
        "a window of 1 %": f"series?keys=loss&runs={curves}{few}",
        "a window of 25 %": f"series?keys=loss&runs={curves}&from=25000&to=50000",
        f"1 x {MANY:,} points": "series?keys=loss&runs=long%231",
        "a window of 1 % of them": f"series?keys=loss&runs=long%231&from=0&to={MANY // 100}",
        f"{SERIES} sparklines": f"sparklines?key=loss&ids={ids}",
    }
    print("| what | cold (ms) | warm (ms) | of the processor (ms) | kB |")
    print("|---|---|---|---|---|")
    for name, query in queries.items():
        process, base = served(folder)
        try:
            asked(base, "store")
            cold, size = asked(base, query)
            before = spent_s(process)
            warm = statistics.median(asked(base, query)[0] for _ in range(ROUNDS))
            spent = (spent_s(process) - before) / ROUNDS * 1e3
        finally:
            process.terminate()
            process.wait()
        print(f"| {name} | {cold:.0f} | {warm:.0f} | {spent:.0f} | {size / 1e3:,.0f} |")


if __name__ == "__main__":
    main()

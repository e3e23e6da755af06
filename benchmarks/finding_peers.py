"""The newest 20 runs of a question, beside other tools that can be asked the same.

python benchmarks/finding_peers.py --environments FOLDER [--server URL] [RUNS...]

Each tool gets a virtual environment of its own in FOLDER, made with pip when it is missing; one
that cannot be installed is reported and left out. MLflow's tables are filled directly, and read
back through its API. Aim is filled through its API, which takes too long for many runs.

With the URL of a database on a PostgreSQL server, runstore and MLflow keep their runs there, and
runs are recorded as well. Databases runstore_RUNS and mlflow_RUNS are made and filled if they are
missing, and left for the next time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from peers import HERE, QUIET, Tool, python_of, version_of

TOOLS = (Tool("runstore", "", 0), Tool("MLflow, SQLite", "mlflow", 0), Tool("Aim", "aim", 0))
TOOLS_ON_SERVER = (
    Tool("runstore, PostgreSQL", "", 0),
    Tool("MLflow, PostgreSQL", "mlflow", 0, ("psycopg[binary]",)),
)
AIM_RUNS = 2_000
SIZES = (10_000, 100_000)

Answers = dict[str, tuple[float, int]]


def database(url: str, name: str) -> str:
    """Return the URL of a database, made if it is missing."""
    import psycopg
    from psycopg.sql import SQL, Identifier

    with psycopg.connect(url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if known.fetchone() is None:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def answers(tool: Tool, python: Path, runs: int, server: str | None) -> Answers:
    """Return the milliseconds and the runs found for each question that a tool can be asked."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = str(Path(name).absolute())
        words = [
            str(HERE / "finding_peer_worker.py"),
            tool.package or "runstore",
            str(runs),
            folder if server is None else database(server, f"{tool.package or 'runstore'}_{runs}"),
        ]
        ended = subprocess.run(
            [str(python), *words],
            env={**os.environ, **QUIET},
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
    line = next(one for one in ended.stdout.splitlines() if one.startswith("RESULT "))
    return {name: (spent, found) for name, (spent, found) in json.loads(line[7:]).items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--server")
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES)
    arguments = parser.parse_args()
    columns: dict[str, Answers] = {}
    for size in arguments.sizes:
        for tool in TOOLS if arguments.server is None else TOOLS_ON_SERVER:
            python = python_of(tool, arguments.environments.absolute())
            runs = min(size, AIM_RUNS) if tool.package == "aim" else size
            head = f"{tool.name} {version_of(tool, python) if python else ''}, {runs:,}"
            if python is None or head in columns:
                continue
            columns[head] = answers(tool, python, runs, arguments.server)
            print(f"{head}: measured", file=sys.stderr, flush=True)
    print(f"| newest 20, ms (found) | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for question in dict.fromkeys(name for one in columns.values() for name in one):
        cells = (one.get(question) for one in columns.values())
        told = ("-" if cell is None else f"{cell[0]:.1f} ({cell[1]})" for cell in cells)
        print(f"| {question} | {' | '.join(told)} |")


if __name__ == "__main__":
    main()

"""ManagerStore.add_run, store.json included, beside Curifactory's own at growing sizes.

Both work in a project of their own with one commit, as experiments do: Curifactory asks git twice
for each run, runstore once. The two take turns, so that a busy machine disturbs both.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from timing import spent_ms

ROUNDS = 31


class Manager:
    """The attributes that both classes read."""

    def __init__(self, folder: Path) -> None:
        self.experiment_name = "bench"
        self.experiment_run_number = 0
        self.run_timestamp = datetime.now(timezone.utc).astimezone()
        self.parameter_files = ["small"]
        self.param_file_param_sets = {"small": [("baseline", "193a0b66d11fd03e2bf0d1cfe966ef480")]}
        self.store_full = False
        self.run_line = "experiment bench -p small"
        self.hostname = "host"
        self.notes = ""
        self.status = "incomplete"
        self.error = None
        self.git_commit_hash = ""
        self.git_workdir_dirty = False
        self.manager_cache_path = str(folder)
        self.runs_path = str(folder)

    def get_str_timestamp(self) -> str:
        """Return the start as references carry it."""
        return self.run_timestamp.strftime("%Y-%m-%d-T%H%M%S")

    def get_reference_name(self) -> str:
        """Return the reference."""
        return f"{self.experiment_name}_{self.experiment_run_number}_{self.get_str_timestamp()}"


def blocks(runs: int) -> list[dict[str, Any]]:
    """Return as many blocks as Curifactory would have written."""
    return [
        {
            "reference": f"bench_{n}_2026-11-23-T101500",
            "experiment_name": "bench",
            "run_number": n,
            "timestamp": "2026-11-23-T101500",
            "commit": "deeb9c8ee10d0bcb2730285cbc0d66fa6e3608c",
            "workdir_dirty": False,
            "param_files": ["small"],
            "params": {"small": [["baseline", "193a0b66d11fd03e2bf0d1cfe966ef480"]]},
            "full_store": False,
            "status": "complete",
            "cli": "experiment bench -p small",
            "hostname": "host",
            "notes": "",
        }
        for n in range(1, runs + 1)
    ]


@contextlib.contextmanager
def project() -> Iterator[Path]:
    """Work in a new folder with one commit in it."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).absolute()
        (folder / "experiment.py").write_text("print(1)\n")
        (folder / ".gitignore").write_text("theirs\nours\n")
        git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
        for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
            subprocess.run([*git, *command], cwd=folder, check=True)
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


def opened(which: Any, folder: Path, size: int) -> tuple[Any, float]:
    """Return a store of so many runs, and the milliseconds that its first opening took."""
    folder.mkdir()
    (folder / "store.json").write_text(json.dumps(blocks(size), indent=4))
    begin = time.perf_counter()
    store = which(str(folder))
    return store, (time.perf_counter() - begin) * 1e3


def add_run(store: Any, folder: Path) -> float:
    """Return the milliseconds of one add_run."""
    manager = Manager(folder)
    return spent_ms(lambda: store.add_run(manager))


def main(sizes: list[int]) -> None:
    """Print one row per size."""
    from curifactory.store import ManagerStore as Theirs

    from runstore import ManagerStore as Ours

    print(
        "| runs kept | Curifactory add_run, ms | ours, ms | times faster"
        " | first open: theirs, ms | ours, ms |"
    )
    print("|---|---|---|---|---|---|")
    for size in sizes:
        with project() as folder:
            stores = {
                name: opened(which, folder / name, size)
                for name, which in (("theirs", Theirs), ("ours", Ours))
            }
            times: dict[str, list[float]] = {name: [] for name in stores}
            for _ in range(ROUNDS):
                for name, (store, _) in stores.items():
                    times[name].append(add_run(store, folder / name))
        theirs, ours = (statistics.median(times[name]) for name in ("theirs", "ours"))
        print(
            f"| {size:,} | {theirs:.1f} | {ours:.1f} | {theirs / ours:.1f}"
            f" | {stores['theirs'][1]:.1f} | {stores['ours'][1]:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [100, 1_000, 10_000])

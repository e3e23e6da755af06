"""ManagerStore.add_run, store.json included, beside Curifactory's own at growing sizes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROUNDS = 15


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


def measure(which: Any, folder: Path) -> tuple[float, float]:
    """Return the milliseconds to open the folder, and the median of one add_run."""
    begin = time.perf_counter()
    store = which(str(folder))
    opened = (time.perf_counter() - begin) * 1e3
    times = []
    for _ in range(ROUNDS):
        manager = Manager(folder)
        begin = time.perf_counter()
        store.add_run(manager)
        times.append((time.perf_counter() - begin) * 1e3)
    return opened, statistics.median(times)


def main(sizes: list[int]) -> None:
    """Print one row per size."""
    from curifactory.store import ManagerStore as Theirs

    from runstore import ManagerStore as Ours

    print(
        "| runs kept | Curifactory add_run, ms | ours, ms | times faster | open: theirs | ours |"
    )
    print("|---|---|---|---|---|---|")
    for size in sizes:
        found = {}
        with tempfile.TemporaryDirectory(dir=".") as project:
            subprocess.run(["git", "init", "-q", project], check=True)
            for name, which in (("theirs", Theirs), ("ours", Ours)):
                folder = Path(project) / name
                folder.mkdir()
                (folder / "store.json").write_text(json.dumps(blocks(size), indent=4))
                found[name] = measure(which, folder)
        theirs, ours = found["theirs"], found["ours"]
        print(
            f"| {size:,} | {theirs[1]:.1f} | {ours[1]:.1f} | {theirs[1] / ours[1]:.1f}"
            f" | {theirs[0]:.1f} | {ours[0]:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [100, 1_000, 10_000])

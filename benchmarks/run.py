"""All benchmarks, one after the other: python benchmarks/run.py."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

SCRIPTS = (
    "store_operations.py",
    "fresh_start.py",
    "metrics.py",
    "points_table.py",
    "many_loggers.py",
    "finding.py",
    "manager_store.py",
    "processes.py",
    "first_use.py",
    "comparing.py",
    "already_ran.py",
    "searching.py",
    "sql_views.py",
)

if __name__ == "__main__":
    print(
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores,"
        f" Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}\n",
        flush=True,
    )
    for script in SCRIPTS:
        subprocess.run([sys.executable, str(Path(__file__).parent / script)], check=True)
        print(flush=True)

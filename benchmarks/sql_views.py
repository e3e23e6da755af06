"""SQL over the views, at 10,000 and 100,000 runs with 20 parameters and 10 metrics each."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from functools import partial
from pathlib import Path

from finding import SIZES, fill
from timing import median_ms

from runstore.storage.sqlite.paths import DATABASE

ROUNDS = 7
MEANS = (
    "SELECT value, avg(last) FROM params_flat p JOIN metrics_flat m USING (run_id)"
    " WHERE p.key = 'model' AND m.key = 'm1' GROUP BY value"
)
STATEMENTS = (
    "SELECT * FROM runs_flat WHERE reference = 'exp_3_3333'",
    "SELECT * FROM runs_flat WHERE experiment = 'exp_3' LIMIT 20",
    "SELECT * FROM runs_flat ORDER BY run_id DESC LIMIT 20",
    "SELECT reference FROM runs_flat ORDER BY started_at DESC LIMIT 20",
    "SELECT count(*) FROM runs_flat WHERE status = 'error'",
    "SELECT reference FROM runs_flat ORDER BY json_extract(metrics, '$.m1') LIMIT 20",
    "SELECT reference FROM metrics_flat WHERE key = 'm1' ORDER BY last LIMIT 20",
    "SELECT * FROM params_flat WHERE key = 'lr' AND number > 0.999 LIMIT 20",
    MEANS,
    "SELECT count(*) FROM tags_flat WHERE key = 'phase' AND value = 'pilot'",
)


def read(reader: sqlite3.Connection, text: str) -> None:
    """Read all rows of a statement."""
    reader.execute(text).fetchall()


def main() -> None:
    """Print the medians."""
    sizes = [int(text) for text in sys.argv[1:]] or SIZES
    rows: dict[str, list[str]] = {text: [] for text in STATEMENTS}
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=".") as folder:
            fill(Path(folder), size)
            reader = sqlite3.connect(f"file:{folder}/{DATABASE}?mode=ro", uri=True)
            for text, cells in rows.items():
                ms = median_ms(partial(read, reader, text), ROUNDS)
                cells.append(f"{ms:.2f}")
            reader.close()
    print("| statement | " + " | ".join(f"{size:,} runs, ms" for size in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for text, cells in rows.items():
        print(f"| `{text}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()

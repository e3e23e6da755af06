"""Run a command with a PostgreSQL server of some version, for the tests on a server.

    python3 .ci/with_postgres.py /usr/lib/postgresql/15/bin pytest tests/contract --both-engines

The server is started from the programs in a folder, with an empty cluster in a temporary folder,
and stopped afterwards. The command finds its URL in RUNSTORE_TEST_POSTGRES.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# What the tests write need not survive.
SETTINGS = """
listen_addresses = ''
fsync = off
synchronous_commit = off
full_page_writes = off
"""


def main() -> int:
    """Start a server, run the command, stop the server, and return the command's exit status."""
    programs, *command = sys.argv[1:]
    # A short path, because the name of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="rs-pg-", dir="/tmp"))
    # PostgreSQL refuses to run as root.
    user = "nobody" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    folder.chmod(0o755)
    data = folder / "data"

    def run(program: str, *arguments: str | Path) -> None:
        subprocess.run(
            [Path(programs, program), "-D", data, *arguments],
            check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    try:
        run("initdb", "-U", "postgres", "-E", "UTF8", "--no-sync", "-A", "trust")
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"{SETTINGS}unix_socket_directories = '{folder}'\n")
        run("pg_ctl", "-w", "-l", folder / "log", "start")
        try:
            url = f"postgresql://postgres@/?host={folder}"
            environment = {**os.environ, "RUNSTORE_TEST_POSTGRES": url}
            return subprocess.run(command, env=environment, check=False).returncode
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())

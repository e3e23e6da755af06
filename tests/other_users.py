"""Other users of this machine, as which tests run programs: needs root."""

import functools
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import runstore
from commands import but_the_first_line

ALICE, BOB, TEAM = 54321, 54322, 54330  # numbers that nobody has
_SOURCE = Path(runstore.__file__).parent.parent


def skip_without_root():
    """Skip, and say so, what only root can try: to be several users."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to step down to other users")


@functools.cache
def _python():
    """Return a Python that other users can run too; that of an environment may be private."""
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        command = [
            python,
            "-c",
            "import sqlite3, runstore.store, sys; sys.exit(sys.version_info < (3, 10))",
        ]
        try:
            ended = subprocess.run(
                command, cwd="/", env={"PYTHONPATH": str(_SOURCE)}, user=ALICE, group=ALICE,
                extra_groups=[], capture_output=True, check=False,
            )  # fmt: skip
        except OSError:
            continue
        if ended.returncode == 0:
            return python
    return None


class Users:
    """Runs programs as other users, each with a home, in folders below one that all may enter.

    Args:
        place: The folder.
    """

    def __init__(self, place):
        self.place = place
        self.folder("tmp", os.geteuid(), 0o1777)
        self._one_at_a_time = threading.Lock()

    def folder(self, name, owner, mode=0o755, group=None):
        """Make a folder that belongs to a user."""
        path = self.place / name
        path.mkdir()
        os.chown(path, owner, owner if group is None else group)
        path.chmod(mode)
        return path

    def home(self, user):
        """Return the home of a user."""
        path = self.place / f"home{user}"
        with self._one_at_a_time:
            return path if path.exists() else self.folder(path.name, user, 0o700)

    def run(self, user, code, *, cwd, umask=0o022, groups=(), group=None, **variables):
        """Run a program as a user, and return how it ended."""
        if _python() is None:
            pytest.skip("needs a Python and a source folder that other users can read")
        return subprocess.run(
            [_python(), "-c", code],
            cwd=cwd,
            env={
                "HOME": str(self.home(user)),
                "PYTHONPATH": str(_SOURCE),
                "TMPDIR": str(self.place / "tmp"),
                **variables,
            },
            user=user,
            group=user if group is None else group,
            extra_groups=list(groups),
            umask=umask,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def said_by(self, user, code, **options):
        """Run a program as a user, and return what it printed; it succeeds without a warning."""
        ended = self.run(user, code, **options)
        assert (ended.returncode, but_the_first_line(ended.stderr)) == (0, ""), ended
        return ended.stdout.strip()

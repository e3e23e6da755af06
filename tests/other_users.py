"""Other users of this machine, as which tests run programs: needs root."""

import os
import threading

import pytest

import command_server
from commands import but_the_first_line

ALICE, BOB, TEAM = 54321, 54322, 54330  # numbers that nobody has


def skip_without_root():
    """Skip, and say so, what only root can try: to be several users."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to step down to other users")


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
        environment = {
            **command_server.settings(),
            "HOME": str(self.home(user)),
            "TMPDIR": str(self.place / "tmp"),
            **variables,
        }
        rights = (user, user if group is None else group, list(groups), umask)
        asked = {"cwd": cwd, "env": environment, "rights": rights, "is_python": True}
        return command_server.run(["-c", code], **asked, timeout=60)

    def said_by(self, user, code, **options):
        """Run a program as a user, and return what it printed; it succeeds without a warning."""
        ended = self.run(user, code, **options)
        assert (ended.returncode, but_the_first_line(ended.stderr)) == (0, ""), ended
        return ended.stdout.strip()

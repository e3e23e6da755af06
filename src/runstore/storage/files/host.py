"""This host as a number, in files that several hosts share: its processes and its network."""

from __future__ import annotations

import functools
import os
import sys

from runstore.errors import genuine
from runstore.model.values import blake2b


@functools.cache
def host_number() -> int:
    """Return a number of 32 bits for this host since its boot, and its containers.

    It is 0 if it cannot be told, as when the program has used all its descriptors.

    Source: random(4), namespaces(7).
    """
    parts = [os.uname().nodename]
    if sys.platform == "linux":
        try:
            parts.append(_text("/proc/sys/kernel/random/boot_id").strip())
            parts.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - not a path
        except genuine(OSError):
            return 0
    # Nothing can be loaded while the interpreter is being shut down; this hash is there.
    digest = blake2b("\n".join(parts).encode("utf-8", "surrogateescape"), digest_size=4)
    return int(digest.hexdigest(), 16) or 1


def has_ended(pid: int) -> bool:
    """Check whether an id is that of no process of this host number, or that of a zombie.

    Source: proc_pid_stat(5), field 3; field 2, the name, may contain spaces and brackets.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except genuine(OSError, OverflowError):  # another user's process, or an invalid process id
        pass
    try:
        return _text(f"/proc/{pid}/stat").rpartition(")")[2][1:2] in {"Z", "X"}
    except genuine(OSError):
        return False


def _text(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 512).decode("ascii", "replace")
    finally:
        os.close(descriptor)

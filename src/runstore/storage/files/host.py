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
            parts += [_boot(), os.readlink("/proc/self/ns/pid")]  # noqa: PTH115 - not a path
        except genuine(OSError):
            return 0
    # Nothing can be loaded while the interpreter is being shut down; this hash is there.
    digest = blake2b("\n".join(parts).encode("utf-8", "surrogateescape"), digest_size=4)
    return int(digest.hexdigest(), 16) or 1


def _boot() -> str:
    descriptor = os.open("/proc/sys/kernel/random/boot_id", os.O_RDONLY)
    try:
        return os.read(descriptor, 64).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)

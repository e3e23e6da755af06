"""This host as a number, in files that several hosts share: its processes and its network."""

from __future__ import annotations

import functools
import os
import sys
from contextlib import suppress

from runstore.model.values import sha256


@functools.cache
def host_number() -> int:
    """Return a number of 32 bits for this host since its boot, and its containers; never 0.

    Source: random(4), namespaces(7).
    """
    parts = [os.uname().nodename]
    if sys.platform == "linux":
        with suppress(OSError):
            descriptor = os.open("/proc/sys/kernel/random/boot_id", os.O_RDONLY)
            try:
                parts.append(os.read(descriptor, 64).decode("ascii", "replace").strip())
            finally:
                os.close(descriptor)
            parts.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - not a path
    digest = sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
    return int(digest[:8], 16) or 1

"""How much memory a process had at most; what its parent had before is none of it."""

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def peak_bytes():
    """Return the most memory that this process had since it began, or since `forget_peak`.

    Linux hands what `getrusage` calls the peak on to children.
    """
    if _STATUS.exists():
        return _field("VmHWM")
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def forget_peak():
    """Begin anew with the peak; return what this process has now. Source: proc(5)."""
    if not _STATUS.exists():
        return peak_bytes()
    _CLEAR.write_text("5")
    return _field("VmRSS")


def _field(name):
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))

"""Which descriptors of this process lead where: whoever opens something closes it."""

from contextlib import suppress
from pathlib import Path

OWN = Path("/proc/self/fd")


def open_below(folder):
    """Return what this process has open below a folder; other tests may close what is theirs."""
    found = []
    for one in OWN.iterdir():
        with suppress(OSError):  # closed meanwhile, as the one that lists them
            found.append(str(one.readlink()))
    return sorted(name for name in found if name.startswith(f"{folder}/"))

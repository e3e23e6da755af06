"""Which descriptors of this process lead where: whoever opens something closes it."""

import os
from contextlib import contextmanager, suppress
from pathlib import Path

OWN = Path("/proc/self/fd")


def open_below(folder):
    """Return what this process has open below a folder; other tests may close what is theirs."""
    found = []
    for one in OWN.iterdir():
        with suppress(OSError):  # closed meanwhile, as the one that lists them
            found.append(str(one.readlink()))
    return sorted(name for name in found if name.startswith(f"{folder}/"))


@contextmanager
def open_in_a_child():
    """Fork a child that has the files of this moment open until the end of the block."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    yield
    os.close(reader)
    os.close(writer)
    os.waitpid(child, 0)

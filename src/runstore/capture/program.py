"""The files of the program that runs: its main script and the modules of it that are loaded."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence

from runstore.capture.command import argument_texts, own_words

_FILES_AT_MOST = 500
_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH100, PTH120
_NOT_OF_THE_PROGRAM = ("site-packages", "dist-packages")


def scripts(argv: Sequence[str] | None = None, cwd: str | None = None) -> tuple[str, ...]:
    """Return the absolute paths of what may be the program's main script, the likeliest first.

    Args:
        argv: The arguments, where they are not those of this process.
        cwd: What relative paths count from; None is the working directory.
    """
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    words = [main, *own_words()[:1]]
    if argv:
        from runstore.model.launchers import launched

        words = [launched(argument_texts(argv)).what, *words]
    # A profiler or debugger is the main module of what it runs, and leaves the arguments of that.
    found = (_file(word, cwd) for word in words if isinstance(word, str))
    return tuple(dict.fromkeys(one for one in found if one))[:1]


def program_files(scripts: Sequence[str], cwd: str | None) -> tuple[str, ...]:
    """Return the main script and the sources of loaded modules beside it, or below a folder.

    Args:
        scripts: What `scripts` gave.
        cwd: Where modules are looked for without a script, as at a prompt.
    """
    folder = os.path.dirname(scripts[0]) if scripts else cwd  # noqa: PTH120 - text is quicker
    loaded = _loaded_below(folder) if folder else ()
    return tuple(dict.fromkeys((*scripts, *loaded)))[:_FILES_AT_MOST]


def _file(word: str, cwd: str | None) -> str | None:
    try:
        place = os.path.abspath(os.path.join(cwd, word) if cwd else word)  # noqa: PTH100, PTH118
        is_file = os.path.isfile(place)  # noqa: PTH113 - this is before every run
    except (OSError, ValueError):
        return None
    return place if word and is_file and _is_own(place) else None


def _is_own(place: str) -> bool:
    """Whether a file is none of an environment's or of Python's own."""
    if place.startswith(_OWN_FOLDER):
        return False
    if any(f"{os.sep}{one}{os.sep}" in place for one in _NOT_OF_THE_PROGRAM):
        return False
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix} - {"/", "/usr"}
    return not place.startswith(tuple(f"{one}{os.sep}" for one in prefixes)) and not (
        place.startswith(("/usr/bin/", "/usr/lib", "/usr/local/bin/", "/bin/"))
    )


def _loaded_below(folder: str) -> Iterator[str]:
    """Yield the sources of loaded modules in a folder, by path."""
    start = folder.rstrip(os.sep) + os.sep
    files = {getattr(one, "__file__", None) for one in list(sys.modules.values())}
    yield from sorted(
        one for one in files if isinstance(one, str) and one.startswith(start) and _is_own(one)
    )

"""The files of the program that runs: its main script and the modules of it that are loaded."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator, Sequence

from runstore.capture.command import argument_texts, kept_arguments, own_words
from runstore.model.facts import Facts, FactValue

_FILES_AT_MOST = 500
_OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH100, PTH120
_NOT_OF_THE_PROGRAM = ("site-packages", "dist-packages")


def scripts(argv: Sequence[str] | None = None, cwd: str | None = None) -> tuple[str, ...]:
    """Return the absolute paths of what may be the program's main script, the likeliest first.

    Args:
        argv: The arguments, where they are not those of this process.
        cwd: What relative paths count from; None is the working directory.
    """
    for word in _words(argv):
        place = _file(word, cwd) if isinstance(word, str) else None
        if place is not None:
            return (place,)
    return ()


def _words(argv: Sequence[str] | None) -> Iterator[object]:
    """Yield what may name the main script, the likeliest first."""
    if argv:
        from runstore.model.launchers import launched

        yield launched(argument_texts(argv)).what
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    yield main
    # A profiler or debugger is the main module of what it runs, and leaves the arguments of that.
    yield from own_words()[:1]
    # Without a file it is a prompt or a notebook, where the code comes from no file.
    if isinstance(main, str):
        yield from reversed(list(_files_that_call()))


def _files_that_call() -> Iterator[object]:
    """Yield the file of each function on the stack, the innermost first.

    A function that was pickled for a worker of a cluster has lost its module, and its code may
    have lost the name of its file; its globals keep that.
    """
    frame = sys._getframe()  # noqa: SLF001 - `inspect` is slow to import
    while frame.f_back is not None:
        frame = frame.f_back
        yield frame.f_code.co_filename
        yield frame.f_globals.get("__file__")


def program_facts(scripts: Sequence[str]) -> Facts:
    """Return `command.program` and `command.arguments`: what this process runs, and its settings.

    Unlike the command line, they do not change with the launcher, profiler or pool that runs it.

    Args:
        scripts: What `scripts` gave.
    """
    processes = sys.modules.get("multiprocessing.process")
    return _facts_of(
        tuple(scripts),
        own_words(),
        argument_texts(getattr(sys, "orig_argv", None)),
        getattr(sys.modules.get("__main__"), "__file__", None),
        is_of_a_pool=processes is not None and processes.parent_process() is not None,
    )


@functools.lru_cache(maxsize=8)
def _facts_of(
    scripts: tuple[str, ...],
    words: tuple[str, ...],
    original: tuple[str, ...],
    main: object,
    *,
    is_of_a_pool: bool,
) -> Facts:
    """Return the facts; those of a process stay the same from run to run."""
    from runstore.model.launchers import code_argument

    values: dict[str, FactValue] = {}
    unknown: dict[str, str] = {}
    program = scripts[0] if scripts else code_argument(original)
    if program:
        values["command.program"] = kept_arguments((program,))[0][0]
    else:
        unknown["command.program"] = "it is no file: a prompt, or a worker of other programs"
    arguments, why = kept_arguments(words[1:])
    if is_of_a_pool or not program or not _has_own_arguments(scripts, words, main):
        why = "another process says what this one works on"
    if why:
        unknown["command.arguments"] = why
    else:
        values["command.arguments"] = arguments
    return Facts(values=values, unknown=unknown)


def _has_own_arguments(scripts: tuple[str, ...], words: tuple[str, ...], main: object) -> bool:
    """Whether the words of the command line say what is done, not another process."""
    word = words[0] if words else ""
    own = {_file(one, None) for one in (main, word) if isinstance(one, str)}
    # A program that was installed, such as `mytrain`, calls what is in the project.
    is_command = os.path.basename(os.path.dirname(word)) in {"bin", "Scripts"}  # noqa: PTH119, PTH120 - text is quicker
    return not scripts or scripts[0] in own or is_command


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

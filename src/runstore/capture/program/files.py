"""The files of the running program: its main script and its own loaded modules."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import runstore
from runstore.capture.program.command import argument_texts, kept_arguments, own_words
from runstore.errors import attempt, genuine, named_error
from runstore.model.facts import Facts, FactValue
from runstore.value_classes import NamedTuple

_FILES_AT_MOST = 500
OWN_FOLDER = os.path.dirname(os.path.abspath(runstore.__file__)) + os.sep  # noqa: PTH100, PTH120
_OF_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_OF_THE_SYSTEM = ("/usr/bin/", "/usr/lib", "/usr/local/bin/", "/bin/")
# In an environment, which may contain the project, or be inside it.
_OF_AN_ENVIRONMENT = ("bin", "Scripts", "lib/python", "lib64/python", "Lib", "DLLs", "libexec")
# TensorFlow generates code from the program's into files with these names, and loads it.
_GENERATED = "__autograph_generated_file"
# The clock of file times lags by a few milliseconds.
CLOCK_LAG_NS = 20_000_000
# A forked process has modules that were loaded before it started.
LOADED_AT_NS = time.time_ns()


def scripts(argv: Sequence[str] | None = None, cwd: str | None = None) -> tuple[str, ...]:
    """Return the absolute paths of candidates for the program's main script, likeliest first.

    Args:
        argv: The arguments (default: the arguments of this process).
        cwd: Base of relative paths; None for the working directory.
    """
    for word in _words(argv):
        place = _file(word, cwd) if isinstance(word, str) else None
        if place is not None:
            return (place,)
    return ()


def _words(argv: Sequence[str] | None) -> Iterator[object]:
    """Yield words that may name the main script, likeliest first."""
    if argv:
        from runstore.model.code.launchers import launched

        yield launched(argument_texts(argv)).what
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    yield main
    # A profiler or debugger is the main module, and leaves the arguments of its program.
    yield from own_words()[:1]
    # Without a file it is a prompt or a notebook, whose code is in no file.
    if isinstance(main, str):
        yield from reversed(list(_files_that_call()))


def _files_that_call() -> Iterator[object]:
    """Yield the file of each function on the stack, innermost first.

    A function that was pickled for a worker of a cluster has no module, and its code may have no
    file name; the globals still have one.
    """
    frame = sys._getframe()  # noqa: SLF001 - `inspect` is slow to import
    while frame.f_back is not None:
        frame = frame.f_back
        yield frame.f_code.co_filename
        yield frame.f_globals.get("__file__")


def program_facts(scripts: Sequence[str]) -> Facts:
    """Return `command.program` and `command.arguments`: the program and its settings.

    Unlike the command line, they do not depend on the launcher, profiler or pool that runs it.
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
    """Return the facts, which are the same for all runs of a process."""
    values: dict[str, FactValue] = {}
    unknown: dict[str, str] = {}
    program = scripts[0] if scripts else _code_among(original)
    if program:
        values["command.program"] = kept_arguments((program,))[0][0]
    else:
        unknown["command.program"] = (
            "there is no script: it is a prompt, or a worker of other programs"
        )
    arguments, why = kept_arguments(words[1:])
    if is_of_a_pool or not program or not _has_own_arguments(scripts, words, main):
        why = "another process assigns the work of this one"
    if why:
        unknown["command.arguments"] = why
    else:
        values["command.arguments"] = arguments
    return Facts(values=values, unknown=unknown)


def _code_among(arguments: tuple[str, ...]) -> str:
    from runstore.model.code.python_command import code_argument

    return code_argument(arguments)


def _has_own_arguments(scripts: tuple[str, ...], words: tuple[str, ...], main: object) -> bool:
    """Check whether the command line determines the work, and not another process."""
    word = words[0] if words else ""
    own = {_file(one, None) for one in (main, word) if isinstance(one, str)}
    # An installed program, such as `mytrain`, calls code of the project.
    is_command = os.path.basename(os.path.dirname(word)) in {"bin", "Scripts"}  # noqa: PTH119, PTH120 - text is quicker
    return not scripts or scripts[0] in own or is_command


def program_files(scripts: Sequence[str], cwd: str | None) -> tuple[str, ...]:
    """Return the main script and the sources of loaded modules beside it.

    Without a script, as at a prompt, they are those in the folder.
    """
    folder = os.path.dirname(scripts[0]) if scripts else cwd  # noqa: PTH120 - text is quicker
    loaded = _loaded_below(folder) if folder else ()
    return tuple(dict.fromkeys((*scripts, *loaded)))[:_FILES_AT_MOST]


def _file(word: str, cwd: str | None) -> str | None:
    try:
        place = os.path.abspath(os.path.join(cwd, word) if cwd else word)  # noqa: PTH100, PTH118
        is_file = os.path.isfile(place)  # noqa: PTH113 - this is before every run
    except genuine(OSError, ValueError):
        return None
    return place if word and is_file and is_own(place) else None


@functools.lru_cache(maxsize=1 << 15)
def is_own(place: str) -> bool:
    """Check whether a file belongs neither to an environment nor to Python itself."""
    if place.startswith((OWN_FOLDER, _standard_library())):
        return False
    for packages in _OF_PACKAGES:
        if packages in place:
            # A package installed as a link to its sources belongs to the user.
            above, _, below = place.partition(packages)
            return _is_link(above + packages + below.partition(os.sep)[0])
    return not place.startswith(_of_environments())


@functools.lru_cache(maxsize=1 << 12)
def _is_link(place: str) -> bool:
    return os.path.islink(place)  # noqa: PTH114 - text is quicker


@functools.lru_cache(maxsize=1)
def _standard_library() -> str:
    return os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - text is quicker


def _of_environments() -> tuple[str, ...]:
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix} - {"/", "/usr"}
    ends = (one if one.endswith("python") else one + os.sep for one in _OF_AN_ENVIRONMENT)
    return (*_OF_THE_SYSTEM, *(f"{one}{os.sep}{end}" for end in ends for one in prefixes))


class Command(NamedTuple):
    """A command of another process: the words, and the working directory."""

    words: Sequence[str]
    folder: Path | None


class LoadedModule(NamedTuple):
    """A loaded module of the program; after a reload, its import spec is a new object."""

    file: str
    spec: object


_known: tuple[tuple[int, str | None], Mapping[str, LoadedModule]] = ((0, None), {})


def own_modules() -> Mapping[str, LoadedModule]:
    """Return the loaded modules that are neither installed nor Python's own, by name.

    A repeated call costs nothing if no module was loaded since.
    """
    global _known  # noqa: PLW0603 - what is loaded is the process's
    state = len(sys.modules), next(reversed(sys.modules), None)
    if _known[0] != state:
        _known = state, _own_among(sys.modules.copy())
    return _known[1]


def _own_among(modules: Mapping[str, object]) -> dict[str, LoadedModule]:
    found = {}
    for name, one in modules.items():
        about = _attributes(one)
        file = about.get("__file__")
        if isinstance(file, str) and is_own(file) and not _is_made(name, file, modules):
            found[name] = LoadedModule(file, about.get("__spec__"))
    return found


def _attributes(module: object) -> Mapping[str, object]:
    """Return the attributes of a module, without calling its own `__getattr__`."""
    try:
        found = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_made(name: str, file: str, modules: Mapping[str, object]) -> bool:
    """Check whether an installed package generated a module at run time, as compilers do."""
    if name.startswith(_GENERATED):
        return True
    parent = _attributes(modules.get(name.rpartition(".")[0]))
    above = parent.get("__file__")
    if not isinstance(above, str) or is_own(above):
        return False
    path = parent.get("__path__")
    folder = os.path.dirname(file)  # noqa: PTH120 - text is quicker
    return not (isinstance(path, list) and (folder in path or os.path.dirname(folder) in path))  # noqa: PTH120 - the same


def _loaded_below(folder: str) -> Iterator[str]:
    """Yield the sources of loaded modules in a folder, by path."""
    start = folder.rstrip(os.sep) + os.sep
    yield from sorted({one.file for one in own_modules().values() if one.file.startswith(start)})


# With these a process starts others, which load the program's modules from their files again.
_SPAWNING = frozenset({"multiprocessing.popen_spawn_posix", "multiprocessing.popen_forkserver"})


class Loading:
    """The own modules that a program loads during a run.

    Attributes:
        root: The top folder of the work tree.
        prefix: Prefix of the stored names; for a resumed run, that of the resumption.
        late: Modules loaded since the beginning.
        problem: Reason why the loaded code may differ from the files; empty if it does not.
    """

    def __init__(self, root: str | None, prefix: str = "") -> None:
        self.root = root
        self.prefix = prefix
        self.late: dict[str, LoadedModule] = {}
        self.problem = ""
        self._since_ns = time.time_ns()
        self._seen = dict(own_modules())
        self._is_told = 0

    @property
    def facts(self) -> Facts:
        """Number of modules outside the work tree."""
        start = f"{self.root}{os.sep}"
        outside = sum(not one.file.startswith(start) for one in self._seen.values())
        return Facts(values={"command.outside_modules": outside})

    def look(self) -> None:
        """Note modules that were loaded or reloaded since the last call."""
        attempt(self._look, self._note)  # anything may be among the modules

    def _note(self, error: Exception) -> None:
        self.problem = self.problem or named_error(error)

    def _look(self) -> None:
        fresh = {}
        for name, one in own_modules().items():
            spec = _attributes(sys.modules.get(name)).get("__spec__")
            seen = self._seen.get(name)
            if seen is None or seen.file != one.file or seen.spec is not spec:
                fresh[name] = LoadedModule(one.file, spec)
        if fresh:
            self._seen.update(fresh)
            self.late.update(fresh)
            self._note_changes(fresh)

    def look_last(self) -> bool:
        """Check a last time; return whether there is anything new."""
        self.look()
        if not _SPAWNING.isdisjoint(sys.modules):
            # A copy, because the heartbeat thread checks as well.
            self._note_changes(self._seen.copy())
        told, self._is_told = self._is_told, len(self.late) + bool(self.problem)
        return self._is_told != told

    def _note_changes(self, modules: Mapping[str, LoadedModule]) -> None:
        from runstore.capture.program.places import first_written_since

        since_ns = self._since_ns - CLOCK_LAG_NS
        files = [one.file for one in modules.values()]
        self.problem = self.problem or first_written_since(since_ns, self.root, files)

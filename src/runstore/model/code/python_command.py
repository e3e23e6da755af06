"""Command lines of Python: whether a program is Python, and what it runs."""

from __future__ import annotations

from collections.abc import Sequence

_PYTHONS = ("python", "pypy")
_VARIANTS = {"", "w", "t", "wt"}  # without a console, without the global lock
# What starts the workers of a pool: code, modules and scripts.
_OF_A_POOL = ("from multiprocessing.", "import sys; from multiprocessing.")
_MODULES_OF_POOLS = (
    "loky.backend.popen_loky_posix",
    "mpi4py.futures.server",
    "pyspark.daemon",
    "pyspark.worker",
    "distributed.cli.dask_worker",
    "distributed.cli.dask_spec",
)
_SCRIPTS_OF_POOLS = ("ray/_private/workers/default_worker.py",)


def is_python(name: str) -> bool:
    """Check by its name whether a program is Python.

    Every start of a run asks, and compiling a pattern would take longer than the rest of it.
    """
    word = name.rpartition("/")[2].lower().removesuffix(".exe")
    begin = next(filter(word.startswith, _PYTHONS), None)
    return begin is not None and word[len(begin) :].lstrip("0123456789.") in _VARIANTS


def python_target(words: Sequence[str]) -> tuple[str, str, list[str]]:
    """Return Python's target (code, module or script), and its arguments.

    Returns:
        `code`, `module` or `script`, its text (empty at a prompt), and its own arguments. Source:
        python(1) 3.12, command line and environment.
    """
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word == "-" or not word.startswith("-"):
            return "script", word.removeprefix("-"), list(words[place:])
        if word.startswith("--"):
            place += word == "--check-hash-based-pycs"
            continue
        letters = word[1:]
        at = next((n for n, one in enumerate(letters) if one in "cmWX"), None)
        if at is None:
            continue
        rest = letters[at + 1 :]
        if letters[at] in "cm":
            what = [rest] if rest else list(words[place : place + 1])
            follows = list(words[place + (not rest) :])
            return "code" if letters[at] == "c" else "module", "".join(what), follows
        place += not rest
    return "script", "", []


def is_pool_worker(command: Sequence[str]) -> bool:
    """Check whether a command starts a worker of a pool: it does not name the program."""
    if not command or not is_python(command[0]):
        return False
    kind, what, _ = python_target(command[1:])
    if kind == "code":
        return what.startswith(_OF_A_POOL)
    return what.endswith(_MODULES_OF_POOLS if kind == "module" else _SCRIPTS_OF_POOLS)


def code_argument(command: Sequence[str]) -> str:
    """Return `-c` and the code of a Python command; empty if it runs anything else.

    The code with which a pool starts its workers contains descriptors, not the program.
    """
    if not command or not is_python(command[0]) or is_pool_worker(command):
        return ""
    kind, what, _ = python_target(command[1:])
    return f"-c {what}" if kind == "code" else ""

"""Handlers of any exception: each says why it is one, and few swallow what they catch."""

import ast
from functools import cache
from pathlib import Path

import runstore
from source_trees import nodes_of

SOURCE = Path(runstore.__file__).parent
BROAD = {"Exception", "BaseException"}
# The outermost layers, one function that calls anybody's code, and two places that cannot use it:
# the inner loop of logging, and generators that hand exceptions on. All others name what they
# catch, or raise it again.
SWALLOWING = {
    "cli/main.py",
    "errors.py",
    "recording/points/channel.py",
    "recording/recorded_functions.py",
    "web/app.py",
    "web/live.py",
}


SUPPRESSING = {"suppress", "suppressed"}


def caught_by(handler):
    """Return what a handler catches, also as `genuine(…)`."""
    kinds = handler.type
    if isinstance(kinds, ast.Call):
        return kinds.args
    return kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]


@cache
def broad_handlers():
    """Return each handler of any exception: its file, line, and whether it raises again."""
    return tuple(_broad_handlers())


def _broad_handlers():
    for file in SOURCE.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        may_have_one = "Exception" in text or "except:" in text
        for node in nodes_of(file) if may_have_one else ():
            if isinstance(node, ast.ExceptHandler):
                caught = caught_by(node)
                raises = isinstance(node.body[-1], ast.Raise)
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in SUPPRESSING:
                caught, raises = node.args, False
            else:
                continue
            if any(one is None or getattr(one, "id", "") in BROAD for one in caught):
                yield file, node.lineno, raises


def test_each_broad_handler_says_why():
    for file, number, _ in broad_handlers():
        lines = file.read_text(encoding="utf-8").splitlines()

        assert "#" in "".join(lines[number - 2 : number]), f"{file}:{number}"


def test_only_where_anybodys_code_runs_is_any_exception_swallowed():
    swallowing = {
        file.relative_to(SOURCE).as_posix() for file, _, raises in broad_handlers() if not raises
    }

    assert swallowing == SWALLOWING


# What programs call; their signal handlers may raise a `TimeoutError` at any moment.
LIBRARY = {
    "analysis", "artifacts", "background", "capture", "config", "curifactory", "current", "errors",
    "exports", "inflight", "maintenance", "plotting", "repeats",
    "location", "model", "reading", "recording", "start", "storage", "store", "store_json",
    "user_warnings", "waiting",
}  # fmt: skip


def test_no_exception_of_a_signal_handler_is_taken_for_one_of_ours():
    """An `OSError` or any exception is caught as `genuine(…)`, or raised again."""
    taken = set()
    for file in SOURCE.rglob("*.py"):
        if file.relative_to(SOURCE).parts[0].removesuffix(".py") not in LIBRARY:
            continue
        for node in nodes_of(file):
            if isinstance(node, ast.ExceptHandler) and not isinstance(node.type, ast.Call):
                last = node.body[-1]
                raises_again = isinstance(last, ast.Raise) and last.exc is None
                caught = [] if raises_again else caught_by(node)
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "suppress":
                caught = node.args
            else:
                continue
            if any(getattr(one, "id", "") in {"OSError", "Exception"} for one in caught):
                taken.add(f"{file.relative_to(SOURCE)}:{node.lineno}")

    assert taken == set()

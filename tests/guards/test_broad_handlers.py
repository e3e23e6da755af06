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
                caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
                raises = isinstance(node.body[-1], ast.Raise)
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "suppress":
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

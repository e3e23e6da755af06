"""Each connection that a test opens is closed: `with` ends its transaction only.

Python 3.13 warns about the others when it collects them, which may be in any later test.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

_TESTS = Path(__file__).parent.parent


def _left_open(source: str) -> list[int]:
    """Return the lines of connections that are neither closed by name nor in `closing(...)`."""
    tree = ast.parse(source)
    around = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    closed = {
        (ast.unparse(node.value), _function(node, around))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "close"
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "sqlite3.connect"
        and not _is_closed(node, around, closed)
    ]


def _is_closed(
    opened: ast.Call,
    around: dict[ast.AST, ast.AST],
    closed: set[tuple[str, ast.AST | None]],
) -> bool:
    outer = around[opened]
    if isinstance(outer, ast.Call):
        return ast.unparse(outer.func).endswith("closing")
    if isinstance(outer, ast.Assign):
        name = ast.unparse(outer.targets[0])
        return (name, _function(opened, around)) in closed
    return False


def _function(node: ast.AST, around: dict[ast.AST, ast.AST]) -> ast.AST | None:
    found: ast.AST | None = node
    while found is not None and not isinstance(found, ast.FunctionDef):
        found = around.get(found)
    return found


def test_connections_of_tests_are_closed():
    sources = ((path, path.read_text("utf-8")) for path in sorted(_TESTS.rglob("*.py")))
    left = [
        f"{path.relative_to(_TESTS)}:{line}"
        for path, source in sources
        if "sqlite3.connect" in source
        for line in _left_open(source)
    ]
    assert left == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("with sqlite3.connect(path) as one:\n    one.execute(sql)", [1]),
        ("with closing(sqlite3.connect(path)) as one:\n    one.execute(sql)", []),
        ("one = sqlite3.connect(path)\none.execute(sql)", [1]),
        ("one = sqlite3.connect(path)\none.close()", []),
        ("def f():\n    one = sqlite3.connect(path)\ndef g():\n    one.close()", [2]),
    ],
)
def test_what_leaves_a_connection_open(source, lines):
    assert _left_open(source) == lines

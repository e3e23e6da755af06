"""Texts reach a terminal through `cli/output.py` alone, where they are made harmless."""

import ast
from pathlib import Path

import runstore
from source_trees import nodes_of

ROOT = Path(runstore.__file__).parent
# Where other texts are printed: bytes that a program asked for, and what it printed itself.
DOORS = {"cli/output.py", "cli/safe_console.py"}
RAW = {"click.echo", "click.secho", "print", "sys.stdout.write", "sys.stderr.write", "Console"}
LAST_NAMES = {name.rpartition(".")[2] for name in RAW}
# For programs, which are no commands; it makes its texts harmless itself.
OWN = {"user_warnings.py"}


def calls_in(path):
    for node in nodes_of(path):
        if isinstance(node, ast.Call):
            last = getattr(node.func, "attr", getattr(node.func, "id", None))
            yield node, ast.unparse(node.func) if last in LAST_NAMES else None


def test_nothing_prints_past_the_one_place():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {name}"
        for path in ROOT.rglob("*.py")
        if str(path.relative_to(ROOT)) not in DOORS | OWN and "project_template" not in str(path)
        for node, name in calls_in(path)
        if name in RAW
    ]

    assert found == []


def test_what_is_printed_elsewhere_is_made_harmless_there():
    for name in OWN:
        written = [node for node, call in calls_in(ROOT / name) if call == "sys.stderr.write"]
        assert written
        assert "visible(" in (ROOT / name).read_text()

"""The meaning and the imports of source code, from its text: nothing is executed."""

from __future__ import annotations

import ast
import hashlib
import json
import warnings
from collections.abc import Iterator

from runstore.analysis.explain.known_names import is_settings
from runstore.value_classes import dataclass

_LARGEST = 1 << 20  # characters that are parsed
_SAYING = frozenset({"print", "pprint", "log", "logger", "logging", "warnings", "_log", "_logger"})
_DYNAMIC = frozenset({"import_module", "__import__", "iter_modules", "walk_packages", "exec"})
_LONGEST_MENTION = 200


@dataclass(frozen=True, slots=True)
class ModuleImports:
    """The imports of a module.

    Attributes:
        modules: Dotted names, relative ones with their dots in front.
        mentions: Words in its texts, which may name files or modules.
        is_open: Whether it imports by names that its text does not show.
    """

    modules: frozenset[str]
    mentions: frozenset[str]
    is_open: bool


def meaning(path: str, text: str) -> str:
    """Return a digest that files share if only comments, layout or messages differ.

    Args:
        path: Its suffix is that of the language.
        text: The file's contents.
    """
    return hashlib.sha256(_essence(path, text).encode("utf-8", "surrogatepass")).hexdigest()


def _essence(path: str, text: str) -> str:
    name = path.lower()
    if name.endswith(".ipynb"):
        text = notebook_code(text)
    if name.endswith((".py", ".ipynb")):
        tree = _parsed(text)
        return text if tree is None else ast.dump(_Bare().visit(tree))
    if name.endswith(".json"):
        try:
            return json.dumps(json.loads(text), sort_keys=True)
        except (ValueError, RecursionError):
            return text
    if is_settings(path) or name.endswith(".sh"):
        lines = (line.rstrip() for line in text.splitlines())
        return "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))
    return text


def notebook_code(text: str) -> str:
    """Return the code of a notebook's cells; without its outputs. Source: nbformat 4."""
    try:
        cells = json.loads(text)["cells"]
        return "\n\n".join(
            "".join(one["source"]) for one in cells if one.get("cell_type") == "code"
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return text


def _parsed(text: str) -> ast.Module | None:
    """Return the tree of a Python text; None if this Python cannot read it."""
    if len(text) > _LARGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as invalid escapes, which are not ours
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class _Bare(ast.NodeTransformer):
    """Removes parts of a tree that change no result: docstrings, messages, annotations."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list):
                kept = [one for one in body if not _is_saying(one)]
                # In a class they are fields, which a dataclass depends on.
                is_class = isinstance(node, ast.ClassDef)
                setattr(node, field, kept if is_class else list(map(_unannotated, kept)))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        return node


def _unannotated(node: ast.stmt) -> ast.stmt:
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return ast.Assign(targets=[node.target], value=node.value)
    return node


def _is_saying(node: object) -> bool:
    """Return whether a statement is only a message: a lone text, `print`, `logger.info`."""
    if not isinstance(node, ast.Expr):
        return isinstance(node, ast.Pass)
    if isinstance(node.value, ast.Constant):
        return isinstance(node.value.value, str)
    if not isinstance(node.value, ast.Call):
        return False
    called = node.value.func
    while isinstance(called, ast.Attribute):
        called = called.value
    return isinstance(called, ast.Name) and called.id in _SAYING


def imports_of(text: str) -> ModuleImports | None:
    """Return the imports of a Python module; None if it cannot be read."""
    tree = _parsed(text)
    if tree is None:
        return None
    modules: set[str] = set()
    mentions: set[str] = set()
    is_open = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update(one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            modules.update(_from(node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if len(node.value) <= _LONGEST_MENTION:
                mentions.update(node.value.split())
        elif isinstance(node, ast.Call) and _is_dynamic(node):
            name = node.args[0] if node.args else None
            if isinstance(name, ast.Constant):
                modules.add(str(name.value))
            else:
                is_open = True
    return ModuleImports(frozenset(modules), frozenset(mentions), is_open)


def _from(node: ast.ImportFrom) -> Iterator[str]:
    base = "." * node.level + (node.module or "")
    yield base
    for one in node.names:
        yield f"{base}{'' if base.endswith('.') or not base else '.'}{one.name}"


def _is_dynamic(node: ast.Call) -> bool:
    """Return whether a call imports or executes the name in its first argument."""
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name in _DYNAMIC

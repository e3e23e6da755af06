"""The modules of runstore, read and parsed once for all guards."""

import ast
from functools import cache


@cache
def nodes_of(path):
    """Return all nodes of a module; the module itself comes first."""
    return tuple(ast.walk(ast.parse(path.read_bytes())))

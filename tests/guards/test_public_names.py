"""The public names are pinned: a change of this list is a change that users see."""

import ast
import inspect

import runstore

PUBLIC = [
    "ActiveRun",
    "AlreadyRanError",
    "ArtifactManager",
    "Event",
    "Experiment",
    "Histogram",
    "ManagerStore",
    "Page",
    "ParameterSet",
    "Run",
    "RunstoreError",
    "Status",
    "Store",
    "StoreWarning",
    "attach_run",
    "current_run",
    "parameter_set",
    "recorded",
    "start_run",
    "ui",
]


def test_the_list_is_pinned_and_sorted():
    assert runstore.__all__ == PUBLIC == sorted(PUBLIC)


def test_every_name_is_there_with_a_docstring():
    for name in PUBLIC:
        assert inspect.getdoc(getattr(runstore, name)), name


def test_type_checkers_see_the_type_of_every_name():
    """What `__getattr__` loads is `Any` to them, unless it is imported for them."""
    known = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(inspect.getsource(runstore)))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for one in node.body
        if isinstance(one, ast.ImportFrom)
        for alias in one.names
    }

    assert set(PUBLIC) <= known


def test_public_methods_have_docstrings():
    bare = [
        f"{name}.{member}"
        for name in PUBLIC
        if inspect.isclass(getattr(runstore, name))
        for member, value in vars(getattr(runstore, name)).items()
        if not member.startswith("_") and inspect.isfunction(value) and not inspect.getdoc(value)
    ]

    assert bare == []


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(runstore, "no_such_name")

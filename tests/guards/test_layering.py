"""Imports point down, lazy ones too; rooms that are strangers stay strangers."""

import ast
from pathlib import Path

import runstore

SOURCE = Path(runstore.__file__).parent

# What each room may import, besides itself and the standard library.
DOOR = {"model", "errors", "user_warnings", "storage", "capture", "door"}
ALLOWED = {
    "errors": set(),
    "user_warnings": {"errors"},
    "model": {"errors", "user_warnings"},
    "storage": {"model", "errors", "user_warnings"},
    "capture": {"model", "errors", "user_warnings"},
    "door": DOOR,
    "runner": DOOR,
    "cli": DOOR | {"runner"},
    "root": DOOR | {"cli"},
}
# What is not of the standard library, and where it may be imported.
# typing_extensions is for type checkers, which bring it along.
THIRD_PARTY = {
    "click": {"cli"},
    "rich": {"cli"},
    "tomli": {"door"},
    "typing_extensions": {"door"},
    "numpy": {"door", "model"},  # arrays of metrics, where it is installed anyway
    # The filter language, when a filter is read.
    "lark": {"model"},
    "packaging": {"model"},
    "scipy": {"door"},
    "regex": {"model"},
    # Parts of `hashlib`, under the names of one Python or another.
    "_sha2": {"model"},
    "_sha256": {"model"},
    # Saving what a program made with them: it has imported them itself.
    "PIL": {"door"},
    "joblib": {"door"},
    "pyarrow": {"door"},
    "torch": {"door"},
    "yaml": {"door"},
    "pandas": {"door"},
    "polars": {"door"},
    "plotext": {"cli"},
    "textual": {"cli"},
    "plotly": {"cli"},
    "matplotlib": {"cli"},
}


def room_of(module):
    """Return the room of a module: a folder, `errors`, `user_warnings`, `root`, or the door."""
    parts = module.split(".")
    if len(parts) == 1 or parts[1] == "__main__":
        return "root"
    if parts[1] in {"model", "storage", "capture", "runner", "cli", "errors", "user_warnings"}:
        return parts[1]
    return "door"


def name_of(file):
    parts = ("runstore", *file.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(file):
    """Yield every module that a file imports, at the top or inside a function."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                is_module = SOURCE.joinpath(*whole.split(".")[1:]).with_suffix(".py").exists()
                is_room = SOURCE.joinpath(*whole.split(".")[1:], "__init__.py").exists()
                yield (whole if is_module or is_room else node.module), node.lineno


def sources():
    files = [one for one in SOURCE.rglob("*.py") if "project_template" not in one.parts]
    assert len(files) > 40
    return files


def test_imports_point_down():
    wrong = []
    for file in sources():
        room = room_of(name_of(file))
        for imported, line in imports_of(file):
            if imported.split(".")[0] != "runstore":
                continue
            target = room_of(imported)
            # The root package is only a list of names; __version__ is the one thing it holds.
            if target not in {room, "root"} and target not in ALLOWED[room]:
                wrong.append(f"{file.relative_to(SOURCE)}:{line}: {room} imports {imported}")

    assert wrong == []


def test_other_packages_stay_where_they_belong():
    import sys

    wrong = []
    for file in sources():
        room = room_of(name_of(file))
        for imported, line in imports_of(file):
            top = imported.split(".")[0]
            if top == "runstore" or top in sys.stdlib_module_names or top == "tomllib":
                continue
            if room not in THIRD_PARTY.get(top, set()):
                wrong.append(f"{file.relative_to(SOURCE)}:{line}: {room} imports {imported}")

    assert wrong == []


def test_only_storage_speaks_sql():
    words = ("SELECT ", "INSERT INTO", "UPDATE runs", "DELETE FROM")
    wrong = [
        f"{file.relative_to(SOURCE)}: {word.strip()}"
        for file in sources()
        if room_of(name_of(file)) != "storage"
        for word in words
        if word in file.read_text(encoding="utf-8")
    ]

    assert wrong == []


def test_only_storage_imports_sqlite3():
    wrong = [
        str(file.relative_to(SOURCE))
        for file in sources()
        for imported, _ in imports_of(file)
        if imported.split(".")[0] == "sqlite3" and room_of(name_of(file)) != "storage"
    ]

    assert wrong == []


def test_the_model_leaves_the_world_alone():
    """No clock, disk, network or environment in what a run is; new_uid draws from the system."""
    forbidden = {"subprocess", "socket", "pathlib", "shutil", "tempfile", "sqlite3", "threading"}
    wrong = [
        f"{file.relative_to(SOURCE)}:{line}: {imported}"
        for file in sources()
        if room_of(name_of(file)) == "model"
        for imported, line in imports_of(file)
        if imported.split(".")[0] in forbidden
    ]

    # Paths are values that parameter sets hold.
    assert [one for one in wrong if "pathlib" not in one] == []

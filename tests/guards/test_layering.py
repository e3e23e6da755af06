"""Imports point down, lazy ones too; rooms that are strangers stay strangers."""

import ast
import runpy
from functools import cache
from pathlib import Path

import runstore
from source_trees import nodes_of

SOURCE = Path(runstore.__file__).parent

# From top to bottom: imports go down only, lazy ones and those for types too. Rooms on one floor
# are strangers to each other.
FLOORS = (
    {"root"},
    {"cli", "compat"},
    {"web"},
    {"runner"},
    {"curifactory", "lasting", "start", "testing"},
    {"store"},
    {"waiting"},
    {"recording", "maintenance", "exports"},
    {"analysis"},
    {"reading"},
    {"artifacts", "repeats"},
    {"inflight", "store_json"},
    {"location"},
    {"config"},
    {"storage", "capture"},
    {"current"},
    {"model"},
    {"plotting"},
    {"background", "extras", "started_in", "user_warnings"},
    {"errors"},
    {"value_classes"},
)
# Rooms to come.
PLANNED = {"compat"}
FLOOR_OF = {room: place for place, floor in enumerate(FLOORS) for room in floor}
# A room that a reader can take in at a glance.
MODULES_AT_MOST = 15
# One module for each command and each schema, by its name.
LISTS = {("cli", "commands"), ("storage", "migrations")}
# What is not of the standard library, and where it may be imported.
# typing_extensions is for type checkers, which bring it along.
THIRD_PARTY = {
    "click": {"cli"},
    "rich": {"cli"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "psycopg": {"storage"},  # a store on a server
    "tomli": {"config"},
    "typing_extensions": {"curifactory"},
    "numpy": {"artifacts", "model", "reading"},  # arrays, where it is installed anyway
    "packaging": {"analysis", "model"},
    "regex": {"model"},
    # Parts of `hashlib`, under the names of one Python or another.
    "_sha2": {"model"},
    "_sha256": {"model"},
    # Saving what a program made with them: it has imported them itself.
    "PIL": {"artifacts"},
    "joblib": {"artifacts"},
    "pyarrow": {"artifacts", "exports", "reading"},
    "torch": {"artifacts"},
    "yaml": {"artifacts"},
    "pandas": {"analysis", "model", "reading", "repeats"},
    "polars": {"reading"},
    "psutil": {"cli"},  # on systems without /proc, where it is installed anyway
    "textual": {"cli"},
    "plotly": {"cli"},
    "matplotlib": {"cli"},
}


def room_of(module):
    """Return the room of a module: the first part of its name, or `root`."""
    parts = module.split(".")
    return "root" if len(parts) == 1 or parts[1] == "__main__" else parts[1]


def name_of(file):
    parts = ("runstore", *file.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports_of(file):
    """Return every module that a file imports, at the top or inside a function."""
    return tuple(_imports_of(file))


def _imports_of(file):
    for node in nodes_of(file):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield (whole if whole in modules() else node.module), node.lineno


@cache
def sources():
    files = [one for one in SOURCE.rglob("*.py") if "project_template" not in one.parts]
    assert len(files) > 40
    return files


@cache
def modules():
    return {name_of(file) for file in sources()}


def edges():
    """Yield each import of one of our modules by another: importing, imported."""
    for file in sources():
        name = name_of(file)
        for imported, _ in imports_of(file):
            # The root package is only a list of names; __version__ is the one thing it holds.
            if imported.split(".")[0] == "runstore" and imported not in {"runstore", name}:
                yield name, imported


def test_every_room_has_a_floor():
    rooms = {room_of(name_of(file)) for file in sources()}

    assert rooms - FLOOR_OF.keys() == set()


def test_imports_point_down():
    upward = {
        f"{name} -> {imported}"
        for name, imported in edges()
        if (here := room_of(name)) != (there := room_of(imported))
        and FLOOR_OF[there] <= FLOOR_OF[here]
    }

    assert sorted(upward) == []


def circles():
    """Return the files that import each other, each group as a set (Tarjan 1972)."""
    graph = {}
    for name, imported in edges():
        graph.setdefault(name, set()).add(imported)
        graph.setdefault(imported, set())
    order, low, stack, found = {}, {}, [], []

    def visit(name):
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in graph[name]:
            if other not in order:
                visit(other)
            if other in stack:
                low[name] = min(low[name], low[other])
        if low[name] == order[name]:
            group = set()
            while not group or name not in group:
                group.add(stack.pop())
            found.append(group)

    for name in graph:
        if name not in order:
            visit(name)
    return [group for group in found if len(group) > 1]


def test_no_files_import_each_other():
    """Neither directly nor around others, counting lazy imports and those for types."""
    assert [sorted(group) for group in circles()] == []


def test_no_room_is_too_large_for_a_glance():
    sizes = {}
    for file in sources():
        if file.name != "__init__.py" and file.parent.parts[-2:] not in LISTS:
            sizes[file.parent] = sizes.get(file.parent, 0) + 1

    assert {folder.name for folder, size in sizes.items() if size > MODULES_AT_MOST} == set()


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


def test_the_picture_shows_these_floors():
    pictures = Path(__file__).parents[2] / "docs" / "pictures"
    drawn = runpy.run_path(str(pictures / "draw_rooms.py"))["picture"]()

    assert drawn == (pictures / "rooms.svg").read_text(encoding="utf-8")


def test_no_two_classes_have_one_name():
    """One name, one thing: who reads of a `Change` need not ask which."""
    places = {}
    for file in SOURCE.rglob("*.py"):
        for node in nodes_of(file)[0].body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(name_of(file))

    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_generator_keeps_a_connection():
    """One that is left unfinished would give it back late, and perhaps in another thread."""
    kept = [
        f"{path.relative_to(SOURCE)}: {function.name}"
        for path in SOURCE.rglob("*.py")
        if "driver." in path.read_text(encoding="utf-8")
        for function in nodes_of(path)
        if isinstance(function, ast.FunctionDef)
        if not any("contextmanager" in ast.unparse(one) for one in function.decorator_list)
        for block in ast.walk(function)
        if isinstance(block, ast.With)
        if any(
            ast.unparse(item.context_expr).endswith(("driver.read()", "driver.write()"))
            for item in block.items
        )
        if any(isinstance(inner, (ast.Yield, ast.YieldFrom)) for inner in ast.walk(block))
    ]

    assert kept == []

"""Break the modules that can lose data or lie, one place at a time, and see which test notices.

Run by hand, never by the suite: see README.md beside it.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import cosmic_ray.plugins
import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

sys.path.insert(0, str(Path(__file__).parent))

from operators import Provider

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_HERE = Path(__file__).parent
_ROOT = _HERE.parent
_PACKAGE = Path("src/runstore")
_COPIED = ("src", "tests", "pyproject.toml")
_PYTEST = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
# What a mutant may take beyond the tests as they are: a machine may be busy meanwhile.
_TIMES, _MORE_S = 4, 20
_MEMORY = "/dev/shm"  # files cost less there
# Loaded before the process of a mutant is made, which would do it again.
_LOADED_ONCE = ("_hypothesis_pytestplugin", "hypothesis.extra", "pytest_timeout", "sqlite3")
# What these ask has another answer on other systems, or for type checkers.
_FOR_OTHERS = ("TYPE_CHECKING", "sys.platform", "sys.byteorder", "hasattr(os")
# Another number here is a signal to any process of this machine; imports for type checkers.
_NEVER = re.compile(r"os\.kill(pg)?\(|TYPE_CHECKING = ")


_Point = tuple[int, int]  # line and column
_Span = tuple[_Point, _Point]


class Change(NamedTuple):
    """What can be done to a place: by which operator, the how many-th that it finds, and where."""

    operator: str
    occurrence: int
    line: int


class Mutant(NamedTuple):
    """A change, and the module with it."""

    change: Change
    code: str


def places_of(source: str) -> list[list[Change]]:
    """Return, for each place of a module, the changes of one kind that there are for it."""
    tree, left_alone, signatures = get_ast(source), _places_to_leave(source), _signatures(source)
    places: dict[tuple[str, tuple[int, int]], list[Change]] = {}
    for name in cosmic_ray.plugins.operator_names():
        operator_class = cosmic_ray.plugins.get_operator(name)
        if operator_class.arguments():  # it wants to know what to do
            continue
        operator, kind = operator_class(), name.partition("_")[0]
        found = (place for node in ast_nodes(tree) for place in operator.mutation_positions(node))
        for occurrence, (begin, _) in enumerate(found):
            is_star = kind == "core/ReplaceBinaryOperator" and _is_within(begin, signatures)
            if not is_star and not _is_within(begin, left_alone):
                places.setdefault((kind, begin), []).append(Change(name, occurrence, begin[0]))
    return list(places.values())


def _is_within(place: _Point, spans: Iterable[_Span]) -> bool:
    return any(first <= place < last for first, last in spans)


def _signatures(source: str) -> list[_Span]:
    """Return where functions say what they take: a star there is no multiplication."""
    return [
        ((node.lineno, node.col_offset), (node.body[0].lineno, node.body[0].col_offset))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]


def _places_to_leave(source: str) -> list[_Span]:
    """Return the places to leave alone: annotations, code for other systems, and signals."""
    found: list[ast.AST | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.AnnAssign, ast.arg)):
            found.append(node.annotation)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.append(node.returns)
        elif isinstance(node, ast.If) and _is_for_others(node.test):
            found += [node.test, *node.body]
        elif isinstance(node, (ast.Assign, ast.Call)) and _NEVER.match(ast.unparse(node)):
            found.append(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "cast":
            found.append(node.args[0])
    return [
        ((one.lineno, one.col_offset), (one.end_lineno, one.end_col_offset))
        for one in found
        if one is not None
    ]


def _is_for_others(test: ast.expr) -> bool:
    return ast.unparse(test).startswith(_FOR_OTHERS)


def sample(source: str, at_most: int, chance: random.Random) -> list[Mutant]:
    """Return mutants of a module: one for each kind of change at each place, so many at random."""
    # cosmic-ray has eleven other operators for each `+`: one of them says as much as all.
    chosen = [chance.choice(changes) for changes in places_of(source)]
    chance.shuffle(chosen)
    made: list[Mutant] = []
    for change in chosen:
        if len(made) == at_most:
            break
        operator = cosmic_ray.plugins.get_operator(change.operator)()
        code = None
        with suppress(AttributeError):  # of an exception with a dotted name
            code = mutate_code(source, operator, change.occurrence)
        if code is not None and _compiles(code):
            made.append(Mutant(change, code))
    return sorted(made, key=lambda one: one.change.line)


def _compiles(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


class Place:
    """A copy of the repository, in which one mutant at a time is tried."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in _COPIED:
            source, target = _ROOT / name, folder / name
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True)
            else:
                shutil.copy2(source, target)
        self._count = 0
        # Killed tests leave their folders, and a mutant may write files for ever.
        self._temporary = folder / "t"
        self._free_bytes = shutil.disk_usage(folder).free

    def passes(self, tests: Sequence[str], timeout_s: float) -> bool | None:
        """Return whether the tests pass; None if they take too long, or half of the disk."""
        self._temporary.mkdir(exist_ok=True)
        self._temporary.chmod(0o755)  # some tests run programs as other users
        try:
            return self._passes(tests, timeout_s)
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _passes(self, tests: Sequence[str], timeout_s: float) -> bool | None:
        child = os.fork()
        if child == 0:
            _test(self.folder, self._temporary, tests)
        deadline = time.monotonic() + timeout_s
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            is_full = shutil.disk_usage(self.folder).free < self._free_bytes / 2
            is_late = time.monotonic() > deadline or is_full
            if done or is_late:
                with suppress(ProcessLookupError):  # and what the tests have started
                    os.killpg(child, signal.SIGKILL)
            if done:
                return os.waitstatus_to_exitcode(status) == 0
            if is_late:
                os.waitpid(child, 0)
                return None
            time.sleep(0.02)

    def survives(self, module: Path, mutant: Mutant, tests: Sequence[str], limit: float) -> bool:
        """Return whether no test notices a mutant."""
        path = self.folder / module
        original, times = path.read_bytes(), path.stat()
        try:
            path.write_text(mutant.code, encoding="utf-8")
            self._count += 1  # another time than any compiled file knows
            os.utime(path, (times.st_atime, times.st_mtime + 10 * self._count))
            return self.passes(tests, limit) is True
        finally:
            path.write_bytes(original)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _test(folder: Path, temporary: Path, tests: Sequence[str]) -> None:
    """Run tests in a process of their own, which has loaded pytest already; never returns."""
    os.setpgid(0, 0)
    os.chdir(folder)
    places = [str(folder / "src"), str(folder)]
    sys.path[:0] = places
    os.environ["PYTHONPATH"] = os.pathsep.join(places)
    os.environ["TMPDIR"] = str(temporary)
    # Its own, because every other session changes the rights of a shared one.
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(temporary)
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    status = 70
    try:
        status = int(pytest.main([*_PYTEST, *tests]))
    except BaseException:  # noqa: BLE001 - told in the log, which is all there is of it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Try the modules that were named, or all."""
    options = _options()
    cosmic_ray.plugins.OPERATOR_PROVIDERS["runstore"] = Provider()
    table = tomllib.loads((_HERE / "modules.toml").read_text(encoding="utf-8"))
    modules = {
        name: tests
        for name, tests in table["modules"].items()
        if not options.modules or any(part in name for part in options.modules)
    }
    for plugin in _LOADED_ONCE:
        __import__(plugin)
    print(f"seed {options.seed}, at most {options.most} mutants of each module")
    fast = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="mutants-", dir=fast) as folder:
        Path(folder).chmod(0o755)  # some tests run programs as other users
        place = Place(Path(folder))
        for name, tests in modules.items():
            try_module(place, _PACKAGE / name, options.tests or tests, options)


def try_module(place: Place, module: Path, tests: Sequence[str], options: Any) -> None:
    """Try mutants of one module, and print those that survive."""
    begin = time.monotonic()
    if place.passes(tests, 600) is not True:
        print(f"{module}: its tests fail as they are; see {place.folder / 'log.txt'}")
        print((place.folder / "log.txt").read_text()[-2000:])
        return
    place.passes(tests, 600)
    limit = _TIMES * (time.monotonic() - begin) / 2 + _MORE_S
    source = (place.folder / module).read_text(encoding="utf-8")
    mutants = sample(source, options.most, random.Random(f"{options.seed} {module}"))
    if options.lines:
        mutants = [one for one in mutants if one.change.line in options.lines]
    survivors = []
    for mutant in mutants:
        if place.survives(module, mutant, tests, limit):
            survivors.append(mutant)
            print(
                f"  survives: {module}:{mutant.change.line} {mutant.change.operator}", flush=True
            )
            print(_change(source, mutant), flush=True)
    killed = len(mutants) - len(survivors)
    took = time.monotonic() - begin
    print(
        f"{module.relative_to(_PACKAGE)}: {killed} of {len(mutants)} killed in {took:.0f} s",
        flush=True,
    )


def _change(source: str, mutant: Mutant) -> str:
    old, new = source.splitlines(), mutant.code.splitlines()
    pairs = [(a, b) for a, b in zip(old, new, strict=False) if a != b]
    shown = pairs[:1] if len(old) == len(new) else pairs[:2]
    return "\n".join(f"    - {a.strip()}\n    + {b.strip()}" for a, b in shown)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", help="Parts of module paths (default: all)")
    parser.add_argument(
        "--most", type=int, default=60, help="Mutants of each module (default: 60)"
    )
    parser.add_argument("--seed", type=int, default=1, help="Seed of the sample (default: 1)")
    parser.add_argument("--tests", nargs="*", help="Tests to run instead of those in modules.toml")
    parser.add_argument("--lines", type=int, nargs="*", help="Only mutants of these lines")
    return parser.parse_args()


if __name__ == "__main__":
    main()

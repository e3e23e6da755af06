"""Which loaded modules are the program's, and which modules its code imports."""

import importlib.util
import os
import sys
import types

import pytest

from runstore.capture.program import files as program
from runstore.capture.program.files import is_own, own_modules
from runstore.capture.program.imports import file_of, imports_beyond
from runstore.capture.program.modules import Marks, file_or_archive
from runstore.capture.surroundings import late_facts


@pytest.mark.parametrize(
    ("place", "is_ours"),
    [
        ("/home/ada/project/train.py", True),
        (f"{sys.prefix}/train.py", True),
        (f"{sys.prefix}/src/train.py", True),
        (f"{sys.prefix}/bin/train", False),
        (f"{sys.prefix}/lib/python3.12/json.py", False),
        ("/home/ada/.venv/lib/python3.12/site-packages/numpy/core.py", False),
        ("/usr/lib/python3/dist-packages/yaml.py", False),
        (os.__file__, False),
        (program.__file__, False),
    ],
)
def test_files_of_environments_are_not_the_program_s(place, is_ours):
    assert is_own(place) is is_ours


def module(name, file, **more):
    found = types.ModuleType(name)
    found.__dict__.update(__file__=file, **more)
    return found


def names(monkeypatch, *modules):
    monkeypatch.setattr(sys, "modules", {**sys.modules, **{one.__name__: one for one in modules}})
    return set(own_modules()) & {one.__name__ for one in modules}


def test_what_an_installed_package_writes_below_its_name_is_not_the_program_s(monkeypatch):
    folder = "/home/ada/.venv/lib/python3.12/site-packages/compiler"
    package = module("compiler", f"{folder}/__init__.py", __path__=[folder, "/home/ada/plugins"])
    written = module("compiler.k0", "/tmp/compiled/k0.py")
    plugin = module("compiler.mine", "/home/ada/plugins/mine.py")

    assert names(monkeypatch, package, written, plugin) == {"compiler.mine"}


def test_looking_at_modules_runs_none_of_their_code(monkeypatch):
    class Lazy(types.ModuleType):
        def __getattribute__(self, name):
            raise AssertionError(name)

    lazy = Lazy("lazy")
    object.__getattribute__(lazy, "__dict__")["__file__"] = "/home/ada/lazy.py"
    monkeypatch.setattr(sys, "modules", {**sys.modules, "lazy": lazy, "odd": object()})

    assert own_modules()["lazy"].file == "/home/ada/lazy.py"


def test_modules_are_noticed_when_the_last_one_is_replaced(monkeypatch):
    monkeypatch.setattr(sys, "modules", {**sys.modules, "zz": module("zz", "/home/ada/zz.py")})
    assert "zz" in own_modules()

    del sys.modules["zz"]
    sys.modules["yy"] = module("yy", "/home/ada/yy.py")

    assert {"zz", "yy"} & set(own_modules()) == {"yy"}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package on the path, with a module for each way to import one."""
    folder = tmp_path / "parts" / "inner"
    folder.mkdir(parents=True)
    for name in ("a", "b", "c", "d", "e", "f"):
        (folder / f"{name}.py").write_text("")
    (tmp_path / "parts" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import parts.inner.a, parts.inner.b as other", {"a", "b"}),
        ("    from parts.inner import (a,\n  b as x,  # why (not)\n  c)", {"a", "b", "c"}),
        ("if x: pass\nfrom parts.inner.d import name", {"d"}),
        ("import importlib; importlib.import_module('parts.inner.e')", {"e"}),
        ('__import__( "parts.inner.f" )', {"f"}),
        ("try: import parts.inner.a\nexcept E: x(); import parts.inner.b", {"a", "b"}),
        ("import parts.inner.a, \\\n  parts.inner.b", {"a", "b"}),
        ("# import parts.inner.a\nx = 'import parts.inner.b'", set()),
        ("import parts.inner.missing, json, sys", set()),
    ],
)  # fmt: skip
def test_imports_are_found_without_importing(package, text, found):
    script = package / "script.txt"
    script.write_text(text)

    files = imports_beyond({}, [str(script)], is_own).files

    assert {one.rpartition(".")[2] for one in files if one.startswith("parts.inner.")} == found
    assert "parts" not in sys.modules


def test_relative_imports_are_followed(package):
    (package / "a.py").write_text("from . import b\nfrom .c import x\nfrom ..inner.d import y\n")

    files = imports_beyond({}, [], is_own, code="import parts.inner.a").files

    assert set(files) == {"parts", *(f"parts.inner.{name}" for name in "abcd")}


def test_a_program_that_looks_elsewhere_is_seen(package):
    moves = imports_beyond({}, [], is_own, code="import sys\nsys.path.append(x)\nimport elsewhere")
    computes = imports_beyond({}, [], is_own, code="import_module(f'parts.{name}')")

    assert moves.moves
    assert moves.missing == ["elsewhere"]
    assert computes.names_later
    assert not imports_beyond({}, [], is_own, code="import_module('parts')").names_later


@pytest.mark.parametrize("name", ["json.decoder", "xml.etree.ElementTree", "pytest"])
def test_files_are_found_as_imports_find_them(name):
    assert file_of(name) == importlib.util.find_spec(name).origin


def test_what_is_in_an_archive_counts_by_the_archive(tmp_path):
    archive = tmp_path / "all.zip"
    archive.write_bytes(b"zip")

    assert file_or_archive(str(archive / "pkg" / "mod.py")) == str(archive)
    assert file_or_archive(str(tmp_path / "gone" / "mod.py")) is None
    assert Marks().of(str(archive / "mod.py")) == Marks().of(str(archive))


def test_odd_modules_leave_a_run_in_doubt_and_raise_nothing(monkeypatch):
    loading = program.Loading("/home/ada")
    odd = module("odd", "/home/ada/\ud800\0.py")
    monkeypatch.setattr(sys, "modules", {**sys.modules, "odd": odd})

    assert loading.look_last()
    assert "modules.late" in late_facts(loading).unknown

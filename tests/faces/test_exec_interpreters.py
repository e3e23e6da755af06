"""Whose Python and packages a run of `runstore exec` records: those of the command."""

import json
import os
import sys
import venv

import pytest

from commands import git, runstore, runstore_here
from runstore.capture.machine.packages import distributions
from runstore.capture.program.files import OWN_FOLDER

pytestmark = pytest.mark.usefixtures("interpreters")


@pytest.fixture
def other(tmp_path):
    """Make an environment with one package of its own."""
    venv.create(tmp_path / "env", with_pip=False)
    site = next((tmp_path / "env").glob("lib/python*/site-packages"))
    about = site / "only_there-9.9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: only_there\nVersion: 9.9\n")
    (tmp_path / "p.py").write_text("print(1)\n")
    return tmp_path


def recorded(folder, *command):
    ended = runstore("exec", "--", *command, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    run = json.loads(runstore_here("show", "latest", "--json", cwd=folder).stdout)
    packages = runstore_here("show", "latest", "--packages", cwd=folder).stdout
    return run["facts"], run["unknown_facts"], packages.splitlines()


def test_the_packages_of_another_interpreter_are_its_own(other):
    facts, _, packages = recorded(other, "nice", "env/bin/python", "p.py")

    assert facts["python.prefix"] == str(other / "env")
    assert packages == ["only_there==9.9"]
    assert facts["python.package_count"] == 1


def test_an_interpreter_without_runstore_lists_the_imports_of_a_program(other):
    """So that an identical run is recognized; a file of the program may be called `types.py`."""
    (other / "types.py").write_text("raise SystemExit(1)\n")
    git(other, "init", "-q")
    git(other, "add", "p.py", "types.py")
    git(other, "commit", "-qm", "one")
    (other / ".gitignore").write_text("*\n")

    first, second = (
        runstore("exec", "--if-done", "skip", "--", "env/bin/python", "p.py", cwd=other)
        for _ in range(2)
    )

    assert "recorded as p_1_" in first.stderr
    assert "skipped: p_1_" in second.stderr


COMPILES = """
import sys
def heard(event, about):
    if event == "compile" and isinstance(about[1], str):
        with open({log!r}, "a") as log:
            print(about[1], file=log)
if "imports_of_command" in sys.orig_argv:
    sys.addaudithook(heard)
    compile("1", "heard", "eval")
"""


def test_an_interpreter_of_the_same_version_compiles_nothing_of_runstore(other, monkeypatch):
    """That took half of the time that it needs to list the imports of a program."""
    (other / "sitecustomize.py").write_text(COMPILES.format(log=str(other / "log")))
    monkeypatch.setenv("PYTHONPATH", str(other))
    git(other, "init", "-q")
    git(other, "add", "p.py")
    git(other, "commit", "-qm", "one")

    ended = runstore("exec", "--", sys.executable, "p.py", cwd=other)

    assert ended.returncode == 0, ended.stderr
    compiled = (other / "log").read_text().splitlines()
    assert compiled[0] == "heard"
    assert [one for one in compiled if one.startswith(OWN_FOLDER)] == []


def test_an_old_interpreter_has_packages_as_well(other):
    """Programs of Python 3.7 to 3.9 are recorded, too; this stands for one of those."""
    older = other / "env" / "bin" / "python3.7"
    older.write_text(f"""#!{other}/env/bin/python
import ast, itertools, runpy, sys
del itertools.pairwise, sys.argv[0]
if sys.argv[0] != "-c":
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.exit()
code = sys.argv.pop(1)
for place in (code, *(open(one).read() for one in sys.argv if one.endswith(".py"))):
    ast.parse(place, feature_version=(3, 7))
exec(code)
""")
    older.chmod(0o755)

    _, unknown, packages = recorded(other, "env/bin/python3.7", "p.py")

    assert "python" not in unknown
    assert packages == ["only_there==9.9"]


def test_a_tool_of_another_environment_is_of_its_interpreter(other):
    tool = other / "env" / "bin" / "tool"
    tool.write_text(f"#!{other}/env/bin/python\nprint(1)\n")
    tool.chmod(0o755)

    facts, _, packages = recorded(other, "env/bin/tool")

    assert facts["python.prefix"] == str(other / "env")
    assert packages == ["only_there==9.9"]


def test_the_own_interpreter_has_the_own_packages(other):
    facts, _, packages = recorded(other, sys.executable, "p.py")

    assert facts["python.prefix"] == sys.prefix
    assert any(one.startswith("click==") for one in packages)


def test_a_program_that_is_no_python_has_no_packages(other):
    facts, unknown, packages = recorded(other, "echo", "1")

    assert not [name for name in facts if name.startswith("python.")]
    assert unknown["python"] == "echo is not Python"
    assert packages == []


def test_a_shell_has_the_python_that_it_would_start(other, monkeypatch):
    monkeypatch.setenv("PATH", str(other / "env" / "bin"), prepend=os.pathsep)

    facts, _, packages = recorded(other, "sh", "-c", "echo 1; python p.py")

    assert facts["python.prefix"] == str(other / "env")
    assert "only_there==9.9" in packages


def test_an_interpreter_that_cannot_tell_is_a_reason(other):
    broken = other / "python9"
    broken.write_text('#!/bin/sh\ntest "$1" != -c\n')
    broken.chmod(0o755)

    facts, unknown, _ = recorded(other, "./python9", "p.py")

    assert unknown["python"].endswith("python9 failed: exit 1")
    assert "python.version" not in facts


def test_an_environment_that_a_launcher_chooses_is_not_made_up(other, monkeypatch):
    (other / "bin").mkdir()
    tool = other / "bin" / "conda"
    tool.write_text('#!/bin/sh\nshift 3\nexec "$@"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(other / "bin"), prepend=os.pathsep)

    _, unknown, packages = recorded(other, "conda", "run", "-n", "x", sys.executable, "p.py")

    assert unknown["python"] == "conda chooses the environment of the command"
    assert packages == []


def test_one_broken_distribution_costs_no_other(tmp_path, monkeypatch):
    for name, text in (
        ("good", "Metadata-Version: 2.1\nName: good\nVersion: 1\n"),
        ("versionless", "Metadata-Version: 2.1\nName: versionless\n"),
        ("bytes", b"Name: \xff\xfe\nVersion: 1\n"),
    ):
        about = tmp_path / f"{name}-1.dist-info"
        about.mkdir()
        body = text if isinstance(text, bytes) else text.encode()
        (about / "METADATA").write_bytes(body)
    (tmp_path / "folder-1.dist-info" / "METADATA").mkdir(parents=True)
    (tmp_path / "loop-1.dist-info").symlink_to("loop-1.dist-info")
    (tmp_path / "zipped.egg").write_bytes(b"PK\x03\x04 no zip")
    places = [str(tmp_path), str(tmp_path / "zipped.egg"), "/nonexistent", *sys.path]
    monkeypatch.setattr(sys, "path", places)

    found, broken = distributions()

    assert "good==1" in found
    assert any(one.startswith("pytest==") for one in found)
    assert any(one.startswith("versionless-1.dist-info (") for one in broken)

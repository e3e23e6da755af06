"""The machine, its user and its Python: as Python's modules have them, without loading these."""

import getpass
import platform
import subprocess
import sys

import pytest

from runstore.capture.machine.host import host_details
from runstore.capture.machine.packages import python_values
from runstore.capture.program.command import command_facts, command_line


def test_the_platform_is_that_of_python():
    values = host_details().values

    assert values["host.platform"] == platform.platform()
    assert values["host.machine"] == platform.machine()


@pytest.mark.skipif(sys.platform != "linux", reason="the processor has another source")
def test_a_processor_with_a_name_of_its_own_belongs_to_the_platform(tmp_path, monkeypatch):
    """As on Gentoo."""
    tool = tmp_path / "uname"
    tool.write_text("#!/bin/sh\necho 'Odd(R) CPU: 3'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    code = (
        "import platform\n"
        "from runstore.capture.machine.host import host_details\n"
        "print(host_details().values['host.platform'], platform.platform())"
    )
    # A program of its own: the server of commands knows the platform already.
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout

    ours, theirs = printed.split()
    assert ours == theirs
    assert "Odd-R-_CPU-_3" in ours


@pytest.mark.parametrize("name", ["LOGNAME", "USER", "LNAME", "USERNAME", None])
def test_the_user_is_that_of_python(monkeypatch, name):
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "")
    if name is not None:
        monkeypatch.setenv(name, "ada")

    user = command_facts().values["command.user"]

    assert user == getpass.getuser()
    assert (user == "ada") == (name is not None)


def test_the_version_of_python_is_that_of_platform():
    values = python_values()

    assert values["python.version"] == platform.python_version()
    assert values["python.implementation"] == platform.python_implementation()


WORKER = "from multiprocessing.spawn import spawn_main; spawn_main()"
LINES = {
    "python fit.py --lr 1": (["/opt/bin/python", "fit.py", "--lr", "1"], ["fit.py", "--lr", "1"]),
    "python3 -u train.py": (["python3", "-u", "train.py"], ["train.py"]),
    "python -m pkg.fit 1": (["/opt/bin/python", "-m", "pkg.fit", "1"], ["/home/pkg/fit.py", "1"]),
    "python -m cProfile a.py 1": (["python", "-m", "cProfile", "a.py", "1"], ["a.py", "1"]),
    "python -c 'import fit' 1": (["python", "-c", "import fit", "1"], ["-c", "1"]),
    "python": (["/opt/bin/python"], [""]),
    "python -": (["python", "-"], ["-"]),
    "train.py 1": (["python", "-c", WORKER, "--multiprocessing-fork"], ["train.py", "1"]),
    "train.py": (["python", "-c", WORKER], ["train.py"]),
    "changed": (["python", "train.py"], ["changed"]),
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_command_is_kept_as_typed(monkeypatch, line):
    monkeypatch.setattr(sys, "orig_argv", LINES[line][0])
    monkeypatch.setattr(sys, "argv", LINES[line][1])

    assert command_line(None, None) == line

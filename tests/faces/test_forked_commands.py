"""Commands that tests fork from a server do the same as in an interpreter of their own."""

import os
import shlex
import subprocess

import pytest

import command_server
from commands import answered, on_terminal, python, runstore
from runstore import Store

pytestmark = pytest.mark.folder_only("is about the commands of these tests")

# What differs from one process to the next.
OF_A_MOMENT = ("host.load", "host.memory", "host.disk", "process")


def in_an_interpreter(*arguments, cwd):
    """Run a command as users do."""
    return runstore(*arguments, cwd=cwd, errors="strict")


@pytest.fixture
def folder(tmp_path):
    with Store.open(tmp_path / ".runstore") as store:
        for lr in (1, 2):
            with store.start("fit", params={"lr": lr}, capture=False) as run:
                run.log(loss=1 / lr)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("ls", "params.lr > 1", "--json"),
        ("ls", "params.lr >"),
        ("diff", "fit#1", "fit#2"),
        ("nothing",),
        ("--version",),
    ],
    ids=" ".join,
)
def test_both_print_and_end_alike(folder, words):
    forked, alone = runstore(*words, cwd=folder), in_an_interpreter(*words, cwd=folder)

    assert (forked.stdout, forked.stderr) == (alone.stdout, alone.stderr)
    assert forked.returncode == alone.returncode


def test_all_draw_alike_on_a_terminal(folder, monkeypatch):
    words = ("diff", "fit#1", "fit#2", "--only", "params")

    here = on_terminal(*words, cwd=folder, columns=80)
    _, forked = answered("", *words, cwd=folder)
    monkeypatch.setenv("PYTHONHASHSEED", "1")  # a setting of interpreters
    _, alone = answered("", *words, cwd=folder)

    assert here.strip() == forked.strip() == alone.strip()


def test_both_record_the_same_of_a_command_and_of_an_experiment(tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "params").mkdir()
    (tmp_path / "experiments" / "train.py").write_text("def run(params, manager): pass\n")
    (tmp_path / "params" / "small.py").write_text("def get_params(): return [{'name': 'a'}]\n")
    commands = [("run", "train", "-p", "small"), ("exec", "--experiment", "e", "--", "true")]

    for call in (runstore, in_an_interpreter):
        for words in commands:
            assert call(*words, cwd=tmp_path).returncode == 0

    with Store.open(tmp_path / ".runstore") as store:
        for name in ("train", "e"):
            forked, alone = store.get(f"{name}#1"), store.get(f"{name}#2")
            assert forked.cli == alone.cli
            assert forked.facts.unknown == alone.facts.unknown
            for key, value in alone.facts.values.items():
                assert key.startswith(OF_A_MOMENT) or forked.facts.values[key] == value, key


NAMES = """
import sys, __main__
print(__name__, sys.argv, sys.path[0], __main__.__file__, __main__.__dict__.keys() >= {"NAMES"})
"""
PROGRAMS = {
    "names": NAMES,
    "exit": "import sys; print('out'); sys.exit(3)",
    "message": "raise SystemExit('a message')",
    "error": "def fails(): 1 / 0\nfails()",
    "interrupt": "raise KeyboardInterrupt",
    "threads": (
        "import atexit, threading, time\natexit.register(print, 'at exit')\n"
        "threading.Thread(target=lambda: (time.sleep(0.05), print('thread'))).start()"
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_run_and_end_as_in_an_interpreter(tmp_path, name):
    text = PROGRAMS[name]
    (tmp_path / "program.py").write_text(text)
    calls = [["program.py", "a"], ["-m", "program", "a"]]
    if name != "names":  # there is no file
        calls.append(["-c", text, "a"])

    for call in calls:
        forked, alone = (
            python(*call, cwd=tmp_path, **more) for more in ({}, {"errors": "strict"})
        )

        assert (forked.stdout, forked.returncode) == (alone.stdout, alone.returncode), call
        # Since Python 3.13, an interpreter shows the lines of its own -c.
        which = slice(-1, None) if call[0] == "-c" else slice(None)
        assert forked.stderr.splitlines()[which] == alone.stderr.splitlines()[which], call


def test_a_shell_gets_its_streams_and_its_end(folder):
    """As the shells in the blocks of the docs call it."""
    call = shlex.join(command_server.client("runstore"))
    ended = subprocess.run(
        ["sh", "-c", f"{call} ls --json | head -n 1; {call} nothing 2>&1; echo $?"],
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    lines = ended.stdout.splitlines()
    assert lines[0] == runstore("ls", "--json", cwd=folder).stdout.splitlines()[0]
    assert lines[-3:-1] == [
        "runstore: There is no command 'nothing'.",
        "Show all commands with: runstore --help",
    ]
    assert lines[-1] == "2"
    assert ended.stderr == ""


def test_a_shell_sees_how_a_program_was_killed(tmp_path):
    (tmp_path / "program.py").write_text("import os; os.kill(os.getpid(), 9)")
    call = shlex.join([*command_server.client("python"), "program.py"])
    ended = subprocess.run(
        ["sh", "-c", f"{call}; echo $?"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert ended.stdout == "137\n"


def test_an_environment_that_interpreters_read_gets_one_of_its_own(folder):
    assert command_server.can_run({**os.environ, "PYTHONWARNINGS": ""})
    assert not command_server.can_run({**os.environ, "PYTHONWARNINGS": "error"})
    assert not command_server.can_run({**os.environ, "PYTHONWARNINGS": "", "LC_ALL": "C"})

"""Shells complete runs, metrics, columns and tags, quoted such that the command gets the name."""

import contextlib
import os
import pty
import select
import shlex
import shutil
import subprocess
import time

import pytest

import command_server
from commands import runstore_here
from places import shared_at, store_at, variables_in

ODD = ("my exp", "x$(touch pwned)", "it's", '"q"', "a:b", "#odd", "c=d", "日本", "back\\slash")
SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], 'eval "$(runstore completion bash)"'),
    "zsh": (
        ["-f", "-i"],
        'autoload -U compinit; compinit -u -D; eval "$(runstore completion zsh)"',
    ),
}
# Keys that are typed before a tab, and the words that the command gets.
TYPED = {
    "runstore show mnist#2": ["show", "mnist#2"],
    "runstore show my\\ exp#": ["show", "my exp#1"],
    "runstore show 'my exp#": ["show", "my exp#1"],
    "runstore show x\\$\\(touch\\ pwned\\)#": ["show", "x$(touch pwned)#1"],
    "runstore show it\\'s#": ["show", "it's#1"],
    "runstore show a:b#": ["show", "a:b#1"],
    "runstore show \\#odd#": ["show", "#odd#1"],
    "runstore show c=d#": ["show", "c=d#1"],
    "runstore compare mnist -m val": ["compare", "mnist", "-m", "val/acc"],
    "runstore tag mnist -x +pha": ["tag", "mnist", "-x", "+phase"],
    "runstore ls --sort 'params.\"x,": ["ls", "--sort", 'params."x,y"'],
    'runstore ls --columns params.\\"x,y\\",tags': ["ls", "--columns", 'params."x,y",tags.phase'],
}
# A command that shows which words it was called with; a shell that completes asks the real one.
COMMAND = """#!/bin/sh
if [ "$1" = completion ] || [ -n "$_RUNSTORE_COMPLETE" ]; then exec {command} "$@"; fi
printf '%s\\0' "$@" > got.new && mv got.new got
"""


@pytest.fixture(scope="module")
def folder(engine, tmp_path_factory):
    """A folder with a store, which nobody changes, and the command."""
    folder = tmp_path_factory.mktemp("completed")
    with shared_at(folder / ".runstore", engine) as store:
        for name in ("mnist", "mnist", *ODD):
            params = {"lr": 0.1, "layers": 2, "x,y": 1}
            with store.start(name, params=params, capture=False) as run:
                run.log({"val/acc": 0.5, "loss": 1.0})
                if name == "mnist":
                    run.log(top5=0.8)
                run.tags["phase"] = "pilot"
        store.queries["good"] = "status = complete"
        store.directions["top5"] = "max"
    command = folder / "bin" / "runstore"
    command.parent.mkdir()
    client = shlex.join(command_server.client("runstore"))
    command.write_text(COMMAND.format(command=client))
    command.chmod(0o755)
    return folder


def offered(folder, line):
    """Return what bash is offered for a line; the last word is the one that is completed."""
    word = line.rpartition(" ")[2]
    asked = {"_RUNSTORE_COMPLETE": "bash_complete", "COMP_LINE": line, "COMP_WORD": word}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**asked, "COMP_POINT": str(len(line.encode()))}.items():
            patch.setenv(name, value)
        ended = runstore_here(cwd=folder)
    assert ended.stderr == ""
    return [one.removeprefix("plain,") for one in ended.stdout.splitlines() if one]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("runstore show mni", ["mnist", "mnist#2", "mnist#1"]),
        ("runstore show mnist#", ["mnist#2", "mnist#1"]),
        ("runstore show mnist#2", ["mnist#2"]),
        ("runstore show late", ["latest"]),
        ("runstore diff mnist#1 mnist#2", ["mnist#2"]),
        ("runstore tag mnist#1 +ph", ["+phase"]),
        ("runstore compare mnist -m val", ["val/acc"]),
        ("runstore diff mnist#1 mnist#2 -m l", ["loss"]),
        ("runstore compare mnist --metric=val", ["val/acc"]),
        ("runstore plot mnist -m t", ["top5"]),
        ("runstore plot a:b -m t", []),
        ("runstore diff a:b#1 c=d#1 -m t", []),
        ("runstore compare @go", ["@good"]),
        ("runstore ls --columns metrics", ["metrics.loss", "metrics.top5", "metrics.val/acc"]),
        ("runstore ls --columns run,tags", ["run,tags.phase"]),
        ("runstore ls --columns 'params.\"x", ['params."x,y"']),
        ("runstore ls --columns 'params.\"x,", ['params."x,y"']),
        ('runstore ls --columns \'params."x,y",tags', ['params."x,y",tags.phase']),
        ('runstore ls --columns params.\\"x,y\\",tags', ['params.\\"x,y\\",tags.phase']),
        ("runstore ls --sort params.la", ["params.layers"]),
        ("runstore rm a:", ["a:b", "a:b#1"]),
        ("runstore views rm g", ["good"]),
        ("runstore direction rm ", ["top5"]),
        ("runstore direction set to", ["top5"]),
        ("runstore record mni", ["mnist"]),
        ("runstore record @", []),
        ("runstore exec -e mni", ["mnist"]),
        ("runstore down", ["download"]),
        ("runstore output --str", ["--stream"]),
        ("runstore show nothing", []),
        ("runstore --store none show mni", []),
        ("runstore show --store none mni", []),
    ],
)
def test_names_are_offered(folder, line, found):
    assert offered(folder, line) == found


def test_a_shell_without_a_store_gets_nothing(tmp_path):
    assert offered(tmp_path, "runstore show x") == []
    assert list(tmp_path.iterdir()) == []


def test_references_are_offered_where_one_is_typed(folder):
    (reference,) = offered(folder, "runstore show mnist_2")

    assert reference.startswith("mnist_2_")


@pytest.mark.parametrize("run", ["", "mnist#2 "])
def test_the_captured_texts_of_a_run_are_offered(tmp_path, run):
    with store_at(tmp_path / ".runstore") as store:
        store.start("mnist", capture=False).finish()
        store.start("mnist").finish()

    assert "packages" in offered(tmp_path, f"runstore show {run}--document pa")


def test_runs_in_the_trash_are_offered_to_restore(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for _ in range(2):
            store.start("mnist", capture=False).finish()
        store.delete(["mnist#1"])

    (reference,) = offered(tmp_path, "runstore restore m")

    assert reference.startswith("mnist_1_")


def environment(folder):
    """Return the variables with which a shell finds our command, and that the store."""
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **variables_in(folder), "PATH": path}


class Shell:
    """An interactive shell on a terminal, which completes our command."""

    def __init__(self, name, folder):
        options, setup = SHELLS[name]
        self.got = folder / "got"
        self._main, side = pty.openpty()
        self._process = subprocess.Popen(
            [name, *options],
            cwd=folder,
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
            env={**environment(folder), "TERM": "dumb", "HOME": str(folder)},
        )
        os.close(side)
        os.write(self._main, f"{setup}; echo re''ady\n".encode())
        _await(self._main, lambda drawn: b"ready" in drawn)

    def words(self, keys):
        """Type keys, tab and return; return the words that the command got."""
        os.write(self._main, f"{keys}\t".encode())
        time.sleep(0.05)
        os.write(self._main, b"\n")
        _await(self._main, lambda _: self.got.exists())
        words = self.got.read_text().split("\0")[:-1]
        self.got.unlink()
        return words

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._main)


def _await(terminal, is_done):
    drawn = b""
    end = time.monotonic() + 60
    while not is_done(drawn):
        assert time.monotonic() < end, drawn
        if select.select([terminal], [], [], 0.05)[0]:
            drawn += os.read(terminal, 65536)


@pytest.fixture(scope="module", params=SHELLS)
def shell(request, folder):
    if shutil.which(request.param) is None:
        pytest.skip(f"there is no {request.param}")
    with contextlib.closing(Shell(request.param, folder)) as started:
        yield started


@pytest.mark.parametrize(("keys", "got"), TYPED.items())
def test_a_shell_passes_the_name_that_it_completed(folder, shell, keys, got):
    assert shell.words(keys) == got
    assert not (folder / "pwned").exists()


@pytest.fixture(scope="module")
def fish(folder):
    """What fish offers for each of the lines."""
    if shutil.which("fish") is None:
        pytest.skip("there is no fish")
    quoted = [keys.replace("\\", "\\\\").replace("'", "\\'") for keys in TYPED]
    asked = "".join(f"complete -C '{keys}'\nprintf '\\0'\n" for keys in quoted)
    ended = subprocess.run(
        ["fish", "--no-config", "-c", f"runstore completion fish | source\n{asked}"],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return dict(zip(TYPED, ended.stdout.split("\0"), strict=False))


@pytest.mark.parametrize(("keys", "got"), TYPED.items())
def test_fish_is_offered_the_name_which_it_quotes_itself(fish, keys, got):
    assert fish[keys].splitlines() == [got[-1]]

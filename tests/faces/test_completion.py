"""Shells complete runs, metrics, columns and tags, quoted such that the command gets the name."""

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time

import pytest

from commands import runstore
from runstore import Store

ODD = ("my exp", "x$(touch pwned)", "it's", '"q"', "a:b", "#odd", "c=d", "日本", "back\\slash")
SHELLS = {
    "bash": (["--norc", "--noprofile", "-i"], 'eval "$(runstore completion bash)"'),
    "zsh": (
        ["-f", "-i"],
        'autoload -U compinit; compinit -u -D; eval "$(runstore completion zsh)"',
    ),
}
TYPED = pytest.mark.parametrize(
    ("keys", "got"),
    [
        ("runstore show mnist#2", ["show", "mnist#2"]),
        ("runstore show my\\ exp#", ["show", "my exp#1"]),
        ("runstore show 'my exp#", ["show", "my exp#1"]),
        ("runstore show x\\$\\(touch\\ pwned\\)#", ["show", "x$(touch pwned)#1"]),
        ("runstore show it\\'s#", ["show", "it's#1"]),
        ("runstore show a:b#", ["show", "a:b#1"]),
        ("runstore show \\#odd#", ["show", "#odd#1"]),
        ("runstore show c=d#", ["show", "c=d#1"]),
        ("runstore compare mnist -m val", ["compare", "mnist", "-m", "val/acc"]),
        ("runstore tag mnist -x +pha", ["tag", "mnist", "-x", "+phase"]),
    ],
)
# A command that shows which words it was called with; a shell that completes asks the real one.
COMMAND = """#!/bin/sh
if [ "$1" = completion ] || [ -n "$_RUNSTORE_COMPLETE" ]; then exec "{python}" -m runstore "$@"; fi
"{python}" -c 'import json, sys; json.dump(sys.argv[1:], open("got", "w"))' "$@"
"""


@pytest.fixture
def folder(tmp_path):
    with Store.open(tmp_path / ".runstore") as store:
        for name in ("mnist", "mnist", *ODD):
            with store.start(name, params={"lr": 0.1, "layers": 2}, capture=False) as run:
                run.log({"val/acc": 0.5, "loss": 1.0})
                run.tags["phase"] = "pilot"
        store.queries["good"] = "status = complete"
    command = tmp_path / "bin" / "runstore"
    command.parent.mkdir()
    command.write_text(COMMAND.format(python=sys.executable))
    command.chmod(0o755)
    return tmp_path


def offered(folder, line):
    """Return what bash is offered for a line; the last word is the one that is completed."""
    word = line.rpartition(" ")[2]
    words = {"_RUNSTORE_COMPLETE": "bash_complete", "COMP_LINE": line, "COMP_WORD": word}
    ended = runstore(cwd=folder, env={**words, "COMP_POINT": str(len(line.encode()))})
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
        ("runstore compare @go", ["@good"]),
        ("runstore ls --columns metrics", ["metrics.loss", "metrics.val/acc"]),
        ("runstore ls --columns run,tags", ["run,tags.phase"]),
        ("runstore ls --sort params.la", ["params.layers"]),
        ("runstore rm a:", ["a:b", "a:b#1"]),
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


def test_runs_in_the_trash_are_offered_to_restore(folder):
    runstore("rm", "mnist#1", cwd=folder)

    (reference,) = offered(folder, "runstore restore m")

    assert reference.startswith("mnist_1_")


def typed_in(shell, folder, keys):
    """Type keys in an interactive shell; return the words that the command got."""
    options, setup = SHELLS[shell]
    main, side = pty.openpty()
    places = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        [shell, *options],
        cwd=folder,
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
        env={**os.environ, "PATH": places, "TERM": "dumb", "HOME": str(folder)},
    )
    os.close(side)
    got = folder / "got"
    try:
        os.write(main, f"{setup}; echo re''ady\n".encode())
        _await(main, lambda drawn: b"ready" in drawn)
        os.write(main, f"{keys}\t".encode())
        time.sleep(0.05)
        os.write(main, b"\n")
        _await(main, lambda _: got.exists() and got.stat().st_size)
        return json.loads(got.read_text())
    finally:
        process.kill()
        process.wait()
        os.close(main)


def _await(terminal, is_done):
    drawn = b""
    end = time.monotonic() + 60
    while not is_done(drawn):
        assert time.monotonic() < end, drawn
        if select.select([terminal], [], [], 0.05)[0]:
            drawn += os.read(terminal, 65536)


@pytest.mark.parametrize("shell", SHELLS)
@TYPED
def test_a_shell_passes_the_name_that_it_completed(folder, shell, keys, got):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")

    assert typed_in(shell, folder, keys) == got
    assert not (folder / "pwned").exists()


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
@TYPED
def test_fish_is_offered_the_name_which_it_quotes_itself(folder, keys, got):
    script = folder / "complete.fish"
    quoted = keys.replace("\\", "\\\\").replace("'", "\\'")
    script.write_text(f"runstore completion fish | source\ncomplete -C '{quoted}'\n")

    ended = subprocess.run(
        ["fish", "--no-config", script],
        cwd=folder,
        env={**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert ended.stdout.splitlines() == [got[-1]]

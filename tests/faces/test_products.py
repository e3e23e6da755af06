"""What a run produces, as people on the command line see it: files, output, tags, notes."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from command_server import Started
from commands import messages, python, runstore, runstore_here
from places import newest, store_at, variables_in
from runstore.inflight.deferred import Deferred
from runstore.runner import own_output
from searching import change_contents


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ".runstore").mkdir()
    return tmp_path


@pytest.fixture
def saved(folder):
    """A folder with a run that saved three files and printed two lines."""
    with store_at(folder / ".runstore") as store, store.start("fit", capture=False) as run:
        run.save("m/a.txt", b"a\n")
        run.save("m/b.txt", b"b\n")
        run.save("loss.csv", b"step,loss\n0,1\n")
        for step in range(100):
            run.log(loss=1 / (step + 1))
    return folder


def printed(folder):
    """Return stream and text of each line that the newest run printed."""
    with store_at(folder / ".runstore") as store:
        return [(line.stream, line.text) for line in store.get("latest").output]


# Files


def test_artifacts_are_listed(saved):
    shown = runstore_here("artifacts", cwd=saved).stdout.splitlines()
    told = json.loads(runstore_here("artifacts", "--json", cwd=saved).stdout)

    assert [line.split("\t")[:3] for line in shown[1:]] == [
        ["loss.csv", "14 bytes", "text/csv"],
        ["m/a.txt", "2 bytes", "text/plain"],
        ["m/b.txt", "2 bytes", "text/plain"],
    ]
    assert [one["path"] for one in told] == ["loss.csv", "m/a.txt", "m/b.txt"]


def test_files_are_fetched_and_nothing_is_written_over(saved):
    first = runstore_here("download", "fit#1", "m", "-o", "out", cwd=saved)
    (saved / "out" / "m" / "a.txt").write_text("mine")

    refused = runstore_here("download", "fit#1", "-o", "out", cwd=saved)

    assert first.stdout.split() == ["out/m/a.txt", "out/m/b.txt"]
    assert refused.returncode == 2
    assert "already exists" in messages(refused)[0]
    assert not (saved / "out" / "loss.csv").exists()
    assert (saved / "out" / "m" / "a.txt").read_text() == "mine"

    runstore_here("download", "fit#1", "-o", "out", "--overwrite", cwd=saved)
    assert (saved / "out" / "m" / "a.txt").read_text() == "a\n"


def test_files_that_cannot_be_written_are_named(saved):
    """Another program wrote their paths; a file that exists at one of these is no obstacle."""
    (saved / "b.txt").write_text("mine")
    with (
        store_at(saved / ".runstore") as store,
        store.backend.database.driver.write() as connection,
    ):
        for name in ("a", "b"):
            renamed = {"new": f"../{name}.txt", "old": f"m/{name}.txt"}
            connection.execute("UPDATE artifacts SET path = :new WHERE path = :old", renamed)

    ended = runstore_here("download", "fit#1", "-o", "out", cwd=saved)

    assert (ended.returncode, ended.stdout.split()) == (1, ["out/loss.csv"])
    assert {"'../a.txt'", "'../b.txt'"} <= set(ended.stderr.split())
    assert runstore_here("download", "fit#1", "./loss.csv", "-o", "out", cwd=saved).returncode == 2


def test_a_file_is_not_a_folder_for_downloads(saved):
    (saved / "here.csv").write_text("mine")

    ended = runstore_here("download", "fit#1", "loss.csv", "-o", "here.csv", cwd=saved)

    assert ended.returncode == 2
    assert messages(ended)[0] == (
        "runstore: here.csv is a file, and artifacts are written to a folder."
    )
    assert (saved / "here.csv").read_text() == "mine"


def test_files_beside_damaged_ones_are_written(saved):
    with store_at(saved / ".runstore") as store:
        for name in ("m/a.txt", "loss.csv"):
            artifact = store.get("fit#1").artifacts[name]
            change_contents(store, artifact.digest, bytes.swapcase)

    ended = runstore_here("download", "fit#1", "m", "loss.csv", "m/b.txt", "-o", "out", cwd=saved)

    assert (ended.returncode, ended.stdout.split()) == (5, ["out/m/b.txt"])
    told = messages(ended)
    assert "'loss.csv' could not be written. " in told[0]
    assert "'m/a.txt' could not be written. " in told[1]
    assert "Other files written: 1." in told[2]

    (saved / "new" / "m" / "b.txt").mkdir(parents=True)
    blocked = runstore_here(
        "download", "fit#1", "loss.csv", "m", "-o", "new", "--overwrite", cwd=saved
    )
    assert "'loss.csv' could not be written. " in messages(blocked)[0]
    assert "b.txt could not be written: Is a directory." in messages(blocked)[1]


def test_files_without_a_name_in_the_encoding_of_the_system_are_named(saved):
    with store_at(saved / ".runstore") as store, store.start("fit", capture=False) as run:
        run.save("größe.txt", b"1")
        run.save("size.txt", b"1")
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}

    ended = runstore("download", "fit#2", "-o", "out", cwd=saved, env=plain)

    assert (ended.returncode, ended.stdout.split()) == (1, ["out/size.txt"])
    assert "cannot be written in ascii, as file names are here" in " ".join(messages(ended))


ENDED = """
import os, signal, sys
from pathlib import Path
from runstore.cli.main import main
def end(*_):
    os.kill(os.getpid(), int(sys.argv[1]))
    raise AssertionError("the signal was ignored")
Path.replace = end  # the last step of writing a file
if sys.argv[2] == "nohup":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
main(sys.argv[3:])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_no_unfinished_files(saved, number):
    words = [str(int(number)), "", "download", "fit#1", "loss.csv", "-o", "out"]
    ended = python("-c", ENDED, *words, cwd=saved)

    assert ended.returncode == -number
    assert list((saved / "out").iterdir()) == []


def test_a_hangup_that_is_ignored_does_not_end_a_download(saved):
    words = [str(int(signal.SIGHUP)), "nohup", "download", "fit#1", "loss.csv", "-o", "out"]
    ended = python("-c", ENDED, *words, cwd=saved)

    assert "the signal was ignored" in ended.stderr


def test_a_run_without_files_says_so(saved):
    with store_at(saved / ".runstore") as store, store.start("fit", capture=False):
        pass

    ended = runstore_here("download", "fit#2", "-o", "out", cwd=saved)

    assert (ended.returncode, ended.stdout) == (0, "")
    assert "has no artifacts." in messages(ended)[0]


def test_a_file_can_be_printed(saved):
    assert (
        runstore_here("download", "fit#1", "loss.csv", "-o", "-", cwd=saved).stdout
        == "step,loss\n0,1\n"
    )


def test_a_wrong_file_is_one_clear_message(saved):
    ended = runstore_here("download", "fit#1", "los.csv", cwd=saved)

    assert ended.returncode == 3
    assert messages(ended)[1] == "Did you mean 'loss.csv'?"


def test_show_tells_files_tags_and_readers(saved):
    with store_at(saved / ".runstore") as store, store.start("eval", capture=False) as run:
        store.get("fit#1").read_bytes("m/a.txt")
        run.tags["phase"] = "pilot"

    first = runstore_here("show", "fit#1", cwd=saved).stdout
    second = json.loads(runstore_here("show", "eval#1", "--json", cwd=saved).stdout)

    assert "  m/a.txt   2 bytes  text/plain" in first
    assert "read by\n  eval_1_" in first
    assert second["tags"] == {"phase": "pilot"}
    assert second["inputs"][0]["name"].endswith("/m/a.txt")


# Output


def test_what_a_run_and_its_children_print_is_kept(folder):
    experiments = folder / "experiments"
    experiments.mkdir()
    (experiments / "talk.py").write_text(
        "import os, subprocess, sys\n"
        "def get_params():\n"
        "    return [{'name': 'a'}, {'name': 'b'}]\n"
        "def run(params, manager):\n"
        "    print('python', params['name'])\n"
        "    subprocess.run(['echo', 'child'])\n"
        "    os.write(1, b'c code\\n')\n"
        "    print('warning', file=sys.stderr)\n"
    )

    ended = runstore("run", "talk", cwd=folder)

    lines = printed(folder)
    assert ended.stdout == "python a\nchild\nc code\npython b\nchild\nc code\n"
    assert [text for stream, text in lines if stream == "stdout"] == ended.stdout.splitlines()
    assert [text for stream, text in lines if stream == "stderr"] == ["warning"] * 2


def test_a_forked_child_that_leaves_an_experiment_holds_nothing_up(folder):
    (folder / "experiments").mkdir()
    (folder / "experiments" / "fit.py").write_text(
        "import os, sys\n"
        "def get_params():\n"
        "    return [{'name': 'one'}]\n"
        "def run(params, manager):\n"
        "    if os.fork() == 0:\n"
        "        print('child', flush=True); sys.exit(0)\n"
        "    os.wait(); print('parent', flush=True)\n"
    )

    ended = runstore("run", "fit", cwd=folder)

    assert ended.returncode == 0
    assert "still being written" not in ended.stderr
    assert [text for _, text in printed(folder)] == ["child", "parent"]


def test_an_experiment_may_close_all_descriptors(folder):
    code = (
        "import os\n"
        "from pathlib import Path\n"
        "from runstore.runner import own_output\n"
        "with own_output.kept(Path('.runstore'), 'uid'):\n"
        "    print('before', flush=True)\n"
        "    os.closerange(3, 100)\n"
        "    mine = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]\n"
        "for one in mine:\n"
        "    os.close(one)\n"
    )

    ended = python("-c", code, cwd=folder)

    assert (ended.stdout, ended.stderr) == ("before\n", "")


def test_output_is_there_if_a_signal_to_the_group_ends_the_program_at_once(folder):
    """Such as Ctrl-C, which also reaches the process that keeps the output and is starting."""
    code = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from runstore.runner import own_output\n"
        "if os.getpgrp() != os.getpid(): os.setpgid(0, 0)\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "with own_output.kept(Path('.runstore'), 'uid'):\n"
        "    print('before', flush=True)\n"
        "    os.killpg(0, signal.SIGTERM)\n"
    )

    ended = python("-c", code, cwd=folder)

    assert (ended.stdout, ended.stderr) == ("before\n", "")


def test_output_is_kept_beside_an_old_package_that_is_called_like_a_module(folder):
    """Such as `pathlib`, which was a package before Python had it."""
    (folder / "runstore").symlink_to(Path(own_output.__file__).parents[1])
    (folder / "pathlib.py").write_text("raise ImportError('too old')\n")
    code = (
        "import sys; sys.path.append(sys.argv[1])\n"
        "from pathlib import Path\n"
        "from runstore.runner import own_output\n"
        "with own_output.kept(Path('.runstore'), 'uid'):\n"
        "    print('before', flush=True)\n"
    )

    program = [sys.executable, "-I", "-S", "-c", code, folder]
    ended = subprocess.run(program, capture_output=True, text=True, cwd=folder, check=False)

    assert (ended.stdout, ended.stderr) == ("before\n", "")


def test_output_is_shown_if_the_process_that_keeps_it_fails_at_once(folder):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from runstore.runner import own_output\n"
        "sys.executable = '/bin/false'\n"
        "with own_output.kept(Path('.runstore'), 'uid'):\n"
        "    print('before', flush=True)\n"
    )

    ended = python("-c", code, cwd=folder)

    assert ended.stdout == "before\n"
    assert "shown but no longer kept" in ended.stderr


def test_output_that_nobody_reads_any_more_does_not_stop_the_experiment(folder):
    """As with `| head`."""
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from runstore.runner import own_output\n"
        "reading, writing = os.pipe()\n"
        "os.dup2(writing, 1)\n"
        "os.close(reading)\n"
        "os.close(writing)\n"
        "with own_output.kept(Path('.runstore'), 'uid'):\n"
        "    print('x' * 300_000, flush=True)\n"
        "sys.stderr.write('done')\n"
    )

    ended = python("-c", code, cwd=folder)

    assert ended.stderr == "done"


def test_output_of_a_killed_run_is_there(folder):
    experiments = folder / "experiments"
    experiments.mkdir()
    (experiments / "die.py").write_text(
        "import os, signal\n"
        "def get_params():\n"
        "    return {'lr': 1}\n"
        "def run(params, manager):\n"
        "    for n in range(1000):\n"
        "        print('line', n, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    ended = runstore("run", "die", cwd=folder)

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and len(printed(folder)) < 1000:
        time.sleep(0.05)  # what carries the output ends a moment later
    assert ended.returncode == -9
    assert newest(folder).status == "lost"
    assert [text for _, text in printed(folder)] == [f"line {n}" for n in range(1000)]


def test_a_killed_carrier_does_not_stop_the_experiment(folder):
    """Whoever kills the process that keeps the output must not lose the experiment."""
    experiments = folder / "experiments"
    experiments.mkdir()
    (experiments / "go_on.py").write_text(
        "import os, signal, subprocess, sys, time\n"
        "def get_params():\n"
        "    return {'lr': 1}\n"
        "def run(params, manager):\n"
        "    print('before', flush=True)\n"
        "    me = str(os.getpid())\n"
        "    found = subprocess.run(['ps', '-o', 'pid=,args=', '--ppid', me],\n"
        "                           capture_output=True, text=True).stdout\n"
        "    carrier = [line for line in found.splitlines() if 'output_process' in line]\n"
        "    os.kill(int(carrier[0].split()[0]), signal.SIGKILL)\n"
        "    time.sleep(0.5)\n"
        "    print('after' * 50_000, flush=True)\n"
    )

    ended = runstore("run", "go_on", cwd=folder)

    assert ended.returncode == 0, ended.stderr
    assert "after" in ended.stdout
    assert any("was killed" in line for line in messages(ended))
    assert newest(folder).status == "complete"


def test_log_prints_streams_times_and_the_last_lines(folder):
    code = "import sys; print('out'); print('err', file=sys.stderr)\nfor n in range(5): print(n)"
    runstore("exec", "--", sys.executable, "-u", "-c", code, cwd=folder)

    assert sorted(runstore_here("output", cwd=folder).stdout.split()) == sorted(
        ["out", "err", "0", "1", "2", "3", "4"]
    )
    assert runstore_here("output", "--stream", "stderr", cwd=folder).stdout == "err\n"
    assert runstore_here("output", "-n", "2", "--stream", "stdout", cwd=folder).stdout == "3\n4\n"
    assert " stdout  out\n" in runstore_here("output", "-t", cwd=folder).stdout
    lines = runstore_here("output", "--json", cwd=folder).stdout.splitlines()
    assert {json.loads(line)["stream"] for line in lines} == {"stdout", "stderr"}


def test_log_follows_a_run_to_its_end(folder):
    code = "import time\nfor n in range(20): print(n, flush=True); time.sleep(0.05)"
    words = ("exec", "--", sys.executable, "-c", code)
    running = Started(words, cwd=folder, env={**os.environ, **variables_in(folder)})
    running.stdout.readline()

    followed = runstore_here("output", "-f", cwd=folder)

    assert followed.stdout.split() == [str(n) for n in range(20)]
    running.end()


def test_colours_of_the_output_are_left_out_of_a_pipe(folder):
    runstore("exec", "--", "printf", "\\033[31mred\\033[0m \\033]0;title\\007x\\n", cwd=folder)

    assert runstore_here("output", cwd=folder).stdout == "red x\n"


def test_a_run_without_output_says_so(saved):
    ended = runstore_here("output", cwd=saved)

    assert (ended.stdout, ended.returncode) == ("", 0)
    assert "no output" in messages(ended)[0]


# Tags and notes


def test_tags_are_changed_shown_and_taken_back(saved):
    runstore_here("tag", "fit#1", "+keep", "phase=pilot", cwd=saved)
    runstore_here("tag", "fit#1", "-keep", "phase=final", "-missing", cwd=saved)
    assert newest(saved).tags == {"phase": "final"}

    undone = runstore_here("undo", cwd=saved)

    assert newest(saved).tags == {"keep": "", "phase": "pilot"}
    assert undone.stdout.splitlines()[0].endswith("\ttags.phase: final → pilot")
    assert runstore_here("tag", "latest", cwd=saved).stdout.endswith("\tkeep phase=pilot\n")
    history = runstore_here("show", "--history", cwd=saved).stdout.splitlines()
    assert len(history) == 6
    assert history[-1].endswith("(undo)")


def test_a_tag_that_cannot_be_changes_nothing(saved):
    ended = runstore_here("tag", "fit#1", "+good", "+", cwd=saved)

    assert ended.returncode == 2
    assert "cannot be a tag" in messages(ended)[0]
    assert newest(saved).tags == {}
    assert runstore_here("tag", "+keep", cwd=saved).returncode == 2


def test_notes_are_written_in_an_editor(saved):
    editor = saved / "editor"
    editor.write_text(
        '#!/bin/sh\nsleep 1.1\nprintf "one\\n# two\\n" > "$1.new"; mv "$1.new" "$1"\n'
    )
    editor.chmod(0o755)

    runstore("note", "fit#1", cwd=saved, env={"EDITOR": str(editor), "VISUAL": ""})

    assert newest(saved).notes == "one\n# two"


def test_notes_are_replaced_added_to_and_removed(saved):
    runstore_here("note", "fit#1", "some", "words", cwd=saved)
    runstore_here("note", "fit#1", "-a", "more", cwd=saved)
    assert newest(saved).notes == "some words\nmore"

    runstore_here("note", "fit#1", "--remove", cwd=saved)
    assert newest(saved).notes is None
    runstore_here("undo", "fit#1", cwd=saved)
    assert newest(saved).notes == "some words\nmore"


def test_undo_with_nothing_to_undo(saved):
    ended = runstore_here("undo", cwd=saved)

    assert ended.returncode == 3
    assert "no edit to undo" in messages(ended)[0]


# Scripts


def test_a_script_keeps_its_output_and_gives_the_streams_back(folder):
    code = (
        "import logging, sys, runstore\n"
        "before = sys.stdout, sys.stderr\n"
        "with runstore.start_run('talk', capture=False) as run:\n"
        "    run.keep_output(); run.attach_logging('mine')\n"
        "    print('shown'); logging.getLogger('mine.deep').error('broken')\n"
        "    logging.getLogger('other').error('not mine')\n"
        "print('later')\n"
        "assert before == (sys.stdout, sys.stderr)\n"
    )

    ended = python("-c", code, cwd=folder)

    assert ended.stdout == "shown\nlater\n"
    # logging prints what no handler takes; the root logger has none, "mine" has the run's.
    assert printed(folder) == [
        ("stdout", "shown"),
        ("logging", "ERROR mine.deep: broken"),
        ("stderr", "not mine"),
    ]


def test_forked_children_keep_their_output_too(folder):
    code = (
        "import os, runstore\n"
        "with runstore.start_run('fork', capture=False) as run:\n"
        "    run.keep_output()\n"
        "    print('parent', flush=True)\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        print('child', flush=True); os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        "    print('end')\n"
    )

    python("-c", code, cwd=folder)

    assert [text for _, text in printed(folder)] == ["parent", "child", "end"]


def test_output_that_another_process_took_in_meanwhile_is_no_trouble(tmp_path, monkeypatch):
    """Who opens the store when a run has just ended may be quicker than the run itself."""
    with store_at(tmp_path / "store") as store:
        run = store.start("fit", capture=False)
        run.keep_output()
        print("kept")
        path = store.backend.spool.output_files(run.uid)[0]
        store.backend.part(Deferred)._take_output_file(path)
        monkeypatch.setattr(store.backend.spool, "output_files", lambda _uid="", **_: [path])

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run.finish()

        assert [line.text for line in store.get(run.uid).output] == ["kept"]


def test_log_says_at_once_that_a_run_has_no_output(folder):
    """A run that goes on may print nothing for hours."""
    with store_at(folder / ".runstore") as store:
        run = store.start("quiet", capture=False)
        command = [sys.executable, "-m", "runstore", "log", "-f"]
        with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as follower:
            said = follower.stderr.readline()
            run.finish()

    assert "no output of quiet_1" in said
    assert "It printed nothing, or" in said
    assert "runstore exec" in said

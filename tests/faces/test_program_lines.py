"""Programs of any language log metrics, save files and set tags under `runstore exec`."""

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import command_server
from commands import messages, runstore
from places import store_at
from runstore import Status
from runstore.errors import UsageError
from runstore.recording.output import program_lines
from runstore.recording.output.program_lines import Metrics, Saved, Tagged, parse_line, text_of

pytestmark = pytest.mark.usefixtures("named_store")


def in_flight(folder):
    """Return the names of files whose contents are not in the database yet."""
    with store_at(folder / "store") as store:
        return [path.name for path in (store.path / "spool").iterdir()]


def executed(folder, script, *options, **more):
    words = ("exec", "--experiment", "x", *options, "--", "sh", "-c", script)
    return runstore(*words, cwd=folder, **more)


# Lines


@pytest.mark.folder_only("has no store")
@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("loss=0.5", Metrics({"loss": 0.5})),
        ("loss=0.5 val/acc=1e-3 step=10", Metrics({"loss": 0.5, "val/acc": 0.001}, 10)),
        ("'a key'=1 b=c=2 time=1700000000.5", Metrics({"a key": 1, "b=c": 2}, None, 1700000000.5)),
        ('{"loss": 0.5, "step": 3, "time": 1}', Metrics({"loss": 0.5}, 3, 1.0)),
        ('  {"n": -Infinity}\r', Metrics({"n": float("-inf")})),
        ("save out/model.bin", Saved("out/model.bin")),
        ("save 'my file' name.txt", Saved("my file", "name.txt")),
        ("tag phase=pilot keep", Tagged({"phase": "pilot", "keep": ""})),
        ("save=1 tag=2", Metrics({"save": 1, "tag": 2})),
        ("", None),
        ("# a comment", None),
    ],
)
def test_what_lines_ask_for(line, asked):
    assert parse_line(line) == asked


@pytest.mark.folder_only("has no store")
@pytest.mark.parametrize("form", ["loss={}", '{{"loss": {}}}'])
def test_an_integer_beyond_all_floats_is_infinite(form):
    assert parse_line(form.format(10**400)) == Metrics({"loss": float("inf")})


@pytest.mark.folder_only("has no store")
@pytest.mark.parametrize(
    "line",
    ["hello", "loss", "loss=", "loss=high", "step=3", "=1", "loss=1 step=1.5", "save", "tag",
     "save a b c", '{"loss": "x"}', '{"loss": 1', "[1]", '{"loss": 1, "step": 0.5}', "it's=1",
     '{"a": null}', '{"a": {"b": 1}}', "\udcff", "loss=1 step=1e999"],
)  # fmt: skip
def test_lines_that_ask_for_nothing(line):
    with pytest.raises(UsageError):
        parse_line(line)


@pytest.mark.folder_only("has no store")
def test_a_line_that_is_written_says_the_same():
    for asked in (Metrics({"a b": 0.1, "": 2.0}), Metrics({"x": float("inf")}, 3, 1.5)):
        assert parse_line(text_of(asked)) == asked


# Under exec


def test_a_shell_logs_saves_and_tags(tmp_path, newest):
    script = """
        for i in 1 2 3; do echo "loss=0.$i" >> $RUNSTORE_LOG; done
        echo '{"val/acc": 0.5, "step": 70, "time": 1700000000}' >> $RUNSTORE_LOG
        echo weights > 'my model'; mkdir sub; cd sub
        echo "save 'my model' model.bin" >> $RUNSTORE_LOG
        printf 'tag phase=pilot' >> $RUNSTORE_LOG
    """

    ended = executed(tmp_path, script)

    run = newest()
    assert ended.returncode == 0
    assert messages(ended) == [f"runstore: recorded as {run.reference}: complete"]
    assert list(run.metric("loss").values) == [0.1, 0.2, 0.3]
    assert list(run.metric("loss").steps) == [0, 1, 2]
    assert next(iter(run.metric("val/acc"))) == (70, 1700000000.0, 0.5)
    assert run.read_bytes("model.bin") == b"weights\n"
    assert run.tags == {"phase": "pilot"}
    assert in_flight(tmp_path) == []


def test_commands_log_and_save(tmp_path, newest):
    ours = shlex.join(command_server.client("runstore"))
    script = f"""
        {ours} metric loss=0.5 val/acc=0.25
        {ours} metric loss=0.25 --step 7
        {ours} metric loss=high || echo "refused with $?"
        {ours} metric loss=-1
        echo weights > model; {ours} save model; {ours} save model other/name.bin
        {ours} save nothing || echo "refused with $?"
    """

    ended = executed(tmp_path, script)

    run = newest()
    assert ended.stdout == "refused with 2\nmodel\nother/name.bin\nrefused with 3\n"
    assert [point[::2] for point in run.metric("loss")] == [(0, 0.5), (7, 0.25), (8, -1.0)]
    assert sorted(run.artifacts) == ["model", "other/name.bin"]


def test_lines_that_are_not_understood_end_nothing(tmp_path, newest):
    script = "(echo nonsense; echo save gone; echo a=1) >> $RUNSTORE_LOG"

    ended = executed(tmp_path, script)

    assert ended.returncode == 0
    assert "2 lines were not imported" in messages(ended)[0]
    assert "'nonsense'" in messages(ended)[0]
    assert newest().metrics["a"].count == 1


def test_points_can_be_read_while_the_program_runs(tmp_path):
    os.mkfifo(tmp_path / "more")
    script = "echo loss=0.5 >> $RUNSTORE_LOG; echo ready; cat more >> $RUNSTORE_LOG"
    words = ("exec", "--", "sh", "-c", script)
    process = command_server.Started(words, cwd=tmp_path, env=dict(os.environ))
    assert process.stdout.readline() == "ready\n"

    with store_at(tmp_path / "store") as store:
        deadline = time.monotonic() + 30
        values = []
        while not values and time.monotonic() < deadline:
            time.sleep(0.05)
            with contextlib.suppress(LookupError):
                values = list(store.get("latest").metric("loss").values)
        (tmp_path / "more").write_text("loss=0.25\n")
        with process.stdout:
            assert process.wait(timeout=100) == 0

        assert values == [0.5]
        assert list(store.get("latest").metric("loss").values) == [0.5, 0.25]


def test_many_writers_lose_no_line(tmp_path, newest):
    writer = (
        "import os; f = open(os.environ['RUNSTORE_LOG'], 'a')\n"
        "for n in range(2000): print(f'w%s={n}', file=f, flush=True)"
    )
    for number in range(3):
        (tmp_path / f"w{number}.py").write_text(writer % number)
    script = "; ".join(f"{sys.executable} w{number}.py &" for number in range(3)).replace(
        "&;", "&"
    )

    executed(tmp_path, f"{script} wait")

    for number in range(3):
        assert list(newest().metric(f"w{number}").values) == list(range(2000))


@pytest.mark.parametrize("rounds", range(2))
def test_lines_survive_that_everything_is_killed(tmp_path, newest, rounds):
    script = "for i in 0 1 2 3 4; do echo n=$i >> $RUNSTORE_LOG; done; echo ready; exec sleep 60"
    process = subprocess.Popen(
        [sys.executable, "-m", "runstore", "exec", "--", "sh", "-c", script],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.4 * rounds)  # before and after they were taken in

    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=100)

    run = newest()
    assert (run.status, list(run.metric("n").values)) == (Status.LOST, [0, 1, 2, 3, 4])
    assert not [name for name in in_flight(tmp_path) if name.endswith(".lines")]


def test_lines_wait_for_a_child_that_still_has_their_lock(tmp_path, newest):
    """It was forked just before its parent was killed, and has not started its program yet."""
    ended = executed(tmp_path, "echo $RUNSTORE_LOG")
    path = Path(ended.stdout.strip())
    path.write_text("late=2\n")
    child = "import fcntl, sys, time; fcntl.flock(sys.stdin, fcntl.LOCK_EX); print(flush=True)"
    with path.open("r+") as file:
        holder = subprocess.Popen(
            [sys.executable, "-c", f"{child}; time.sleep(0.2)"],
            stdin=file,
            stdout=subprocess.PIPE,
        )
    with holder:
        holder.stdout.readline()

        assert newest().metrics["late"].last == 2.0
    assert not path.exists()


def test_lines_that_stay_locked_are_left_to_their_holder(tmp_path, newest, monkeypatch):
    ended = executed(tmp_path, "echo $RUNSTORE_LOG")
    path = Path(ended.stdout.strip())
    path.write_text("late=2\n")
    monkeypatch.setattr(program_lines, "_PATIENCE_S", 0.0)
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        assert newest().metrics == {}
    assert path.exists()


def test_what_is_written_after_the_end_is_taken_in_at_the_next_opening(tmp_path, newest):
    ended = executed(tmp_path, "echo a=1 >> $RUNSTORE_LOG; echo $RUNSTORE_LOG")
    with Path(ended.stdout.strip()).open("a") as file:
        file.write("late=2\nnonsense\n")

    with pytest.warns(UserWarning, match="1 line was not imported"):
        run = newest()

    assert {key: one.last for key, one in run.metrics.items()} == {"a": 1.0, "late": 2.0}


@pytest.mark.folder_only("the folder in flight is a file")
def test_a_disk_that_takes_no_lines_ends_nothing(tmp_path, newest):
    (tmp_path / "store").mkdir()
    for place in (tmp_path / "store" / "spool", tmp_path / "state"):
        place.write_text("a file where the folder should be")

    nowhere = {"XDG_STATE_HOME": str(tmp_path / "state")}
    ended = executed(tmp_path, "set -e; echo a=1 >> $RUNSTORE_LOG", env=nowhere)

    assert ended.returncode == 0
    assert any("wrote to RUNSTORE_LOG were not kept" in line for line in messages(ended))
    assert newest().status is Status.COMPLETE


FULL_DISK = """
import os, resource

_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (4096, hard))
with open(os.environ["RUNSTORE_LOG"], "a") as file:
    file.write("loss=1\\nloss=2\\n")
"""


@pytest.mark.folder_only("limits the size of its files")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits other processes")
def test_lines_wait_in_their_file_until_a_disk_accepts_points(tmp_path, newest):
    words = ("exec", "--experiment", "x", "--", sys.executable, "-c", FULL_DISK)

    ended = runstore(*words, cwd=tmp_path)

    assert ended.returncode == 0
    assert any("The last lines of x_1" in line for line in messages(ended))
    assert not any("lost" in line for line in messages(ended))
    run = newest()
    assert (run.status, list(run.metric("loss").values)) == (Status.COMPLETE, [1.0, 2.0])


def test_inputs_and_products_can_be_named(tmp_path, newest):
    (tmp_path / "data.csv").write_text("1\n")

    options = ("--use", "data.csv", "--save", "out.txt", "--save", "missing")
    ended = executed(tmp_path, "cat data.csv > out.txt", *options)

    run = newest()
    assert ended.returncode == 0
    assert "missing" in messages(ended)[0]
    assert (list(run.artifacts), [one.name for one in run.inputs]) == (["out.txt"], ["data.csv"])


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("save", "--run", "fit#1", "../a b.txt"), "Pass a name: runstore save"),
        (("exec", "--save", "../a b.txt", "--", "touch", "ran"), "with a name: runstore save"),
        (
            ("record", "fit", "--started", "2025", "--save", "../a b.txt"),
            "runstore save --run RUN",
        ),
    ],
)
def test_files_elsewhere_are_answered_with_a_name_for_them(tmp_path, words, advice):
    runstore("record", "fit", "--started", "2025", cwd=tmp_path)

    ended = runstore(*words, cwd=tmp_path)

    assert ended.returncode
    assert ended.stderr.rstrip().endswith(f"{advice} '../a b.txt' 'a b.txt'")
    assert not (tmp_path / "ran").exists()


# Other runs


def test_commands_log_to_a_run_of_any_process(tmp_path):
    with store_at(tmp_path / "store") as store, store.start("fit", capture=False) as run:
        for words in (
            ["metric", "loss=0.5", "--run", "fit#1"],
            ["metric", "loss=1", "--run", "fit#1"],
        ):
            ended = runstore(*words, cwd=tmp_path)
            assert (ended.returncode, ended.stderr) == (0, "")
        runstore("metric", "loss=2", cwd=tmp_path, env={"RUNSTORE_PARENT": run.uid})

        assert [point[::2] for point in run.record.metric("loss")] == [(0, 0.5), (1, 1), (2, 2)]
        assert run.record.status is Status.RUNNING


def test_commands_without_a_run_say_how_to_get_one(tmp_path):
    with store_at(tmp_path / "store") as store:
        store.start("fit", capture=False).finish()

    alone = runstore("metric", "loss=1", cwd=tmp_path)
    missing = runstore("metric", "loss=1", "--run", "fit#2", cwd=tmp_path)

    assert "runstore exec -- PROGRAM" in alone.stderr
    assert (alone.returncode, missing.returncode) == (2, 3)


def test_a_run_within_the_command_gets_its_own_points(tmp_path):
    code = (
        "import os, runstore, subprocess\n"
        "with runstore.start_run('inner', capture=False) as run:\n"
        "    env = {**os.environ, 'RUNSTORE_PARENT': run.uid}\n"
        f"    words = [*{command_server.client('runstore')}, 'metric', 'deep=1']\n"
        "    subprocess.run(words, check=True, env=env)\n"
    )
    (tmp_path / "inner.py").write_text(code)

    executed(tmp_path, f"{sys.executable} inner.py; true")

    with store_at(tmp_path / "store") as store:
        outer, inner = (store.get(f"{one}#1").metrics.keys() for one in ("x", "inner"))
        assert "deep" in inner - outer

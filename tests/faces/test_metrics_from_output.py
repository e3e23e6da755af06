"""`runstore exec --metrics` logs numbers that a program prints."""

import os
import signal
import subprocess
import sys

import pytest

from commands import messages, runstore
from runstore import Status

pytestmark = pytest.mark.usefixtures("named_store")


def executed(folder, script, *options):
    words = ("exec", *options, "--", sys.executable, "-c", script)
    return runstore(*words, cwd=folder)


def test_lines_that_match_are_points(tmp_path, newest):
    script = (
        "import sys\nfor i in range(3): print(f'epoch {i}: loss {1 / 2 ** i:.3f}')\n"
        "print('lr=0.5', file=sys.stderr); sys.stdout.buffer.write(bytes(range(128)))\n"
        "print(); print({'acc': 0.75, 'name': 'x', 'step': 7})"
    )

    ended = executed(tmp_path, script, "-m", "epoch {step}: loss {loss:.3f}", "-m", "lr={lr}",
                     "--metrics", "json", "-m", "nothing {like} this")  # fmt: skip

    run = newest()
    assert [point[::2] for point in run.metric("loss")] == [(0, 1.0), (1, 0.5), (2, 0.25)]
    assert [point[::2] for point in run.metric("acc")] == [(7, 0.75)]
    assert run.metrics["lr"].last == 0.5
    assert sorted(run.metrics) == ["acc", "loss", "lr"]
    assert "epoch 2: loss 0.250" in [line.text for line in run.output]
    assert messages(ended)[-2:] == [
        "runstore: No line of the output matched: --metrics 'nothing {like} this' logged nothing.",
        f"runstore: recorded as {run.reference}: complete",
    ]


def test_a_wrong_pattern_starts_nothing(tmp_path):
    ended = executed(tmp_path, "print(1)", "-m", "loss")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--metrics 'loss' is not a pattern: it has no field" in ended.stderr
    assert not (tmp_path / "store").exists()


def test_points_survive_that_everything_is_killed(tmp_path, newest):
    script = "import time\nprint('loss 1'); print('loss 2', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-m", "runstore", "exec", "-m", "loss {loss}", "--",
         sys.executable, "-c", script],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    # Output is shown when it has been searched.
    assert [process.stdout.readline() for _ in range(2)] == ["loss 1\n", "loss 2\n"]

    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=100)

    run = newest()
    assert run.status is Status.LOST
    assert list(run.metric("loss").values) == [1.0, 2.0]


def test_a_program_that_starts_its_run_logs_to_the_same(tmp_path, newest):
    script = (
        "import runstore\nwith runstore.start_run('digits') as run: run.log(a=1); print('b=2')\n"
        "print('c=3')"
    )

    executed(tmp_path, script, "-m", "b={b}", "-m", "c={c}")

    run = newest()
    assert run.experiment_name == "digits"
    assert {key: one.last for key, one in run.metrics.items()} == {"a": 1, "b": 2, "c": 3}

"""A Python program that starts a run under `runstore exec` is one run with its command."""

import os
import signal
import subprocess
import sys
import time

import pytest

from commands import messages, runstore
from places import store_at
from runstore import Status
from runstore.errors import NotFoundError

pytestmark = pytest.mark.usefixtures("named_store")

START = "import runstore, os, sys, time\n"
ONE = "with runstore.start_run('digits') as run: run.log(loss=0.5); print(run.reference)"


@pytest.fixture
def executed(tmp_path):
    """Run a script under exec, and return how the command ended."""

    def execute(code, *command, options=()):
        (tmp_path / "train.py").write_text(START + code)
        command = command or (sys.executable, "train.py", "--lr", "0.1", "--deep")
        return runstore("exec", *options, "--", *command, cwd=tmp_path)

    return execute


@pytest.fixture
def kept(tmp_path):
    """Return the runs of the store, oldest first."""

    def read():
        store.append(store_at(tmp_path / "store"))
        return sorted(store[-1].list(), key=lambda run: run.uid)

    store = []
    yield read
    for one in store:
        one.close()


@pytest.mark.parametrize(
    "parent", ["os.environ.pop('RUNSTORE_PARENT')", "os.environ['RUNSTORE_PARENT'] = ''"]
)
def test_the_run_of_the_command_needs_no_parent_in_the_environment(executed, kept, parent):
    executed(f"{parent}\n{ONE}")

    (run,) = kept()
    assert (run.experiment_name, run.metrics["loss"].last) == ("digits", 0.5)


def test_one_run_has_output_parameters_and_metrics(executed, kept, tmp_path):
    ended = executed(ONE)

    (run,) = kept()
    assert (run.experiment_name, run.run_number, run.status) == ("digits", 1, Status.COMPLETE)
    assert ended.stdout == f"{run.reference}\n"
    assert [line.text for line in run.output] == [run.reference]
    assert run.params == {"lr": 0.1, "deep": True}
    assert run.metrics["loss"].last == 0.5
    assert run.cli.endswith("train.py --lr 0.1 --deep")
    assert messages(ended)[-1] == f"runstore: recorded as {run.reference}: complete"
    with store_at(tmp_path / "store") as store:
        assert store.get("train#1").uid == run.uid
        assert [one.name for one in store.experiments()] == ["digits"]
        with pytest.raises(NotFoundError, match="no edit to undo"):
            store.undo()


def test_the_parameters_of_the_program_count(executed, kept):
    executed(
        "with runstore.start_run('digits', params={'lr': 1}) as run: pass",
        options=("-p", "seed=3", "--notes", "by hand"),
    )
    executed(
        "with runstore.start_run('digits') as run: run.add_params(lr=2); run.add_params(k=1)",
        options=("-p", "seed=4"),
    )
    executed(
        "settings = {}\n"
        "with runstore.start_run('digits', params=settings, notes='in code') as run:\n"
        "    settings['lr'] = 3; run.log(loss=1)",
    )

    executed("with runstore.start_run('digits', seed=7) as run: run.params['device'] = 'cpu'")

    assert [run.params for run in kept()] == [
        {"lr": 1, "seed": 3},
        {"lr": 2, "deep": True, "k": 1, "seed": 4},
        {"lr": 3, "deep": True},
        {"lr": 0.1, "deep": True, "seed": 7, "device": "cpu"},
    ]
    assert [run.notes for run in kept()] == ["by hand", None, "in code", None]


def test_a_named_parameter_that_contradicts_the_program_is_dropped(executed, kept):
    code = "with runstore.start_run('digits', params={'lr': 1}) as run: pass"

    ended = executed(code, options=("-p", "lr=2"))

    assert kept()[0].params == {"lr": 1}
    assert "not recorded: lr" in ended.stderr


def test_the_experiment_that_the_user_names_counts(executed, kept):
    executed(ONE, options=("-e", "mine"))

    assert [run.experiment_name for run in kept()] == ["mine"]


@pytest.mark.parametrize(
    ("code", "end"),
    [
        ("run = runstore.start_run('x'); run.log(loss=1)", (Status.COMPLETE, 0, None)),
        ("with runstore.start_run('x'): 1 / 0", (Status.ERROR, 1, "ZeroDivisionError")),
        ("with runstore.start_run('x'): sys.exit(3)", (Status.ERROR, 3, "SystemExit")),
        ("with runstore.start_run('x') as run: run.finish('pruned')", (Status.PRUNED, 0, None)),
        ("runstore.start_run('x'); os.kill(os.getpid(), 9)", (Status.ERROR, 137, "SIGKILL")),
    ],
)
def test_the_end_is_that_of_the_program(executed, kept, code, end):
    executed(code)

    (run,) = kept()
    status, exit_code, error = end
    assert (run.status, run.exit_code) == (status, exit_code)
    assert run.error is None if error is None else error in run.error


def test_a_failure_after_the_run_does_not_change_its_end(executed, kept):
    ended = executed(f"{ONE}\nsys.exit(3)")

    (run,) = kept()
    assert ended.returncode == 3
    assert (run.status, run.facts.values["command.exit_code"]) == (Status.COMPLETE, 3)
    assert messages(ended)[-1].endswith("complete: then the command ended with exit code 3")


@pytest.mark.parametrize("killed", ["exec", "program"])
def test_a_run_goes_on_while_its_program_lives(tmp_path, kept, killed):
    (tmp_path / "train.py").write_text(
        f"{START}with runstore.start_run('digits') as run:\n"
        "    run.log(loss=1); print(os.getpid(), flush=True); sys.stdin.read(); run.log(loss=2)"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "runstore", "exec", "--", sys.executable,
         "train.py"],
        cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    program = int(process.stdout.readline())
    (run,) = kept()
    assert (run.experiment_name, run.status) == ("digits", Status.RUNNING)

    os.kill(program if killed == "program" else process.pid, signal.SIGKILL)
    process.wait(timeout=100)
    if killed == "exec":
        assert kept()[0].status is Status.RUNNING
    process.stdin.close()
    deadline = time.monotonic() + 30
    while not kept()[0].status.is_final and time.monotonic() < deadline:
        time.sleep(0.05)
    process.stdout.close()

    (run,) = kept()
    expected = Status.COMPLETE if killed == "exec" else Status.ERROR
    assert run.status is expected
    assert run.metrics["loss"].count == (2 if killed == "exec" else 1)


@pytest.mark.parametrize(
    "command",
    [
        ["nice", "sh", "-c", f"{sys.executable} -m cProfile -o {os.devnull} train.py"],
        [sys.executable, "-m", "train"],
    ],
)
def test_launchers_come_between(executed, kept, command):
    executed(ONE, *command)

    assert [run.experiment_name for run in kept()] == ["digits"]


FORKS = """
import multiprocessing

def work(number):
    with runstore.start_run('digits') as run: run.log(loss=number)

if __name__ == '__main__':
    with multiprocessing.get_context('fork').Pool(1) as pool: pool.map(work, [1, 2])
"""
ITSELF = """
import subprocess
if sys.argv[1] == 'again':
    with runstore.start_run('digits') as run: run.log(loss=1)
else:
    subprocess.run([sys.executable, 'train.py', 'again'], check=True)
"""


@pytest.mark.parametrize(
    ("code", "command"),
    [
        (FORKS, ()),
        (ITSELF, ()),
        (ONE, ("sh", "-c", f"{sys.executable} train.py && {sys.executable} train.py")),
    ],
)
@pytest.mark.usefixtures("interpreters")
def test_programs_that_the_command_starts_have_runs_of_their_own(executed, kept, code, command):
    executed(code, *command)

    outer, *inner = kept()
    assert outer.experiment_name in {"train", "sh"}
    assert {(run.experiment_name, run.parent_uid) for run in inner} == {("digits", outer.uid)}


def test_the_first_of_several_runs_is_that_of_the_command(executed, kept):
    executed(
        "for number in range(3):\n"
        "    with runstore.start_run('digits', params={'n': number}) as run: print(number)"
    )

    first, *others = kept()
    assert [run.params for run in (first, *others)] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert [line.text for line in first.output] == ["0", "1", "2"]
    assert {run.parent_uid for run in others} == {first.uid}


def test_a_run_of_an_open_store(executed, kept):
    executed("store = runstore.Store.open()\nstore.start('digits', params={'a': 1}).finish()")

    assert [(run.experiment_name, run.params) for run in kept()] == [("digits", {"a": 1})]


@pytest.mark.parametrize("decorator", ["start_run", "recorded"])
def test_decorated_functions(executed, kept, decorator):
    executed(
        f"@runstore.{decorator}('digits')\ndef f(n): runstore.current_run().log(n=n)\nf(1)\nf(2)"
    )

    assert [run.metrics["n"].last for run in kept()] == [1, 2]


def test_everybody_logs_to_the_same_run(executed, kept):
    executed(
        "with runstore.start_run('digits') as run:\n"
        "    runstore.attach_run().log(a=1)\n"
        "    with open(os.environ['RUNSTORE_LOG'], 'a') as file: file.write('b=2\\n')\n"
        "open('model', 'w').write('w')\n"
        "with open(os.environ['RUNSTORE_LOG'], 'a') as file: file.write('late=3\\n')",
        options=("--save", "model"),
    )

    (run,) = kept()
    assert {key: one.last for key, one in run.metrics.items()} == {"a": 1, "b": 2, "late": 3}
    assert list(run.artifacts) == ["model"]


def test_a_run_in_another_store_or_with_another_parent_is_its_own(executed, kept):
    ended = executed(
        "with runstore.start_run('x', store='elsewhere'): pass\n"
        "with runstore.start_run('x', parent='train#1'): pass"
    )

    assert ended.returncode == 0, ended.stderr
    assert [run.experiment_name for run in kept()] == ["train", "x"]


def test_what_was_done_is_skipped(executed, kept, tmp_path):
    (tmp_path / "train.py").write_text(START + ONE)
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    who = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    subprocess.run(["git", *who, "commit", "-qm", "x"], cwd=tmp_path, check=True)
    options = ("--if-done", "skip")

    executed(ONE, options=options)
    skipped = executed(ONE, options=options)

    assert "skipped: train_1" in skipped.stderr
    assert [run.experiment_name for run in kept()] == ["train", "digits"]

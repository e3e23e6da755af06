"""What scripts print is kept with their runs, unless somebody turned that off."""

import io
import logging
import signal
import subprocess
import sys
import threading
from functools import partial

import pytest

import runstore
from commands import but_the_first_line, python
from places import store_at
from threads import at_once


@pytest.fixture
def store(tmp_path):
    with store_at(tmp_path / "store") as store:
        yield store


@pytest.fixture
def take_streams(monkeypatch):
    """Give streams of Python's own kind to the test, in its body: pytest sets its own before."""

    def take(**options):
        arrived = {}
        for name in ("stdout", "stderr"):
            arrived[name] = io.BytesIO()
            buffer = io.BufferedWriter(arrived[name])
            stream = io.TextIOWrapper(buffer, encoding="utf-8", **options)
            monkeypatch.setattr(sys, name, stream)
        return arrived

    return take


def texts(run):
    return [line.text for line in run.record.output]


def script(folder, text, *, variables=None, **options):
    """Run a script as a user does, and return how it ended."""
    (folder / "train.py").write_text(text)
    return python("train.py", cwd=folder, env=variables or {}, **options)


PRINTING = "import runstore\nwith runstore.start_run('fit'): print('epoch 1')\n"


def newest(folder):
    return store_at(folder / ".runstore").get("latest")


def test_both_streams_are_kept_and_shown(store, take_streams):
    shown = take_streams()
    with runstore.start_run("fit", store=store, capture=False) as run:
        print("epoch", 1, "loss", 0.5)
        print("careful", file=sys.stderr)
        print("no end of line", end="")

    assert texts(run) == ["epoch 1 loss 0.5", "careful", "no end of line"]
    sys.stdout.flush()
    assert shown["stdout"].getvalue() == b"epoch 1 loss 0.5\nno end of line"
    print(" of the program")
    sys.stdout.flush()
    assert shown["stdout"].getvalue().endswith(b"no end of line of the program\n")


def test_a_decorated_function_keeps_what_it_prints(store, capsys):
    @runstore.recorded("fit", store=store, capture=False)
    def fit():
        print("inside")
        return runstore.current_run()

    run = fit()
    print("outside")

    assert texts(run) == ["inside"]
    assert capsys.readouterr().out == "inside\noutside\n"


@pytest.mark.parametrize(
    ("variables", "settings", "is_kept"),
    [
        ({}, "", True),
        ({"RUNSTORE_OUTPUT": "0"}, "", False),
        ({}, "[tool.runstore]\noutput = false\n", False),
        ({"RUNSTORE_OUTPUT": "1"}, "[tool.runstore]\noutput = false\n", True),
        ({}, "[tool.runstore]\noutput = 'maybe'\n", True),
    ],
)
def test_variable_and_settings_turn_it_off(engine, tmp_path, variables, settings, is_kept):
    (tmp_path / "pyproject.toml").write_text(settings)

    ended = script(tmp_path, PRINTING, variables=variables)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "epoch 1\n"
    kept = [line.text for line in newest(tmp_path).output if line.stream == "stdout"]
    assert kept == ["epoch 1"] * is_kept
    if engine == "sqlite":  # a store on a server is there before
        assert ("with their output" in ended.stderr) is is_kept


def test_the_argument_counts_more_than_the_settings(store, monkeypatch):
    monkeypatch.setenv("RUNSTORE_OUTPUT", "0")
    with runstore.start_run("fit", store=store, capture=False, output=True) as loud:
        print("kept")
    monkeypatch.setenv("RUNSTORE_OUTPUT", "1")
    with runstore.start_run("fit", store=store, capture=False, output=False) as quiet:
        print("not kept")

    assert (texts(loud), texts(quiet)) == (["kept"], [])


@pytest.mark.folder_only("makes the folder")
def test_a_new_store_is_announced_once(tmp_path):
    first = script(tmp_path, PRINTING)
    second = script(tmp_path, PRINTING)

    place = tmp_path / ".runstore"
    assert first.stderr == (
        f"runstore: runs are recorded in {place}, with their output"
        " (start_run(output=False) turns that off).\n"
    )
    assert second.stderr == ""


@pytest.mark.parametrize("closing", ["sys.stderr.close()", "sys.stderr = None", "os.close(2)"])
def test_nothing_is_announced_on_a_closed_stream(tmp_path, closing):
    ended = script(tmp_path, f"import os, sys\n{closing}\n{PRINTING}")

    assert ended.returncode == 0
    assert ended.stdout == "epoch 1\n"
    assert newest(tmp_path).status == "complete"


def test_handlers_made_before_the_start_are_kept(tmp_path):
    ended = script(
        tmp_path,
        "import logging, runstore\n"
        "logging.basicConfig(format='%(message)s')\n"
        "with runstore.start_run('fit'):\n"
        "    logging.warning('the data has gaps')\n"
        "logging.warning('after the end')\n",
    )

    assert [line.text for line in newest(tmp_path).output] == ["the data has gaps"]
    assert but_the_first_line(ended.stderr) == "the data has gaps\nafter the end\n"


def test_a_record_that_is_kept_and_shown_is_kept_once(store, take_streams):
    shown = take_streams()
    logger = logging.getLogger("gaps")
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    try:
        with runstore.start_run("fit", store=store, capture=False) as run:
            run.attach_logging("gaps")
            logger.warning("the data has gaps")
            print("printed", file=sys.stderr)
    finally:
        logger.removeHandler(handler)

    assert texts(run) == ["WARNING gaps: the data has gaps", "printed"]
    sys.stderr.flush()
    lines = shown["stderr"].getvalue().decode()
    assert but_the_first_line(lines) == "the data has gaps\nprinted\n"


def test_threads_with_runs_of_their_own_keep_their_output_apart(store):
    with runstore.start_run("sweep", store=store, capture=False) as sweep:
        runs = {}
        turn = threading.Barrier(3)

        def fit(number):
            with runstore.start_run("fit", store=store, capture=False) as run:
                runs[number] = run
                turn.wait(20)
                sys.stdout.write(f"fit {number}\n")
                turn.wait(20)

        at_once([partial(fit, number) for number in range(3)])

    assert {number: texts(run) for number, run in runs.items()} == {
        number: [f"fit {number}"] for number in range(3)
    }
    assert sorted(texts(sweep)) == ["fit 0", "fit 1", "fit 2"]


def test_the_output_of_a_quiet_run_goes_to_the_run_around_it(store):
    with runstore.start_run("outer", store=store, capture=False) as outer:
        with runstore.start_run("inner", store=store, capture=False, output=False) as inner:
            print("inside")
        print("outside")

    assert (texts(outer), texts(inner)) == (["inside", "outside"], [])


def test_runs_that_nobody_ends_do_not_pile_up(store):
    """A notebook's cell that is executed again starts a run, and nobody ends the first one."""
    before = sys.stdout
    first = runstore.start_run("cell", store=store, capture=False)
    once = sys.stdout
    runs = [first, *(runstore.start_run("cell", store=store, capture=False) for _ in range(9))]
    assert sys.stdout is once
    print("of the last one")
    for run in runs:
        run.finish()

    assert sys.stdout is before
    assert [texts(run) for run in runs] == [[]] * 9 + [["of the last one"]]


def test_a_run_that_prints_nothing_leaves_no_output(store):
    with runstore.start_run("quiet", store=store, capture=False) as run:
        assert store.backend.spool.output_files(run.uid) == []

    assert texts(run) == []


def test_lines_survive_a_kill(tmp_path):
    text = (
        "import os, signal, runstore\n"
        "run = runstore.start_run('fit', capture=False)\n"
        "print('epoch', 1)\nprint('epoch', 2)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = script(tmp_path, text)

    assert ended.returncode == -signal.SIGKILL
    run = newest(tmp_path)
    assert (run.status, [line.text for line in run.output]) == ("lost", ["epoch 1", "epoch 2"])


def test_forked_children_and_their_parent_are_kept(tmp_path):
    text = (
        "import os, runstore\n"
        "with runstore.start_run('fit', capture=False):\n"
        "    child = os.fork()\n"
        "    print('child' if child == 0 else 'parent', flush=True)\n"
        "    if child == 0: os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
    )
    script(tmp_path, text)

    assert sorted(line.text for line in newest(tmp_path).output) == ["child", "parent"]


def test_only_a_forked_child_prints(tmp_path):
    text = (
        "import os, runstore\n"
        "with runstore.start_run('fit', capture=False):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        print('child', flush=True)\n"
        "        os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
    )
    script(tmp_path, text)

    assert [line.text for line in newest(tmp_path).output] == ["child"]


def test_descriptors_are_left_alone(tmp_path):
    text = (
        "import os, subprocess, sys, runstore\n"
        "with runstore.start_run('fit', capture=False):\n"
        "    aside = os.open('aside.txt', os.O_WRONLY | os.O_CREAT)\n"
        "    before = os.dup(1)\n"
        "    sys.stdout.flush(); os.dup2(aside, 1)\n"
        "    print('redirected', flush=True)\n"
        "    subprocess.run(['echo', 'of a child'])\n"
        "    os.dup2(before, 1)\n"
        "    print(sys.stdout.fileno(), 'again')\n"
    )
    ended = script(tmp_path, text)

    assert ended.stdout == "1 again\n", ended.stderr
    assert (tmp_path / "aside.txt").read_text() == "redirected\nof a child\n"
    assert [line.text for line in newest(tmp_path).output] == ["redirected", "1 again"]


def test_a_reader_that_goes_away_ends_no_run(tmp_path):
    (tmp_path / "train.py").write_text(
        "import runstore, sys\n"
        "with runstore.start_run('fit', capture=False) as run:\n"
        "    try:\n"
        "        for number in range(100_000): print(number)\n"
        "    except BrokenPipeError:\n"
        "        run.tags['reader'] = 'gone'\n"
        "sys.stderr.write('end')\n"
    )
    ended = subprocess.run(
        f'"{sys.executable}" train.py | head -1',
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.stdout == "0\n"
    assert "end" in ended.stderr
    run = newest(tmp_path)
    assert (run.status, run.tags) == ("complete", {"reader": "gone"})


def test_unbuffered_parts_are_shown_at_once_and_kept_together(store, take_streams):
    shown = take_streams(write_through=True)
    with runstore.start_run("fit", store=store, capture=False) as run:
        sys.stdout.write("10 %")
        sys.stdout.buffer.raw.flush()
        sys.stdout.flush()
        assert shown["stdout"].getvalue() == b"10 %"
        print(" ", 20, "%")

    assert texts(run) == ["10 %  20 %"]


def test_lines_are_shown_as_buffered_as_before(store, take_streams):
    shown = take_streams()
    with runstore.start_run("fit", store=store, capture=False):
        print("waits")
        assert shown["stdout"].getvalue() == b""
        assert not sys.stdout.line_buffering
        sys.stdout.reconfigure(line_buffering=True)
        print("at once")
        assert shown["stdout"].getvalue() == b"waits\nat once\n"


def test_the_streams_are_as_before_after_the_run(store, take_streams):
    take_streams()
    before = sys.stdout, sys.stderr
    with runstore.start_run("fit", store=store, capture=False):
        assert sys.stdout is not before[0]
    with runstore.start_run("fit", store=store, capture=False) as run:
        print("second")

    assert (sys.stdout, sys.stderr) == before
    assert "write" not in vars(before[0])
    assert texts(run) == ["second"]


def test_tags_a_name_and_a_seed_are_there_from_the_start(store):
    run = runstore.start_run(
        "fit", store=store, capture=False, params={"lr": 0.1}, seed=7, name="wide", tags=["pilot"]
    )

    assert run.record.params == {"lr": 0.1, "seed": 7}
    assert run.record.tags == {"pilot": "", "name": "wide"}
    assert store.events(run) == ()
    run.finish()


def test_a_seed_is_added_to_each_parameter_set(store):
    sets = [runstore.parameter_set({"lr": lr}, name=f"lr{lr}") for lr in (1, 2)]
    run = runstore.start_run("fit", store=store, capture=False, params=sets, seed=7)
    run.finish()

    assert run.record.params == {"lr1": {"lr": 1, "seed": 7}, "lr2": {"lr": 2, "seed": 7}}


def test_a_seed_that_disagrees_records_nothing(store):
    runstore.start_run("fit", store=store, capture=False, params={"seed": 7}, seed=7).finish()

    with pytest.raises(runstore.errors.UsageError, match="seed=8"):
        runstore.start_run("fit", store=store, capture=False, params={"seed": 7}, seed=8)

    assert len(store.list()) == 1


def test_a_store_takes_seed_name_and_tags_too(store):
    begun = {"seed": 7, "name": "first", "tags": {"phase": "pilot"}, "params": {"lr": 0.1}}
    with store.start("fit", **begun, capture=False) as of_store:
        pass
    with runstore.start_run("fit", store=store, **begun, capture=False) as of_project:
        pass

    assert of_store.record.params == of_project.record.params == {"lr": 0.1, "seed": 7}
    assert of_store.record.tags == of_project.record.tags == {"phase": "pilot", "name": "first"}


@pytest.mark.parametrize("tags", [7, [""], {"a=b": 1}, b"bytes"])
def test_what_cannot_be_a_tag_records_nothing(store, tags):
    with pytest.raises(runstore.errors.InvalidValueError):
        runstore.start_run("fit", store=store, capture=False, tags=tags)

    assert list(store.list()) == []


def test_a_secret_among_the_tags_is_masked(store):
    with pytest.warns(runstore.StoreWarning, match="looks like a secret"):
        run = runstore.start_run("fit", store=store, capture=False, tags={"password": "hunter22"})
    run.finish()

    assert run.record.tags == {"password": "***"}


def test_a_decorator_with_tags_starts_no_run(store):
    @runstore.start_run("fit", store=store, capture=False, tags=["keep"])
    def fit():
        return runstore.current_run()

    run = fit()

    assert [one.reference for one in store.list()] == [run.reference]
    assert run.record.tags == {"keep": ""}


def test_a_resumed_run_gets_what_is_added(store):
    runstore.start_run("fit", store=store, capture=False, params={"lr": 0.1}).finish()

    with runstore.start_run(
        resume="fit#1", store=store, params={"epochs": 3}, tags=["longer"], notes="more"
    ) as run:
        print("goes on")

    record = run.record
    assert record.params == {"lr": 0.1, "epochs": 3}
    assert (record.tags, record.notes) == ({"longer": ""}, "more")
    assert texts(run) == ["goes on"]

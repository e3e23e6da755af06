"""Recording goes on when a program has used up its descriptors, or has closed those of others."""

import os
import subprocess
import sys

import pytest

from runstore import Status, Store
from runstore.storage.drivers import descriptors

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits are those of POSIX")

USED_UP = """
import os, pickle, resource, sys, traceback
import runstore

def use_up():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    try:
        while True: os.open(os.devnull, os.O_RDONLY)
    except OSError: pass

def in_block(run):
    try:
        with run: raise ValueError("boom")
    except ValueError as error: assert str(error) == "boom"

def in_except(run):
    try: raise ValueError("boom")
    except ValueError: run.finish("error")

def printing(run):
    run.keep_output()
    print("printed")

ACTIONS = {
    "log": lambda run: run.log(a=1.0),
    "points": lambda run: run.log_points("a", [1.0, 2.0]),
    "tag": lambda run: run.tags.update(a="b"),
    "note": lambda run: run.edit(notes="n"),
    "save": lambda run: run.save("a.json", {"a": 1}),
    "text": lambda run: run.log_text("a", "b"),
    "params": lambda run: run.add_params(seed=7),
    "block": in_block,
    "except": in_except,
    "print": printing,
    "records": lambda run: run.attach_logging(),
    "pickle": pickle.dumps,
    "finish": lambda run: run.finish(),
}
for name, action in ACTIONS.items():
    if os.fork() == 0:
        try:
            run = runstore.start_run(name, store=sys.argv[1], capture="capture" in sys.argv)
            use_up()
            action(run)
            run.status.is_final or run.finish()
            run.store.close()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.wait()
"""


@pytest.mark.parametrize("capture", [(), ("capture",)])
def test_nothing_of_a_run_needs_descriptors_that_are_used_up(tmp_path, capture):
    """What recording loads late, and what it keeps, has descriptors in reserve."""
    (tmp_path / "program.py").write_text(USED_UP)
    warnings = "ignore" if capture else "error"  # some facts cannot be read

    ended = subprocess.run(
        [sys.executable, "-W", warnings, "program.py", tmp_path / "store", *capture],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.stderr == ""
    with Store.open(tmp_path / "store") as store:
        kept = {run.experiment_name: run for run in store.list()}
        assert {run.status for name, run in kept.items() if name not in {"block", "except"}} == {
            Status.COMPLETE
        }
        assert list(kept["log"].metric("a").values) == [1.0]
        assert list(kept["points"].metric("a").values) == [1.0, 2.0]
        assert kept["tag"].tags == {"a": "b"}
        assert kept["note"].notes == "n"
        assert kept["save"].read_bytes("a.json")
        assert list(kept["text"].artifacts) == ["media/text/a/0.txt"]
        assert kept["params"].params == {"seed": 7}
        assert [line.text for line in kept["print"].output] == ["printed"]
        for name in ("block", "except"):
            assert kept[name].error == "ValueError: boom"
            assert "Traceback (most recent call last)" in kept[name].traceback


def test_points_wait_in_memory_if_not_even_the_reserve_helps(tmp_path):
    """They are logged as of then, in their order, once there are descriptors again."""
    code = (
        "import resource, sys, time, runstore\n"
        "from runstore import StoreWarning\n"
        "run = runstore.start_run('x', store=sys.argv[1], capture=False)\n"
        "most = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, most[1]))\n"
        "values = {'a': 0.0}\n"
        "run.log(values); values['a'] = 9.0\n"
        "run.log(a=1.0); run.log_points('a', [2.0, 3.0])\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, most)\n"
        "if sys.argv[2] == 'log': run.log(a=4.0)\n"
        "run.finish()\n"
    )
    for last, expected in (("log", [0.0, 1.0, 2.0, 3.0, 4.0]), ("end", [0.0, 1.0, 2.0, 3.0])):
        ended = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "store", last],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

        assert ended.stderr.count("StoreWarning") == 1
        assert "held in memory: Too many open files" in ended.stderr
        with Store.open(tmp_path / "store") as store:
            assert list(store.get("latest").metric("a").values) == expected


def test_the_reserve_leaves_alone_what_took_its_descriptors(tmp_path):
    """A program that closed all files, as daemons do, keeps what it opened afterwards."""
    descriptors.keep_reserve()
    numbers = [number for number, _ in descriptors._reserve]
    mine = os.open(tmp_path / "mine", os.O_RDWR | os.O_CREAT)
    for number in numbers:
        os.dup2(mine, number)

    with pytest.raises(OSError, match="used up"):
        descriptors.with_room(_used_up)

    for number in (mine, *numbers):
        assert os.fstat(number).st_ino == (tmp_path / "mine").stat().st_ino
        os.close(number)
    assert len(descriptors._reserve) == len(numbers)


def _used_up():
    raise OSError(24, "used up")

"""Recording goes on when a program has used up its descriptors, or has closed those of others."""

import errno
import gc
import os
import subprocess
import sys
import threading
import types
from functools import partial

import pytest

from commands import but_the_first_line, python
from places import place, store_at
from runstore import Status
from runstore.storage.sqlite import descriptors
from runstore.storage.sqlite.read_only import ways_to_read
from threads import at_once

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
    "many": lambda run: run.log_points("a", [float(one) for one in range(20_000)]),
    "tag": lambda run: run.tags.update(a="b"),
    "note": lambda run: run.edit(notes="n"),
    "save": lambda run: run.save("a.json", {"a": 1}),
    "unknown": lambda run: run.save("a.bin", b"1"),
    "path": lambda run: run.save("a.weights"),
    "use": lambda run: run.use("program.py"),
    "text": lambda run: run.log_text("a", "b"),
    "params": lambda run: run.add_params(seed=7),
    "typed": lambda run: run.add_params(sizes=(1, 2), activation=lambda value: value),
    "block": in_block,
    "except": in_except,
    "print": printing,
    "records": lambda run: run.attach_logging(),
    "pickle": pickle.dumps,
    "parent": lambda run: run.store.start("child", parent=run, capture=False).finish(),
    "finish": lambda run: run.finish(),
}
runstore.start_run, runstore.Store  # what all of them load before
for name in sys.argv[2:] or ACTIONS:
    if os.fork() == 0:
        action = ACTIONS[name]
        try:
            run = runstore.start_run(name, store=sys.argv[1], capture=len(sys.argv) > 2)
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


@pytest.mark.parametrize("captured", [(), ("log", "save", "block", "print")])
def test_nothing_of_a_run_needs_descriptors_that_are_used_up(tmp_path, captured):
    """What recording loads late, and what it keeps, has descriptors in reserve."""
    (tmp_path / "program.py").write_text(USED_UP)
    (tmp_path / "a.weights").write_bytes(b"2")
    warnings = "ignore" if captured else "error"  # some facts cannot be read

    ended = subprocess.run(
        [sys.executable, "-W", warnings, "program.py", place(tmp_path / "store"), *captured],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert but_the_first_line(ended.stderr) == ""
    with store_at(tmp_path / "store") as store:
        kept = {run.experiment_name: run for run in store.list()}
        if captured:  # which may take what another thread is about to use
            assert kept.keys() == set(captured)
            assert all(run.status.is_final for run in kept.values())
            return
        assert {run.status for name, run in kept.items() if name not in {"block", "except"}} == {
            Status.COMPLETE
        }
        assert list(kept["log"].metric("a").values) == [1.0]
        assert list(kept["points"].metric("a").values) == [1.0, 2.0]
        assert list(kept["many"].metric("a").values) == list(range(20_000))
        assert len(kept["many"].outline("a", stretches=10)) < 20
        assert kept["tag"].tags == {"a": "b"}
        assert kept["note"].notes == "n"
        assert kept["save"].read_bytes("a.json")
        assert kept["unknown"].read_bytes("a.bin") == b"1"
        assert kept["path"].read_bytes("a.weights") == b"2"
        assert kept["use"].inputs[0].digest
        assert kept["child"].parent_uid == kept["parent"].uid
        assert list(kept["text"].artifacts) == ["media/text/a/0.txt"]
        assert kept["params"].params == {"seed": 7}
        assert kept["typed"].params["sizes"] == [1, 2]
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
            [sys.executable, "-c", code, place(tmp_path / "store"), last],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

        assert ended.stderr.count("StoreWarning") == 1
        assert "held in memory: Too many open files" in ended.stderr
        with store_at(tmp_path / "store") as store:
            assert list(store.get("latest").metric("a").values) == expected


def test_the_reserve_leaves_alone_what_took_its_descriptors(tmp_path):
    """A program that closed all files, as daemons do, keeps what it opened afterwards."""
    descriptors.keep_reserve()
    numbers = [one.number for one in descriptors._reserve]
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


CLOSED = """
import gc, os, sys, warnings
warnings.simplefilter("ignore")
import runstore
folder, which, place, other = sys.argv[1:]
store = runstore.Store.open(place)
run = store.start("x", capture=False)
run.log(a=0.0); run.tags["before"] = "1"; run.keep_output(); print("before")
mine = []

def use(number):
    mine.append(open(f"{folder}/mine{number}", "w+b"))
    mine[-1].write(b"precious " * 1000); mine[-1].flush()

if which == "all": os.closerange(3, 256)
elif which == "reused":
    os.closerange(3, 256)
    for number in range(40): use(number)
else:
    ours = [f"/proc/self/fd/{one}" for one in os.listdir("/proc/self/fd")]
    ours = [one for one in ours if os.path.exists(one) and os.readlink(one).endswith(which)]
    assert ours
    use(0)
    for one in ours: os.dup2(mine[0].fileno(), int(one.rpartition("/")[2]))
for number in range(1, 3000): run.log(a=float(number))
run.tags["after"] = "1"; run.edit(notes="n"); run.add_params(seed=1)
run.save("f.txt", b"contents"); run.log_text("t", "text")
print("after")
again = runstore.Store.open(other).start("y", capture=False)
again.finish()
run.finish()
store.close(); del run, store; gc.collect()
for one in mine:
    one.seek(0)
    assert one.read() == b"precious " * 1000, one.name
    one.write(b"more"); one.flush()
"""


ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are found in /proc")


@ON_LINUX
@pytest.mark.parametrize("which", ["all", "reused", ".points", ".output"])
def test_files_that_took_the_place_of_ours_are_not_written_to(tmp_path, which):
    """The run goes on in the spool, and nothing of it is lost."""
    check_replaced(tmp_path, which)


@ON_LINUX
@pytest.mark.folder_only("is about files of SQLite")
@pytest.mark.parametrize("which", ["/runstore.db", "-wal", "-shm"])
def test_files_that_took_the_place_of_the_database_are_not_written_to(tmp_path, which):
    check_replaced(tmp_path, which)


def check_replaced(tmp_path, which):
    (tmp_path / "program.py").write_text(CLOSED)
    places = (place(tmp_path / "store"), place(tmp_path / "other"))

    ended = python("program.py", tmp_path, which, *places, cwd=tmp_path)

    assert but_the_first_line(ended.stderr) == ""
    with store_at(tmp_path / "store") as store:
        run = store.get("x#1")
        assert run.status is Status.COMPLETE
        assert run.tags == {"before": "1", "after": "1"}
        assert (run.notes, run.params) == ("n", {"seed": 1})
        assert sorted(run.artifacts) == ["f.txt", "media/text/t/0.txt"]
        assert list(run.metric("a").values) == list(range(3000))
        assert [line.text for line in run.output] == ["before", "after"]


@pytest.mark.folder_only("a connection is opened again, a file of SQLite is not")
def test_what_the_program_closed_is_said_once(tmp_path):
    code = (
        "import os, sys, runstore\n"
        "run = runstore.start_run('x', store=sys.argv[1], capture=False)\n"
        "os.closerange(3, 256)\n"
        "run.tags['a'] = '1'; run.tags['b'] = '1'; run.save('f', b'1')\n"
        "try: runstore.Store.open(sys.argv[1])\n"
        "except runstore.errors.StoreUnavailableError as error: print(error)\n"
    )

    ended = python("-c", code, place(tmp_path / "store"), cwd=tmp_path)

    assert ended.stderr.count("StoreWarning: This program has closed the open files of") == 1
    assert "Close only files that your program has opened" in ended.stdout
    with store_at(tmp_path / "store") as store:
        assert store.get("latest").tags == {"a": "1", "b": "1"}


ANOTHER = """
import fcntl, os, sys, runstore
from runstore.storage.sqlite import descriptors

def started(name):
    return runstore.start_run(name, store=f"{sys.argv[1]}/{name}", capture=False)

def marks():
    found = {}
    for one in os.listdir("/proc/self/fd"):
        try: found[one] = fcntl.fcntl(int(one), fcntl.F_GETSIG)
        except OSError: pass
    return {one: mark for one, mark in found.items() if mark}  # not what a thread just reads

run = started("x")
before = marks()
with open(os.devnull) as file:  # others had as many files that the next mark is the first again
    while descriptors.marked(file.fileno()) != descriptors._MARKS: pass
os.closerange(3, 256)
other = started("y")
assert marks() == before
run.finish()
other.finish()
"""


@ON_LINUX
@pytest.mark.folder_only("is about files of SQLite")
def test_another_database_in_place_of_a_closed_one_is_not_written_to(tmp_path):
    """Its files may have the same numbers and the same marks."""
    ended = python("-c", ANOTHER, place(tmp_path), cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert "StoreWarning: This program has closed the open files of" in ended.stderr
    for name in ("x", "y"):
        with store_at(tmp_path / name) as store:
            assert [one.experiment_name for one in store.list()] == [name]
            assert store.check(deep=True) == ()


REMOVED = """
import gc, os, runstore, shutil, sys
run = runstore.start_run("x", store=sys.argv[1], capture=False)
if sys.argv[2] == "closed": os.closerange(3, 256)
else: os.unlink(sys.argv[1] + "/runstore.db-wal")
run.tags["a"] = "1"; run.finish(); del run; gc.collect()
shutil.rmtree(sys.argv[1])
links = [f"/proc/self/fd/{one}" for one in os.listdir("/proc/self/fd")]
links = {os.readlink(one) for one in links if os.path.lexists(one)}
assert any(one.endswith("/runstore.db (deleted)") for one in links), links
runstore.start_run("y", store=sys.argv[1], capture=False).finish()
"""


@ON_LINUX
@pytest.mark.folder_only("is about files of SQLite")
@pytest.mark.parametrize("how", ["closed", "removed"])
def test_the_number_of_a_database_that_must_not_be_used_is_not_given_to_another(tmp_path, how):
    """Otherwise a new store could not be used, because its file had the number of the old one."""
    ended = python("-c", REMOVED, place(tmp_path / "store"), how, cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    with store_at(tmp_path / "store") as store:
        assert [one.experiment_name for one in store.list()] == ["y"]


@ON_LINUX
@pytest.mark.folder_only("is about files of SQLite")
def test_a_program_that_lost_its_locks_writes_to_no_removed_log(tmp_path):
    """It closed the database once, as a copy of the folder does; another program removed the log.

    It would damage the database, and lose what it writes if it was killed.
    """
    code = (
        "import os, subprocess, sys, runstore\n"
        "run = runstore.start_run('x', store=sys.argv[1], capture=False)\n"
        "open('store/runstore.db', 'rb').close()\n"
        "def other(work):\n"
        "    code = 'import sys, runstore; store = runstore.Store.open(sys.argv[1]); '\n"
        "    subprocess.run([sys.executable, '-c', code + work, sys.argv[1]], check=True)\n"
        "other('store.close()')\n"
        "assert not os.path.exists('store/runstore.db-wal')\n"
        "run.tags['a'] = '1'; run.log(a=1.0)\n"
        "other('store.start(\"y\", capture=False).finish()')\n"
        "run.tags['b'] = '1'; run.finish()\n"
        "try: runstore.Store.open(sys.argv[1])\n"
        "except runstore.errors.StoreUnavailableError as error: print(error)\n"
    )

    ended = python("-c", code, place(tmp_path / "store"), cwd=tmp_path)

    assert ended.returncode == 0
    assert "StoreWarning: Another program removed the log of" in ended.stderr
    assert ended.stdout.startswith("Another program removed the log of")
    with store_at(tmp_path / "store") as store:
        run = store.get("x#1")
        assert (run.status, run.tags) == (Status.COMPLETE, {"a": "1", "b": "1"})
        assert run.metrics["a"].last == 1.0
        assert store.get("y#1").status is Status.COMPLETE
        assert store.check(deep=True) == ()


def test_connections_of_other_threads_are_not_taken_for_closed_ones(tmp_path, only_new_objects):
    """Threads that connect at once, and end in any order, close each their own."""
    with store_at(tmp_path) as store, store.start("x", capture=False) as run:
        for _ in range(3):
            together = threading.Barrier(8)

            def work(number, together=together):
                together.wait()
                store.get(run.uid)
                run.tags[f"t{number}"] = "1"

            at_once([partial(work, number) for number in range(8)])
            gc.collect()
            with store_at(tmp_path) as other:
                other.get(run.uid)

        assert len(run.record.tags) == 8
        assert list(store.backend.spool.records()) == []


@pytest.mark.folder_only("is about files of SQLite")
def test_a_module_that_another_thread_could_not_load_is_missing(tmp_path, monkeypatch):
    """Descriptors ran out in the middle of it, and this thread waited for it."""
    with store_at(tmp_path) as store, store.start("x", capture=False):
        monkeypatch.setitem(sys.modules, "tempfile", types.ModuleType("tempfile"))

        with pytest.raises(ImportError):  # as expected where the database cannot be opened
            list(ways_to_read(tmp_path / "runstore.db"))


PATH_AFTERWARDS = """
import os, resource, sys
import runstore
store = runstore.Store.open("store")
store.start("x", capture=False).finish()
assert "pathlib" not in sys.modules
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    while True: os.open(os.devnull, os.O_RDONLY)
except OSError: full = True
os.write(1, os.fsencode(store.path.name))
"""


def test_the_folder_of_a_store_is_known_when_descriptors_are_used_up(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", PATH_AFTERWARDS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.stdout == "store", ended.stderr


TWO_BLOCKS = """
import os
from runstore.storage.sqlite.descriptors import new_descriptors

with new_descriptors() as outer:
    with new_descriptors() as inner:
        opened = os.open(".", os.O_RDONLY)
        assert not inner()
    assert not outer()
os.close(opened)

with new_descriptors() as alone:
    opened = os.open(".", os.O_RDONLY)
    assert set(alone()) == {opened}
"""


def test_descriptors_that_two_blocks_opened_at_once_belong_to_neither(tmp_path):
    # In a process without the threads and descriptors of other tests.
    ended = python("-c", TWO_BLOCKS, cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr


FEW_LEFT = """
import os, resource, sys
import runstore
from runstore.errors import StoreUnavailableError

runstore.start_run, runstore.Store
path, left = sys.argv[1], int(sys.argv[2])
if "warm" in sys.argv:
    runstore.start_run("before", store=path, capture=False).finish()
resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
held = []
try:
    while True: held.append(os.open(os.devnull, os.O_RDONLY))
except OSError: pass
for one in held[:left]: os.close(one)
try:
    run = runstore.start_run("few", store=path, capture=False)
    run.log(a=1.0)
    run.finish()
    print("recorded")
except StoreUnavailableError as error:
    print("refused" if os.strerror(24) in str(error) and "ulimit" in error.hint else error)
for one in held[left:]: os.close(one)
runstore.start_run("after", store=path, capture=False).finish()
"""


@pytest.mark.parametrize(
    ("left", "warm", "said"),
    [
        (0, ["warm"], "recorded"),
        (1, ["warm"], "recorded"),
        (0, [], "refused"),
        (2, [], None),
        (4, [], None),
        (12, [], "recorded"),
    ],
)
def test_a_start_with_few_descriptors_is_recorded_or_refused(engine, tmp_path, left, warm, said):
    """It leaves no run that goes on, and with descriptors again the next one is recorded."""
    ended = subprocess.run(
        [sys.executable, "-c", FEW_LEFT, place(tmp_path / "store"), str(left), *warm],
        capture_output=True,
        text=True,
        check=False,
    )

    if engine == "sqlite" or left != 2:  # else a connection has left none for a file of points
        assert but_the_first_line(ended.stderr) == ""
    assert ended.stdout.strip() in ({said} if said else {"recorded", "refused"})
    expected = {"after", *(["before"] if warm else [])}
    expected |= {"few"} if ended.stdout.strip() == "recorded" else set()
    with store_at(tmp_path / "store") as store:
        assert {run.experiment_name: run.status for run in store.list()} == dict.fromkeys(
            expected, Status.COMPLETE
        )


FEWER_THAN_THE_RESERVE = """
import os, resource, sys
import runstore
from runstore.errors import StoreError

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), hard))
try:
    with runstore.start_run("fit", store=sys.argv[1], capture=False) as run:
        for work in (lambda: run.save("a.txt", b"a"), lambda: run.edit(notes="n")):
            try: work()
            except StoreError as error:
                assert os.strerror(24) in str(error) and "ulimit -n" in error.hint, error
        print("started")
except StoreError as error:
    assert "ulimit -n" in error.hint, error
"""


@pytest.mark.folder_only("a connection to a server needs more")
def test_calls_that_the_reserve_is_not_enough_for_say_so(tmp_path):
    """A limit of the program may be lower than the number of files that a run needs."""
    printed = []
    for limit in range(7, 15):
        words = [sys.executable, "-c", FEWER_THAN_THE_RESERVE, tmp_path / str(limit), str(limit)]
        ended = subprocess.run(words, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, (limit, ended.stderr)
        printed.append(ended.stdout)

    assert "started\n" in printed


OPENED_WITH_NONE = """
import os, resource, sys
from runstore import RunstoreError, Store

os.close(os.open(sys.argv[1], os.O_RDONLY))
resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try: Store.open(sys.argv[1])
except RunstoreError as error: print(type(error).__name__, os.strerror(24) in str(error))
"""


def test_a_store_that_no_descriptor_is_left_for_is_unavailable(tmp_path):
    """Even if the modules that open it are not loaded yet."""
    ended = subprocess.run(
        [sys.executable, "-c", OPENED_WITH_NONE, tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )

    assert (ended.stdout, ended.stderr) == ("StoreUnavailableError True\n", "")


READ_WITH_NONE = """
import errno, os, resource, sys
from runstore import Store
from runstore.errors import RunstoreError

with Store.open(sys.argv[1]) as store:
    run = store.get("e#1")
    run.read_bytes("a.txt")
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    for path in ("b.txt", "c.txt"):
        try: print(run.read_bytes(path))
        except RunstoreError as error: print(type(error).__name__, error.errno, error.hint)
"""


def test_files_that_no_descriptor_is_left_for_are_not_damaged(tmp_path):
    with store_at(tmp_path / "store") as store, store.start("e", capture=False) as run:
        for name in "abc":
            run.save(f"{name}.txt", name.encode())

    ended = python("-c", READ_WITH_NONE, place(tmp_path / "store"), cwd=tmp_path)

    line = f"StoreUnavailableError {errno.EMFILE} Close files that are not needed, or allow more"
    assert ended.stderr == ""
    assert [one.partition(":")[0] for one in ended.stdout.splitlines()] == [line, line]


@pytest.mark.folder_only("a store on a server has no files")
def test_a_program_records_in_more_stores_than_it_has_descriptors(tmp_path):
    """As tests do with a folder each; a run of the first store still records."""
    code = (
        "import gc, resource, runstore\n"
        "limit = (96, resource.getrlimit(resource.RLIMIT_NOFILE)[1])\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, limit)\n"
        "first = runstore.start_run('x', store='first', capture=False)\n"
        "for number in range(60):\n"
        "    with runstore.start_run('x', store=f'{number}', capture=False) as run:\n"
        "        run.log(a=1.0)\n"
        "    if number % 10 == 9: gc.collect()\n"
        "first.tags['late'] = '1'; first.finish()\n"
        "print(first.record.tags)\n"
    )

    ended = python("-c", code, cwd=tmp_path)

    assert but_the_first_line(ended.stderr) == ""
    assert ended.stdout == "{'late': '1'}\n"
    with store_at(tmp_path / "59") as store:
        assert store.get("x#1").metrics["a"].last == 1.0

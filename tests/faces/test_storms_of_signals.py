"""Signals that come again and again while a run begins or ends do not lose its end."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from command_server import Program
from commands import python
from places import place, store_at
from runstore import Status
from runstore.recording import live_runs
from runstore.storage.sqlite.signals import ENDING, Heard, Uninterrupted

PROGRAMS = {
    "block": (
        "with runstore.start_run('x', store=sys.argv[1], capture=False) as run:\n"
        "    run.log(a=1.0); print('ready', flush=True); time.sleep(60)\n"
    ),
    "plain": (
        "run = runstore.start_run('x', store=sys.argv[1], capture=False)\n"
        "run.log(a=1.0); print('ready', flush=True); time.sleep(60)\n"
    ),
    "starts": (
        "print('ready', flush=True)\n"
        "while True:\n"
        "    with runstore.start_run('x', store=sys.argv[1], capture=False): pass\n"
    ),
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_is_interrupted_however_often_that_is_said(tmp_path, program, number):
    code = "import runstore, sys, time\n" + PROGRAMS[program]
    process = Program(code, place(tmp_path / "store"))
    process.stdout.readline()
    if program == "starts":
        time.sleep(0.1)
    pause_s = 0.002
    while not process.has_ended():
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
        time.sleep(pause_s)
        pause_s *= 1.02  # a slow machine handles one after the other, and gets no further
    process.wait()

    with store_at(tmp_path / "store") as store:
        kept = store.list()
        ended = {run.status for run in kept}
        assert ended <= {Status.INTERRUPTED, Status.COMPLETE}
        assert program == "starts" or [run.status for run in kept] == [Status.INTERRUPTED]


@pytest.mark.parametrize("by_thread", [False, True])
def test_a_signal_ends_a_program_by_default_once_no_run_is_left(tmp_path, by_thread):
    code = (
        "import runstore, signal, sys, threading, time\n"
        "run = runstore.start_run('x', store=sys.argv[1], capture=False)\n"
        "ends = threading.Thread(target=run.finish)\n"
        "(ends.start(), ends.join()) if len(sys.argv) > 2 else run.finish()\n"
        "try: signal.raise_signal(signal.SIGTERM)\n"
        "finally: print('unwound')\n"
    )
    more = ["thread"] if by_thread else []

    ended = python("-c", code, place(tmp_path / "store"), *more, cwd=tmp_path)

    assert (ended.returncode, ended.stdout) == (-signal.SIGTERM, "")


ASKED_FOR_LATER = """
import os, signal, sys, time
import runstore

with runstore.start_run("fit", store=sys.argv[1]) as run:
    run.log(loss=1)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
    run.log(loss=2)
    with runstore.start_run("another", store=sys.argv[1]):
        for number in (signal.SIGUSR1, signal.SIGTERM):
            os.kill(os.getpid(), number)
    time.sleep(0.01)
    print(sorted(map(int, signal.sigpending())) == sorted([signal.SIGUSR1, signal.SIGTERM]))
    for number in signal.sigpending():
        signal.sigwait({number})
"""


def test_a_signal_that_the_program_blocks_does_not_end_it(tmp_path):
    """Slurm announces the end of a job so. Any thread that does not block it would get it."""
    ended = python("-c", ASKED_FOR_LATER, place(tmp_path / "store"), cwd=tmp_path)

    assert (ended.returncode, ended.stdout) == (0, "True\n")
    with store_at(tmp_path / "store") as store:
        assert {run.status for run in store.list()} == {Status.COMPLETE}


def test_signals_are_given_back_with_the_end_of_the_last_run(tmp_path):
    code = (
        "import runstore, signal, sys\n"
        "def is_ours(): return signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL\n"
        "seen = [is_ours()]\n"
        "with runstore.start_run('x', store=sys.argv[1], capture=False):\n"
        "    seen.append(is_ours())\n"
        "    with runstore.start_run('y', store=sys.argv[1], capture=False): pass\n"
        "    seen.append(is_ours())\n"
        "print(seen, is_ours())\n"
    )
    ended = python("-c", code, place(tmp_path / "store"), cwd=tmp_path)

    assert ended.stdout == "[False, True, True] False\n"


FORKS = """
import os, signal, sys, threading
import runstore
from runstore.storage.sqlite.signals import Uninterrupted

def fork():
    child = os.fork()
    if child == 0:
        is_default = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        os._exit(10 * is_default + (signal.getsignal(signal.SIGUSR1) is note))
    exits.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

def note(*_): pass

exits = []
signal.signal(signal.SIGUSR1, note)
with runstore.start_run("fit", store=sys.argv[1], capture=False):
    fork()
    with Uninterrupted(), Uninterrupted():
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
print(exits)
"""


def test_a_forked_child_has_the_handlers_of_the_program_alone(tmp_path):
    """A worker that waits in C, as for the next task of a pool, may see ours too late."""
    ended = python("-W", "ignore", "-c", FORKS, place(tmp_path / "store"), cwd=tmp_path)

    assert ended.stdout == "[11, 11]\n"


WORKERS = """
import os, signal, sys, time
import runstore

with runstore.start_run("fit", store=sys.argv[1], capture=False):
    children = []
    for _ in range(100):
        child = os.fork()
        if child == 0:
            time.sleep(20)
            os._exit(0)
        os.kill(child, signal.SIGTERM)
        children.append(child)
    ended = [os.waitpid(child, 0)[1] == signal.SIGTERM for child in children]
    print(all(ended), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def test_a_forked_child_is_ended_even_before_it_has_begun(tmp_path):
    """Python forgets such a signal if there is a handler, as for the active run."""
    ended = python("-W", "ignore", "-c", WORKERS, place(tmp_path / "store"), cwd=tmp_path)

    assert ended.stdout == "True set()\n"


DURING_A_FORK = """
import os, signal, sys, time

def send():
    os.kill(os.getpid(), int(sys.argv[2]))

os.register_at_fork(before=send)  # called after the hooks of runstore
import runstore

received = []
signal.signal(signal.SIGUSR1, lambda number, _: received.append(int(number)))
with runstore.start_run("fit", store=sys.argv[1], capture=False):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    latest = time.monotonic() + 20
    while not received and time.monotonic() < latest:
        time.sleep(0.01)
    print(received)
"""


@pytest.mark.parametrize(
    ("number", "output", "status"),
    [
        (signal.SIGINT, "", Status.INTERRUPTED),
        (signal.SIGTERM, "", Status.INTERRUPTED),
        (signal.SIGUSR1, f"[{int(signal.SIGUSR1)}]\n", Status.COMPLETE),
    ],
)
def test_a_signal_is_received_when_the_program_has_forked(tmp_path, number, output, status):
    """Python would print what the handler raises in a hook, and continue."""
    store = place(tmp_path / "store")
    program = ("-W", "ignore", "-c", DURING_A_FORK, store, str(int(number)))
    ended = python(*program, cwd=tmp_path)

    assert ended.stdout == output
    assert "Exception ignored" not in ended.stderr
    with store_at(tmp_path / "store") as opened:
        assert opened.get("fit#1").status is status


FORKS_AT_ONCE = """
import _thread, os, signal, sys

exits = []

def fork():
    child = os.fork()
    if child == 0:
        os._exit(is_as_before())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def is_as_before():
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    return not mask and signal.getsignal(signal.SIGINT) is signal.default_int_handler

def fork_another():
    if not exits:
        exits.append(None)
        exits[0] = fork()

def patch():  # as gevent does, which may switch to another greenlet in a hook
    _thread.get_ident = lambda: len(exits)

os.register_at_fork(before=fork_another)  # called after the hooks of runstore
if "before" in sys.argv: patch()
from runstore.recording import live_runs
if "after" in sys.argv: patch()
print(fork(), *exits, is_as_before(), flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("patched", ["never", "before", "after"])
def test_signals_are_received_after_two_forks_at_once_in_a_thread(tmp_path, patched):
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS_AT_ONCE, patched],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.stdout == "1 1 True\n", ended.stderr


RAISES_IN_HOOKS = """
import gc, os, sys, time
import _signal as signal  # the functions of the other make objects
from runstore.recording.signals.forks import ForkSignals

class Tick(Exception): pass

def tick(*_):
    if is_on: raise Tick

def send(*_):
    global left
    left -= 1
    if left == 0: os.kill(os.getpid(), signal.SIGRTMIN)

def call(hook):
    global is_on
    try:
        is_on = True
        hook()
    except Tick:
        pass
    is_on = False

is_on = False
signal.signal(signal.SIGRTMIN, tick)
handlers = [signal.getsignal(number) for number in signal.valid_signals()]
forks = ForkSignals(tick)
for after in (forks.after_in_parent, forks.after_in_child):
    at = left = 0
    while left <= 0:
        at = left = at + 1
        sys.setprofile(send)
        call(forks.before)
        call(after)
        sys.setprofile(None)
        time.sleep(0.002)  # to receive what was delayed
        now = [signal.getsignal(number) for number in signal.valid_signals()]
        assert now == handlers, at
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()), at
        assert gc.isenabled() and not forks._delays, at
    assert at > 20
print("done")
"""


def test_a_handler_that_raises_as_signals_are_delayed_leaves_none_blocked(tmp_path):
    """At each call of a function, also that of a real-time signal."""
    ended = python("-c", RAISES_IN_HOOKS, cwd=tmp_path)

    assert ended.stdout == "done\n", ended.stderr


KEEPS = """
import gc, os, sys, weakref
import runstore

class Big: pass

def fork():
    big = Big()
    if os.fork() == 0:
        os._exit(0)
    os.wait()
    return weakref.ref(big)

gc.disable()
with runstore.start_run("fit", store=sys.argv[1], capture=False):
    print(fork()())
"""


def test_a_fork_keeps_no_object_of_the_program(tmp_path):
    ended = python("-W", "ignore", "-c", KEEPS, place(tmp_path / "store"), cwd=tmp_path)

    assert ended.stdout == "None\n", ended.stderr


WORKER = """
import _thread, multiprocessing, operator, os, signal, sys
from functools import partial
from multiprocessing.util import Finalize
import runstore

def work():
    runstore.start_run("fit", store=sys.argv[1], capture=False)
    {then}

# All is loaded here, so that calls at the exit of the program are not those of the worker.
runstore.start_run("load", store=sys.argv[1], capture=False).finish()
worker = multiprocessing.get_context("fork").Process(target=work)
worker.start()
worker.join(20)
print(worker.exitcode is not None)
worker.kill()
"""
# In functions of C, between which Python calls no handler.
WAITS = """
    calls = [partial(_thread.interrupt_main, signal.SIGTERM), multiprocessing.Semaphore(0).acquire]
    list(map(operator.methodcaller("__call__"), calls))
"""
# In the call of another module, before that of runstore.
ENDS = """
    Finalize(None, os.kill, (os.getpid(), signal.SIGTERM), exitpriority=200)
"""


# As by Ctrl-C for the parent, which then ends its workers.
BOTH = """
    both = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, both)
    for number in both:
        os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, both)
"""


@pytest.mark.parametrize("then", [WAITS, ENDS, BOTH], ids=["waits", "ends", "both"])
def test_a_worker_with_a_run_is_ended_whenever_that_is_said(tmp_path, then):
    """A pool ends a worker by one SIGTERM, and waits for it without end."""
    program = WORKER.format(then=then.strip())
    ended = python("-W", "ignore", "-c", program, place(tmp_path / "store"), cwd=tmp_path)

    assert ended.stdout == "True\n"
    with store_at(tmp_path / "store") as store:
        assert store.get("fit#1").status is Status.INTERRUPTED


IN_WORKER = """
import multiprocessing, os, signal, sys, threading, time
import runstore

def start():
    return runstore.start_run("fit", store=sys.argv[1], capture=False)

def work():
{does}

runstore.Store.open(sys.argv[1]).close()
worker = multiprocessing.get_context("fork").Process(target=work)
worker.start()
worker.join(20)
print(worker.exitcode)
worker.kill()
"""
OWN_HANDLER = """
    signal.signal(signal.SIGTERM, lambda *_: None)
    with start():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.3)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with start():
        time.sleep(0.3)
"""
CLOSED_FILES = """
    signal.signal(signal.SIGUSR1, lambda *_: None)
    run = start()
    os.closerange(3, 1000)
    files = [open(f"{number}", "w+b", buffering=0) for number in range(12)]
    for file in files:
        file.write(b"0123456789")
        file.seek(0)
    signal.raise_signal(signal.SIGUSR1)
    time.sleep(0.3)
    assert {file.read() for file in files} == {b"0123456789"}
    os._exit(0)
"""
LATE_THREAD = """
    def outlive():
        threading.main_thread().join()
        try: start().finish()
        except RuntimeError: os._exit(1)
    threading.Thread(target=outlive).start()
"""


@pytest.mark.parametrize(
    "does",
    [OWN_HANDLER, CLOSED_FILES, LATE_THREAD],
    ids=["own handler", "closed files", "late thread"],
)
def test_a_worker_that_is_not_to_be_ended_goes_on(tmp_path, does):
    code = IN_WORKER.format(does=does.strip("\n"))
    ended = python("-W", "ignore", "-c", code, place(tmp_path / "store"), cwd=tmp_path)

    assert ended.stdout == "0\n", ended.stderr


TICKS = """
import os, signal, sys
import runstore
from runstore.recording import live_runs

live_runs.PATIENCE_S = float(sys.argv[2])

def allocate(*room):
    os.kill(os.getpid(), signal.SIGALRM)  # as a timer does if the disk is slow
    allocated(*room)

allocated, os.posix_fallocate = os.posix_fallocate, allocate
with runstore.start_run("fit", store=sys.argv[1], capture=False) as run:
    signal.signal(signal.SIGALRM, lambda *_: run.log(ticks=1))
    run.log(loss=1)
"""


needs_allocation = pytest.mark.skipif(
    not hasattr(os, "posix_fallocate"), reason="signals come while a file is allocated"
)


@needs_allocation
@pytest.mark.parametrize("patience_s", [60, 0])
def test_a_handler_may_log_while_the_first_point_is_logged(tmp_path, patience_s):
    ended = python("-c", TICKS, place(tmp_path / "store"), str(patience_s), cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    with store_at(tmp_path / "store") as store:
        run = store.get("fit#1")
        assert list(run.metric("loss").values) == [1]
        assert set(run.metric("ticks").values) == {1}


@needs_allocation
def test_a_disk_that_hangs_at_the_first_point_keeps_no_signal_waiting(tmp_path, monkeypatch):
    ends = []

    def hang(*_):
        signal.raise_signal(signal.SIGINT)
        ends.append("of the disk")

    monkeypatch.setattr(live_runs, "PATIENCE_S", 0.0)
    with store_at(tmp_path) as store:
        with store.start("x", capture=False) as run:
            with monkeypatch.context() as patched:
                patched.setattr(os, "posix_fallocate", hang)
                with pytest.raises(KeyboardInterrupt):
                    run.log(loss=1)
            assert ends == []
            run.log(loss=2)

        assert list(store.get("x#1").metric("loss").values) == [2]


@pytest.fixture
def called(monkeypatch):
    """Return what the handler of a signal notes."""
    calls = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: calls.append(number))
    yield calls
    signal.signal(signal.SIGUSR1, before)


def test_signals_wait_for_the_end_of_a_block(called):
    with Uninterrupted():
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGUSR1)
        assert called == []

    assert called == [signal.SIGUSR1] * 2
    with Uninterrupted(ENDING):
        signal.raise_signal(signal.SIGUSR1)
        assert len(called) == 3


@pytest.mark.parametrize("block", [Heard, Uninterrupted])
def test_a_handler_that_sets_another_one_within_a_block_has_its_way(called, block):
    """As after a first Ctrl-C; and one that puts back what it found does no harm."""
    others, found = [], []

    def first(_number, _frame):
        found.append(signal.signal(signal.SIGUSR1, lambda number, _frame: others.append(number)))

    before = signal.signal(signal.SIGUSR1, first)
    with block():
        signal.raise_signal(signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, found[0])
    signal.raise_signal(signal.SIGUSR1)

    assert others == [signal.SIGUSR1]
    assert len(found) == 2
    signal.signal(signal.SIGUSR1, before)
    signal.raise_signal(signal.SIGUSR1)
    assert called == [signal.SIGUSR1]


def test_signals_after_one_whose_handler_raises_are_handled_too(called):
    with pytest.raises(KeyboardInterrupt), Uninterrupted():
        signal.raise_signal(signal.SIGUSR1)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGUSR1)

    assert called == [signal.SIGUSR1] * 2


def test_a_storm_of_signals_whose_handler_raises_is_one_interruption(called):
    with pytest.raises(KeyboardInterrupt) as raised, Uninterrupted():
        for _ in range(2000):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGUSR1)

    assert called == [signal.SIGUSR1]
    assert raised.value.__context__.__context__ is None


def test_signals_that_waited_are_handled_if_another_comes_when_its_handler_is_back(called):
    class Late(Uninterrupted):
        def _give_back(self):
            super()._give_back()
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), Late():
        signal.raise_signal(signal.SIGUSR1)

    assert called == [signal.SIGUSR1]


def test_a_handler_that_raises_as_a_block_begins_is_heard_and_leaves_no_handler_of_ours(called):
    """In particular a `ValueError`, by which Python refuses handlers to subinterpreters."""

    class Late:
        def __call__(self, number, _frame):
            called.append(number)

        def __getattr__(self, name):  # such as `__name__`, before the next handler is replaced
            signal.raise_signal(signal.SIGUSR2)
            raise AttributeError(name)

    def refuse(_number, _frame):
        raise ValueError("of the program")

    numbers = (signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
    handlers = (signal.default_int_handler, Late(), refuse)
    before = [signal.signal(*one) for one in zip(numbers, handlers, strict=True)]
    try:
        with pytest.raises(ValueError, match="of the program"), Uninterrupted():
            pass
        assert tuple(map(signal.getsignal, numbers)) == handlers
    finally:
        for one in zip(numbers, before, strict=True):
            signal.signal(*one)


def test_one_signal_interrupts_when_the_others_have_waited_long_enough():
    handler = signal.getsignal(signal.SIGINT)
    with Uninterrupted(patience_s=0.0), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), Uninterrupted(patience_s=0.0):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        done = True

    assert done
    assert signal.getsignal(signal.SIGINT) is handler


def test_blocks_in_other_threads_and_in_each_other_change_no_handler(called):
    handler = signal.getsignal(signal.SIGUSR1)
    with Uninterrupted():
        with Uninterrupted():
            signal.raise_signal(signal.SIGUSR1)
        assert called == []
        thread = threading.Thread(target=lambda: Uninterrupted().__enter__().__exit__())
        thread.start()
        thread.join()

    assert called == [signal.SIGUSR1]
    assert signal.getsignal(signal.SIGUSR1) is handler


def test_an_end_that_takes_too_long_is_kept_in_the_spool(tmp_path, monkeypatch):
    """Who presses Ctrl-C in front of a database that does not answer is obeyed."""
    monkeypatch.setattr(live_runs, "PATIENCE_S", 0.0)
    with store_at(tmp_path) as store:
        run = store.start("x", capture=False)
        with monkeypatch.context() as patched:
            patched.setattr(
                store.backend.database,
                "finish_run",
                lambda *_, **__: signal.raise_signal(signal.SIGINT),
            )
            with pytest.raises(KeyboardInterrupt), pytest.warns(UserWarning, match="Kept in"):
                run.finish("error", error="boom")
        assert live_runs.running(run.uid) is None

    with store_at(tmp_path) as store:
        kept = store.get("x#1")
        assert (kept.status, kept.error) == (Status.ERROR, "boom")


def test_a_run_that_ctrl_c_meets_at_its_start_is_interrupted(tmp_path, monkeypatch):
    with store_at(tmp_path) as store:
        start = store.backend.database.start_run

        def interrupted(new):
            started = start(new)
            signal.raise_signal(signal.SIGINT)
            return started

        monkeypatch.setattr(store.backend.database, "start_run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.start("x", capture=False)

        (kept,) = store.list()
        assert live_runs.running(kept.uid) is None
        assert kept.status is Status.INTERRUPTED


@pytest.mark.parametrize(
    ("call", "module"),
    [
        ("Store.open(sys.argv[1])", "runstore.storage.backend"),
        ("store.start('x')", "runstore.recording.active"),
        ("store.start('x')", "runstore.capture.git.state"),
        ("store.start('x')", "runstore.model.params.build"),
        ("store.resume('x#1')", "runstore.recording.resuming"),
        ("store.series_of('x#1', 'a')", "numpy"),
        ("run.log(a=1.0)", "runstore.recording.points.log"),
        ("start_run('x', store=sys.argv[1])", "runstore.recording.output.streams"),
        ("print('printed', file=sys.stderr)", "runstore.recording.output.keeper"),
        ("run.finish('error', error=ValueError())", "unicodedata"),
    ],
)
def test_a_handler_that_raises_interrupts_no_import_of_ours(tmp_path, call, module):
    """Python would keep its lock of all imports, for which other threads then wait for ever.

    A `TimeoutError` is an `OSError`: it reaches the program and is not taken for one of ours.
    """
    code = (
        "import os, signal, sys\n"
        "from runstore import Store, start_run\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == sys.argv[2]: os.kill(os.getpid(), signal.SIGALRM)\n"
        "def alarm(*_):\n"
        "    raise TimeoutError(sys.argv[2] in sys.modules)\n"
        "if 'Store' not in sys.argv[3]: store = Store.open(sys.argv[1])\n"
        "if 'resume' in sys.argv[3]: store.start('x').finish()\n"
        "if 'series' in sys.argv[3]:\n"
        "    with store.start('x') as run: run.log(a=1.0)\n"
        "if 'store' not in sys.argv[3].lower(): run = start_run('x', store=sys.argv[1])\n"
        "signal.signal(signal.SIGALRM, alarm)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "try: eval(sys.argv[3])\n"
        "except TimeoutError as late: print(late)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, place(tmp_path / "store"), module, call],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.stdout, ended.returncode) == ("True\n", 0), ended.stderr


def test_a_handler_that_needs_a_name_waits_for_its_modules(tmp_path):
    """It would find a module that is only partly loaded."""
    code = """if True:
        import signal, sys, runstore

        class Disturbing:
            def find_spec(self, *_):
                if "runstore.config" in sys.modules:  # begun
                    sys.meta_path.remove(self)
                    signal.raise_signal(signal.SIGUSR1)

        answers = []
        signal.signal(signal.SIGUSR1, lambda *_: answers.append(runstore.current_run()))
        sys.meta_path.insert(0, Disturbing())
        runstore.start_run
        assert answers == [None], answers
    """

    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)

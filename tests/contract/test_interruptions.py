"""Signal handlers, finalizers and other threads use a run in the middle of any other call."""

import contextlib
import functools
import gc
import inspect
import itertools
import os
import random
import signal
import sys
import threading
import time
import weakref
from functools import partial
from pathlib import Path

import pytest

import runstore
from command_server import Program
from commands import python
from runstore import Status, Store, StoreWarning, background, user_warnings
from runstore.errors import NotFoundError, RunFinishedError, StoreReadOnlyError
from runstore.recording import live_runs
from runstore.recording.points.held import HeldPoints
from runstore.recording.readiness import Uncollected
from runstore.recording.tickers import Ticker
from runstore.storage.sqlite.driver import SQLiteDriver
from threads import at_once

pytestmark = pytest.mark.usefixtures("only_new_objects")

PACKAGE = str(Path(runstore.__file__).parent)
CALLS = {
    "log": lambda run, n: run.log({f"new{n}": 1.0, "loss": float(n)}),
    "points": lambda run, _: run.log_points("many", [1.0, 2.0, 3.0]),
    "tag": lambda run, n: run.tags.update({f"tag{n}": "v"}),
    "note": lambda run, n: run.edit(notes=f"note {n}"),
    "save": lambda run, n: run.save(f"file{n}.txt", b"contents"),
}


class Interruption:
    """Does something before a line of ours is executed, as a signal handler would.

    Args:
        work: What is done.
        at: Before which of the lines.
    """

    def __init__(self, work, at):
        self.work, self.left, self.is_inside, self.lines = work, at, False, 0

    def __call__(self, frame, _event, _argument):
        return self.trace if frame.f_code.co_filename.startswith(PACKAGE) else None

    def trace(self, _frame, event, _argument):
        if event == "line" and not self.is_inside:
            self.lines += 1
            self.left -= 1
            if self.left == 0:
                self.is_inside = True
                self.work()
                self.is_inside = False
        return self.trace

    def within(self, call):
        before = sys.gettrace()
        sys.settrace(self)
        try:
            call()
        finally:
            sys.settrace(before)
        return self.lines


def moments(lines, count):
    return range(1, lines + 1, max(1, lines // count))


class LateError(Exception):
    """What a program's own signal handler raises."""


# An exception that comes within a finalizer is dropped by Python itself; a connection to a server
# whose use is interrupted is closed, with a warning, when it is collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("call", ["start", "start_run", "resume"])
def test_a_run_whose_start_an_alarm_interrupts_ends_or_never_was(store, call, campaign_rounds):
    """Whenever it comes, no run is left that goes on and that nobody has in hand."""
    calls = {
        "start": lambda: store.start("late", params={"lr": 0.1}, capture=False),
        "start_run": lambda: runstore.start_run("late", store=store, capture=False),
        "resume": lambda: store.resume("late#1"),
    }
    store.start("late", capture=False).finish()
    calls[call]().finish()  # loads what it needs: an interrupted import would block other threads
    before = signal.signal(signal.SIGALRM, _raise_alarm)
    chance = random.Random(7)
    try:
        for _ in range(3 * campaign_rounds):
            run = None
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-5, 1e-3))
                run = calls[call]()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except LateError:
                pass
            if run is not None:
                run.finish()
            unfinished = [*store.find("status = 'running'")]
            # An alarm may come between the return of the call and the name for it.
            assert [one for one in unfinished if live_runs.running(one.uid) is None] == []
            for one in unfinished:
                live_runs.running(one.uid).end_with_process(None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    gc.collect()  # here, where the warning is expected
    errors = {one.error for one in store.list(limit=None)} - {None}
    assert all(one.endswith("LateError: late") for one in errors)
    assert runstore.current_run() is None


# A connection to a server that is interrupted as it is given back is closed with a warning.
@pytest.mark.folder_only
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("call", ["start", "resume", "tag"])
def test_a_handler_that_raises_before_the_first_line_of_a_function_leaves_nothing_undone(
    store, call, is_full_campaign
):
    """Python calls handlers there as well, also in what a transaction does at its end."""
    run = store.start("late", capture=False)
    run.finish()
    calls = {
        "start": lambda: store.start("late", capture=False),
        "resume": lambda: store.resume(run.uid),
        "tag": lambda: run.tags.update(tagged="yes"),
    }
    calls[call]()  # which loads what it needs
    end_unfinished(store)
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    for at in range(0, FirstLines(None).within(calls[call]), 1 if is_full_campaign else 3):
        end_unfinished(store)
        with contextlib.suppress(LateError):
            FirstLines(at).within(calls[call])
    end_unfinished(store)
    assert [signal.getsignal(number) for number in signal.valid_signals()] == handlers
    with pytest.warns(StoreWarning, match="later"):
        user_warnings.warn("later")


def end_unfinished(store):
    """End the runs that this process has in hand, which is all that goes on."""
    for run in store.find("status = 'running'"):
        live_runs.running(run.uid).end_with_process(None)


@pytest.mark.folder_only
def test_a_handler_that_raises_as_a_failed_transaction_ends_keeps_no_lock(store):
    driver = store.backend.database.driver

    def fail():
        with driver.write():
            raise LateError("in the block")

    with contextlib.suppress(LateError):
        fail()
    for at in range(20):
        with contextlib.suppress(LateError):
            FirstLines(at).within(fail)
        with driver.hurried(0.1), driver.write():
            pass


def test_a_handler_that_raises_while_threads_are_awaited_leaves_them_able_to_work():
    background.wait_until_done(60)
    before = signal.signal(signal.SIGALRM, _raise_alarm)
    chance = random.Random(7)
    try:
        for _ in range(300):
            with contextlib.suppress(LateError):
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 4e-5))
                for _ in range(10):
                    background.wait_until_done()
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert not background._of_this_process()._is_busy.locked()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


_LOOKING = """
import gc, os, sys, threading
from runstore.recording.live_runs import _frame_of_main_thread

class Link:
    def __init__(self):
        self.link = self
    def __del__(self):
        os.stat("/")  # lets other threads run

def look():
    for _ in range(3000):
        Link()
        assert _frame_of_main_thread() is not None

sys.setswitchinterval(1e-5)
gc.set_threshold(3)
threads = [threading.Thread(target=look) for _ in range(3)]
for one in threads:
    one.start()
for one in threads:
    one.join()
print(gc.isenabled())
"""


def test_no_finalizer_runs_while_python_holds_the_lock_of_its_threads(tmp_path):
    """It could wait, and then all threads of the process would stop for ever."""
    looked = python("-c", _LOOKING, cwd=tmp_path)

    assert (looked.stdout, looked.stderr) == ("True\n", "")


def test_garbage_is_collected_again_after_blocks_of_several_threads():
    def enter_often():
        for _ in range(5000):
            with Uncollected():
                pass

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        at_once([enter_often] * 4)
    finally:
        sys.setswitchinterval(usual)

    assert gc.isenabled()


def test_a_child_that_is_forked_inside_such_a_block_collects_garbage():
    with Uncollected():
        pid = os.fork()
        if pid == 0:
            os._exit(gc.isenabled())
        assert not gc.isenabled()

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert gc.isenabled()


class FirstLines:
    """Sends a signal before the first line of one of our functions.

    Args:
        at: Before which of them, from 0.
    """

    def __init__(self, at):
        self.at, self.entries = at, 0

    def __call__(self, frame, _event, _argument):
        code = frame.f_code
        # Not as a generator goes on: Python 3.10 would leave out its `finally`.
        if code.co_filename.startswith(PACKAGE) and frame.f_lineno == code.co_firstlineno:
            self.entries += 1
            if self.entries - 1 == self.at:
                signal.raise_signal(signal.SIGALRM)

    def within(self, call):
        before = signal.signal(signal.SIGALRM, _raise_alarm)
        sys.settrace(self)
        try:
            call()
        finally:
            sys.settrace(None)
            signal.signal(signal.SIGALRM, before)
        return self.entries


def _raise_alarm(*_):
    raise LateError("late")


LIMITED = {
    **CALLS,
    "start": lambda run, _: run.store.start("late", capture=False).finish(),
    "find": lambda run, _: list(run.store.find("tags.a = 'b'")),
    # SQLite calls functions of ours, and hides what is raised there.
    "match": lambda run, _: list(run.store.find("experiment ~ '^lim' and tags.a is missing")),
    # These read from one snapshot.
    "params": lambda run, _: list(run.store.find("params.lr < 1")),
    "table": lambda run, _: run.store.points(run, "before"),
    "outline": lambda run, _: run.store.points(run, "before", limit=4),
    "text": lambda run, _: run.log_text("said", "hello"),
    "open": lambda run, _: Store.open(run.store.path).close(),
}


# Files in which signals are awaited; the second ends blocks of ours.
WITH_BLOCKS = (PACKAGE, contextlib.__file__)


class Moments:
    """Sends a signal when Python calls handlers: as a function begins, or one in C has returned.

    Args:
        at: At which of these moments within our lines, from 0.
    """

    def __init__(self, at):
        self.at, self.count, self.is_over = at, 0, False

    def __call__(self, frame, event, _argument):
        code = frame.f_code
        # Not as a generator goes on or is closed: Python 3.10 would leave out its `finally`.
        begins = event == "call" and not code.co_flags & inspect.CO_GENERATOR
        if (begins or event == "c_return") and code.co_filename.startswith(WITH_BLOCKS):
            self.count += 1
            if self.count > self.at:
                self.at, self.is_over = sys.maxsize, True
                signal.raise_signal(signal.SIGALRM)

    def within(self, call):
        sys.setprofile(self)
        try:
            call()
        finally:
            sys.setprofile(None)
        return self.count


@pytest.fixture
def dropped(monkeypatch):
    """Return a list of the exceptions that Python drops, in finalizers and closed generators."""
    found = []
    monkeypatch.setattr(sys, "unraisablehook", lambda one: found.append(one.exc_value))
    yield found
    gc.collect()


@pytest.mark.folder_only
# A file that was opened just before is closed when it is collected.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("call", LIMITED)
def test_a_time_limit_is_not_taken_for_a_failure_of_the_disk(
    store, call, dropped, is_full_campaign
):
    """`TimeoutError` is an `OSError`, and reaches the program whenever it comes."""
    run = store.start("limited", params={"lr": 0.1}, capture=False)
    run.log(before=1.0)
    LIMITED[call](run, 0)  # which loads what it needs
    count = Moments(sys.maxsize).within(lambda: LIMITED[call](run, 1))
    before = signal.signal(signal.SIGALRM, _raise_timeout)
    unseen = []
    try:
        for at in range(0, count, 1 if is_full_campaign else max(1, count // 25)):
            limit = Moments(at)
            with contextlib.suppress(TimeoutError):
                limit.within(lambda n=at: LIMITED[call](run, 2 + n))
                unseen += [at] if limit.is_over and not dropped else []
            dropped.clear()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert unseen == []
    LIMITED[call](run, 1_000_000)
    end_unfinished(store)


@pytest.mark.folder_only
@pytest.mark.usefixtures("dropped")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("how", ["second name", "copy"])
def test_a_database_that_can_only_be_read_stays_so_if_its_opening_is_interrupted(
    tmp_path, monkeypatch, how, is_full_campaign
):
    """What is written to a copy is lost; that under a second name may damage the first."""
    path = tmp_path / "runstore.db"
    owner = SQLiteDriver(path)
    with owner.write() as connection:
        connection.execute("CREATE TABLE numbers (n)")
    if how == "second name":
        owner.close()
        os.link(path, tmp_path / "second.db")

    before = signal.signal(signal.SIGALRM, _raise_timeout)
    written = []
    try:
        for at in itertools.count(step=1 if is_full_campaign else 5):
            temporary = tmp_path / f"{at}"  # each copy looks at those that are left
            temporary.mkdir()
            monkeypatch.setattr("tempfile.tempdir", str(temporary))
            driver, moments = SQLiteDriver(path, leave_alone=how == "copy"), Moments(at)
            with contextlib.suppress(TimeoutError):
                moments.within(functools.partial(driver.fetch_all, "SELECT n FROM numbers"))
            with contextlib.suppress(StoreReadOnlyError), driver.write():
                written.append(at)
            driver.close()
            del driver
            gc.collect()  # each opening looks at all databases in use
            if not moments.is_over:
                break
    finally:
        signal.signal(signal.SIGALRM, before)
        owner.close()
    assert written == []


@pytest.mark.folder_only
@pytest.mark.usefixtures("dropped")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_search_that_is_interrupted_leaves_no_snapshot_behind(store, is_full_campaign):
    """All later searches of the thread would find the runs of that moment only."""
    count = Moments(sys.maxsize).within(lambda: list(store.find("params.n > 0")))
    before = signal.signal(signal.SIGALRM, _raise_timeout)
    missed, kept, other = [], [], Store.open(store.path)
    try:
        for at in range(0, count, 1 if is_full_campaign else max(1, count // 40)):
            try:
                Moments(at).within(lambda: list(store.find("params.n > 0")))
            except TimeoutError as error:
                kept.append(error)  # as notebooks do
            other.start("later", params={"n": at}, capture=False).finish()
            missed += [at] if len(store.find(f"params.n = {at}")) != 1 else []
    finally:
        signal.signal(signal.SIGALRM, before)
        other.close()
    assert missed == []


@pytest.mark.folder_only
@pytest.mark.usefixtures("dropped")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("call", ["start", "tag"])
def test_an_interrupted_change_keeps_no_lock(store, call, is_full_campaign):
    """Neither from this thread nor from others, even if the exception is kept."""
    run = store.start("limited", capture=False)
    count = Moments(sys.maxsize).within(lambda: LIMITED[call](run, 1))
    before = signal.signal(signal.SIGALRM, _raise_timeout)
    kept, other = [], Store.open(store.path)
    try:
        for at in range(0, count, 1 if is_full_campaign else max(1, count // 25)):
            try:
                Moments(at).within(lambda n=at: LIMITED[call](run, 2 + n))
            except TimeoutError as error:
                kept.append(error)
            for one in (store, other):
                driver = one.backend.database.driver
                with driver.hurried(0.1):
                    driver.transact(lambda _: None)
    finally:
        signal.signal(signal.SIGALRM, before)
        other.close()
    assert kept
    end_unfinished(store)


def _raise_timeout(*_):
    raise TimeoutError


@pytest.mark.parametrize("at_once", [False, True])
def test_a_start_that_is_interrupted_when_it_is_written_is_recorded_so(
    store, monkeypatch, at_once
):
    """At once: before its run is watched over; else when it is."""
    owner, name = (store.backend.database, "start_run") if at_once else (background, "do_later")
    original = getattr(owner, name)

    def interrupted(*given):
        original(*given)
        raise LateError("late")

    monkeypatch.setattr(owner, name, interrupted)
    with pytest.raises(LateError):
        store.start("late", capture=not at_once)

    kept = store.get("late#1")
    assert kept.status is Status.ERROR
    assert kept.error.endswith("LateError: late")
    assert live_runs.running(kept.uid) is None


def test_a_run_that_this_process_executes_goes_on_if_resuming_it_again_is_interrupted(
    store, monkeypatch
):
    run = store.start("fit", capture=False)
    monkeypatch.setattr(store.backend.database, "resume_run", _raise_alarm)

    with pytest.raises(LateError):
        store.resume(run.uid)

    assert store.get(run.uid).status is Status.RUNNING
    run.finish()


@pytest.mark.parametrize("outer", CALLS)
@pytest.mark.parametrize("inner", ["log", "tag", "save"])
def test_a_call_in_the_middle_of_another_is_kept(store, outer, inner, campaign_rounds):
    """Before whatever line of ours it comes; both are kept when the run has ended."""
    run = store.start("interrupted", capture=False)
    lines = Interruption(None, -1).within(lambda: CALLS[outer](run, -1))
    done = []
    for at in moments(lines, campaign_rounds):
        number = 1000 + at
        interruption = Interruption(lambda n=number: CALLS[inner](run, n), at)
        interruption.within(lambda n=at: CALLS[outer](run, n))
        if interruption.is_inside or interruption.left <= 0:
            done.append(number)
    run.finish()

    kept = store.get(run.uid)
    expected = {"log": {f"new{n}" for n in done}, "tag": {f"tag{n}" for n in done}}
    assert done
    assert expected.get(inner if inner == "log" else "", set()) <= set(kept.metrics)
    assert (expected["tag"] if inner == "tag" else set()) <= set(kept.tags)
    if inner == "save":
        assert {f"file{n}.txt" for n in done} <= set(kept.artifacts)
    if outer == "points":
        assert kept.metrics["many"].count == 3 * (1 + len(moments(lines, campaign_rounds)))


@pytest.mark.folder_only
@pytest.mark.filterwarnings("ignore::runstore.StoreWarning")
@pytest.mark.parametrize("outer", CALLS)
def test_a_run_is_finished_in_the_middle_of_another_call(store, outer, campaign_rounds):
    """Its end and what was logged before are kept, before whatever line of ours it comes."""
    probe = store.start("interrupted", capture=False)
    lines = Interruption(None, -1).within(lambda: CALLS[outer](probe, 0))
    probe.finish()
    for at in moments(lines, campaign_rounds):
        run = store.start("interrupted", capture=False)
        run.log(before=1.0)

        interruption = Interruption(lambda r=run: r.finish("interrupted"), at)
        interruption.within(lambda r=run: CALLS[outer](r, 0))
        if interruption.left > 0:  # done in fewer lines than the first time
            run.finish("interrupted")

        with Store.open(store.path) as again:
            kept = again.get(run.uid)
            assert kept.status is Status.INTERRUPTED
            assert kept.metrics["before"].count == 1


def test_a_signal_handler_that_logs_and_ends_the_run_while_it_logs(location):
    """A real signal, in a real process, in the middle of a loop that names new metrics."""
    program = f"""
import signal, sys, runstore
store = runstore.Store.open({str(location)!r})
run = store.start("signalled", capture=False)
run.keep_output()
done = []
def handler(number, frame):
    run.log({{"in handler": 1.0}})
    run.tags["why"] = "preempted"
    print("preempted", file=sys.stderr)
    run.finish("interrupted")
    done.append(number)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.02)
place = 0
while not done:
    place += 1
    run.log({{f"k{{place % 3000}}": 1.0}})
    run.log_points("many", [1.0] * 100)
"""
    assert Program(program).wait() == 0

    with Store.open(location) as store:
        (run,) = store.list()
        assert run.status is Status.INTERRUPTED
        assert run.metrics["in handler"].count == 1
        assert run.tags["why"] == "preempted"
        assert [line.text for line in run.output] == ["preempted"]


class _Span:
    """Logs when it is collected, as timers of contexts that were dropped do."""

    def __init__(self, run):
        self.run, self.itself = run, self

    def __del__(self):
        self.run.log(spans=1.0)
        self.run.tags["collected"] = "yes"


def test_finalizers_log_while_the_run_is_used(store):
    run = store.start("collected", capture=False)
    before = gc.get_threshold()
    gc.set_threshold(20)
    try:
        for place in range(60):
            _Span(run)
            run.log({f"k{place}": 1.0})
            run.log_points("many", [1.0] * 20)
            run.tags["place"] = str(place)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    run.finish()

    kept = store.get(run.uid)
    assert kept.metrics["spans"].count == 60
    assert kept.metrics["many"].count == 1200
    assert kept.tags == {"collected": "yes", "place": "59"}


def test_threads_fill_files_and_nothing_is_lost(store):
    """Files that are full are changed by whoever comes first; the others follow."""
    run = store.start("threads", capture=False)

    def work(key):
        for place in range(6000):
            run.log({key: float(place), "shared": float(place)})

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        at_once([partial(work, f"k{n}") for n in range(4)])
    finally:
        sys.setswitchinterval(before)
    run.finish()

    kept = store.get(run.uid)
    assert {key: one.count for key, one in kept.metrics.items()} == {
        "k0": 6000,
        "k1": 6000,
        "k2": 6000,
        "k3": 6000,
        "shared": 24_000,
    }
    assert list(kept.metric("k2").steps) == list(range(6000))
    assert sorted(kept.metric("shared").steps) == list(range(24_000))


def test_a_run_that_is_finished_while_threads_log(store):
    """Those who come too late are told, once; what was acknowledged before is kept."""
    run = store.start("threads", capture=False)
    run.is_strict = True
    acknowledged = [0, 0, 0]

    def work(place):
        try:
            while True:
                run.log({f"k{place}": 1.0})
                acknowledged[place] += 1
        except RunFinishedError:
            pass

    threads = [threading.Thread(target=work, args=(place,)) for place in range(3)]
    for one in threads:
        one.start()
    while min(acknowledged) < 3000:
        threading.Event().wait(0.01)
    run.finish()
    for one in threads:
        one.join(60)

    kept = store.get(run.uid).metrics
    assert [kept[f"k{place}"].count for place in range(3)] == acknowledged


def test_a_child_that_is_forked_while_threads_write_logs_on(store):
    """A fork waits for transactions, and threads wait for a fork: neither for ever."""
    run = store.start("forked", capture=False)
    stop = threading.Event()

    def work():
        place = 0
        while not stop.wait(0.005):
            place += 1
            run.tags["place"] = str(place)

    thread = threading.Thread(target=work)
    thread.start()
    for place in range(5):
        child = os.fork()
        if child == 0:
            run.log({f"child{place}": 1.0})
            run.tags[f"child{place}"] = "yes"
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
    stop.set()
    thread.join(60)
    run.finish()

    kept = store.get(run.uid)
    assert {f"child{place}" for place in range(5)} <= set(kept.metrics)
    assert {f"child{place}" for place in range(5)} <= set(kept.tags)


def test_a_write_within_a_write_is_refused_at_once_and_kept_aside(store):
    """What a handler writes waits for nobody, without a warning, and is taken in at once."""
    run = store.start("nested", capture=False)
    with store.backend.database.driver.write():
        run.tags["inner"] = "1"
        run.edit(notes="inner")
        assert store.get(run.uid).tags == {}

    kept = store.get(run.uid)
    assert (kept.tags, kept.notes) == ({"inner": "1"}, "inner")
    run.finish()


def test_a_warning_in_a_thread_of_ours_is_printed_if_warnings_are_errors(capsys):
    """It would interrupt what the thread does for all runs, such as their signs of life."""
    ticker = Ticker(functools.partial(user_warnings.warn, "late news"), lambda: 0.01)
    ticker.start()
    printed = ""
    while printed.count("runstore: late news\n") < 2:
        printed += capsys.readouterr().err
        time.sleep(0.01)
    assert ticker.stop(60)


def test_warnings_that_are_errors_lose_nothing(store, monkeypatch):
    """A warning within a call comes when the call has done its work."""
    run = store.start("strict warnings", capture=False)
    with pytest.raises(StoreWarning, match="not a step"):
        run.log({"a": 1.0, "b": 2.0}, step="three")
    monkeypatch.setattr(store.backend.spool, "in_first_place", _refuses)
    run.execution._points.file.places = iter(())
    with pytest.raises(StoreWarning, match="held in memory"):
        run.log(a=2.0)
    monkeypatch.undo()
    run.log(a=3.0)
    run.finish()

    kept = store.get(run.uid)
    assert list(kept.metric("a").values) == [1.0, 2.0, 3.0]
    assert list(kept.metric("b").values) == [2.0]


def _refuses(*_):
    raise OSError(28, "No space left on device")


class Model:
    """What a program has in hand."""


def test_an_error_of_a_change_keeps_no_objects_of_the_caller_alive(store):
    """Until the next garbage collection it would keep models, and their memory."""
    store.start("kept", capture=False).finish()

    def change():
        model = Model()
        seen.append(weakref.ref(model))
        store.undo("kept#1")

    seen = []
    gc.collect()
    gc.disable()
    try:
        try:
            change()
        except NotFoundError:
            assert seen[0]() is not None
        assert seen[0]() is None
    finally:
        gc.enable()


def test_points_in_memory_stay_if_their_writing_is_interrupted(tmp_path):
    """Later ones are not written before them."""
    written = []
    with Store.open(tmp_path) as store:
        held = HeldPoints(store.backend, "a run")
        points = [(None, step, 0, float(step)) for step in range(3)]
        for point in points:
            held.add(point)

        def write(point):
            if point == points[1] and not interrupted:
                interrupted.append(point)
                raise KeyboardInterrupt
            written.append(point)
            return True

        interrupted = []
        with pytest.raises(KeyboardInterrupt):
            held.release(write)
        held.release(write)

    assert (written, len(held)) == (points, 0)

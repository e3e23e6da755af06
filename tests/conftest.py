"""What every test shares: a clean environment, the length of campaigns, Hypothesis profiles."""

import gc
import itertools
import os
import re
import shutil
import sys
import tempfile
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
from _pytest.assertion import rewrite
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

import command_server

# Otherwise each worker would compile every test anew, which takes longer than most of them run.
sys.dont_write_bytecode = False
os.environ["TEXTUAL_ANIMATIONS"] = "none"  # each of their pictures takes time to draw
# Otherwise each interpreter would load what setuptools has for those who import distutils.
os.environ["SETUPTOOLS_USE_DISTUTILS"] = "stdlib"
_MEMORY = "/dev/shm"
_ROOM_BYTES = 4 << 30


def _temporary():
    """Return where folders of tests are made: in memory, if programs can be run from there.

    Files cost less there; when they are synced is tested by calls, and not on a disk.
    """
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK):
        return tempfile.gettempdir()
    room = os.statvfs(_MEMORY)
    is_fit = room.f_bavail * room.f_frsize > _ROOM_BYTES and not room.f_flag & os.ST_NOEXEC
    return _MEMORY if is_fit else tempfile.gettempdir()


# A socket's path is short, and other users may enter: these are not below pytest's own folders.
_TEMPORARY = tempfile.tempdir = os.environ["TMPDIR"] = _temporary()

# The usual thresholds look for garbage every 700 objects, which took a tenth of the time.
_GARBAGE = (20_000, 20, 20)
_SHORT_ROUNDS = 8
_LONG_ROUNDS = 100
_SEVERAL, _MANY = 6, 16
_MANY_FILES = 20
_PATIENCE_S = 10.0
_NEVER_S = 3600.0

# A slow machine is not a failure; a timing is never asserted. What the suite tries is the same
# each time, so that a change fails for what it does; campaigns look for what nobody has tried.
at_any_pace = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("fast", max_examples=25, derandomize=True, **at_any_pace)
settings.register_profile("random", max_examples=200, **at_any_pace)
settings.register_profile("thorough", max_examples=500, **at_any_pace)


def pytest_addoption(parser):
    parser.addoption(
        "--campaign", action="store_true", help="run fault campaigns in their full length"
    )
    parser.addoption(
        "--both-engines",
        action="store_true",
        help="run all tests that hold for SQLite and PostgreSQL on both, not only the contract",
    )
    parser.addoption(
        "--slow-page",
        action="store_true",
        help="delay frames, timers and answers of the page at random",
    )
    parser.addoption(
        "--write-docs", action="store_true", help="replace the outputs that pages of docs/ show"
    )


def pytest_configure(config):
    """Choose the profile before tests are imported, since their own settings build on it."""
    gc.set_threshold(*_GARBAGE)
    usual = "random" if config.getoption("--campaign") else "fast"
    profile = os.environ.get("HYPOTHESIS_PROFILE", usual)
    settings.load_profile(profile)
    if profile == "fast":
        # Otherwise it reads 650 modules for their constants, and tries those of the modules that
        # happen to be loaded, which depend on the tests before.
        constants = Constants()
        providers._get_local_constants = lambda: constants
    if hasattr(config, "workerinput"):
        command_server.share(config.workerinput["commands"])
    if getattr(config.option, "numprocesses", None):
        _compile_tests(config)


def _compile_tests(config):
    """Have each of the tests compiled once, in as many processes as there will be workers."""
    places = [Path(one.split("::")[0]) for one in config.args]
    files = [file for one in places for file in ([one] if one.is_file() else one.rglob("*.py"))]
    new = [one for one in files if one.name.startswith("test_") and not _is_compiled(one)]
    if len(new) < _MANY_FILES:
        return
    processes = config.option.numprocesses
    compile_some = partial(_compile, config)
    started = [
        get_context("fork").Process(target=compile_some, args=new[first::processes])
        for first in range(processes)
    ]
    for one in started:
        one.start()
    for one in started:
        one.join()


def _compile(config, *files):
    """Write compiled tests as pytest does when it imports them; their imports take as long."""
    for file in files:
        compiled = rewrite.get_cache_dir(file) / f"{file.stem}{rewrite.PYC_TAIL}"
        rewrite.try_makedirs(compiled.parent)
        source, code = rewrite._rewrite_test(file, config)
        rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, source, compiled)


def _is_compiled(file):
    kept = rewrite.get_cache_dir(file) / f"{file.stem}{rewrite.PYC_TAIL}"
    return kept.is_file() and kept.stat().st_mtime >= file.stat().st_mtime


def pytest_collection(session):
    """Look for no garbage among thousands of tests, neither now nor while they run."""
    gc.disable()


def pytest_collection_finish(session):
    gc.freeze()
    gc.enable()


def pytest_runtest_protocol(item, nextitem):
    """Run a test as pytest does, but report no setup and no teardown that succeeded.

    A worker sends each report to the process that started it, which takes as long as a short test.
    With `-q`, that a test starts is not printed either.
    """
    about = {"nodeid": item.nodeid, "location": item.location}
    if item.config.option.verbose >= 0:
        item.ihook.pytest_runtest_logstart(**about)
    are_timed = item.config.option.durations is not None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed or are_timed:
            item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(**about)
    return True


def pytest_sessionfinish():
    """Look for garbage once: pytest and the interpreter would do so many times."""
    gc.collect()
    gc.freeze()


def pytest_xdist_auto_num_workers():
    """Return how many workers `-n auto` means: one waits for a program or a lock at any time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (cores or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Let workers share a server of commands, which starts while they collect tests."""
    node.workerinput["commands"] = command_server.shared()


@pytest.fixture
def campaign_rounds(request):
    """How often a campaign repeats what it does."""
    return _LONG_ROUNDS if request.config.getoption("--campaign") else _SHORT_ROUNDS


@pytest.fixture
def processes(is_full_campaign):
    """How many processes do the same at once."""
    return _MANY if is_full_campaign else _SEVERAL


@pytest.fixture(scope="session")
def is_full_campaign(request):
    """Whether campaigns run in their full length."""
    return request.config.getoption("--campaign")


@pytest.fixture(scope="session")
def _folders(tmp_path_factory):
    """The folder of all tests, and their numbers."""
    return tmp_path_factory.mktemp("t", numbered=False), itertools.count()


@pytest.fixture
def tmp_path(_folders, request):
    """A new folder; the fixture of pytest looks for a number among the folders of all tests."""
    top, numbers = _folders
    name = re.sub(r"\W", "_", request.node.name)[:25]  # a path of a socket is short
    folder = top / f"{name}{next(numbers)}"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(scope="session")
def _places():
    """Places that are not there yet, one for each test."""
    top = tempfile.mkdtemp(prefix="runstore-", dir=_TEMPORARY)
    yield (f"{top}/{number}" for number in itertools.count())
    shutil.rmtree(top)


@pytest.fixture(scope="session", autouse=True)
def _no_surroundings(_places, is_full_campaign):
    """What tests share is recorded away from the stores of the person who runs them, too.

    The tests themselves count as installed: each run would keep the texts of all that are loaded.
    What runs do every few seconds is not done: one test in a hundred would meet it by chance.
    In campaigns, commands start programs as they do for users; see `interpreters`.
    """
    import commands
    from runstore.capture.program import files
    from runstore.recording import live_runs, tickers
    from runstore.recording.points import log

    installed = (*files._OF_THE_SYSTEM, f"{Path(__file__).parent}{os.sep}")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(files, "_OF_THE_SYSTEM", installed)
        files.is_own.cache_clear()
        monkeypatch.setattr(live_runs, "HEARTBEAT_S", _NEVER_S)
        monkeypatch.setattr(log, "_TEND_EVERY_S", _NEVER_S)
        if is_full_campaign:
            monkeypatch.setattr(commands, "_FORKING", frozenset())
        _isolate(monkeypatch, next(_places))
        yield
        # Those left active would be written to, or ended, after this.
        for run in list(live_runs._current().runs.values()):
            live_runs.end(run)
        tickers.stop_all(_PATIENCE_S)


@pytest.fixture(autouse=True)
def _own_surroundings(_places, monkeypatch):
    """No test sees or touches the stores and settings of the person who runs it."""
    _isolate(monkeypatch, next(_places))


def _isolate(monkeypatch, place):
    os.mkdir(place)  # noqa: PTH102 - before each test
    monkeypatch.setenv("TMPDIR", place)
    monkeypatch.setenv("XDG_STATE_HOME", f"{place}-state")
    monkeypatch.setenv("XDG_CONFIG_HOME", f"{place}-settings")
    ours = ("RUNSTORE_URL", "RUNSTORE_PARENT", "RUNSTORE_COMMAND", "RUNSTORE_TRUST")
    terminal = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "EDITOR", "VISUAL")
    # Without bytecode, each of the programs that tests start would compile what it imports.
    for name in (*ours, *terminal, "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.delenv(name, raising=False)
    # As in an activated environment: captures ask the `python` that a shell would start.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    # Otherwise a run would get metrics of its own accord in a test that takes ten seconds.
    monkeypatch.setenv("RUNSTORE_SYSTEM_SAMPLES", "0")
    # What tests record is of no script, however pytest was started.
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    monkeypatch.setattr(sys, "argv", ["-c"])
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", "import tests"])


@pytest.fixture
def unsynced(monkeypatch):
    """Let the disk take its time: for tests that write much, in this process, and lose no power.

    What is synced, and when, is what tests/contract/test_syncs.py is about.
    """
    from runstore.storage.sqlite import opening

    distrust = opening.distrust

    def leave_it_to_the_system(connection):
        distrust(connection)
        connection.execute("PRAGMA synchronous=OFF")

    monkeypatch.setattr(opening, "distrust", leave_it_to_the_system)
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def only_new_objects():
    """Have `gc.collect()` look at what tests make, not at all that was loaded: 2 ms, not 250."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def without_git(monkeypatch, tmp_path):
    """Find no git: for tests that record much, and nothing of code."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def users():
    """Other users of this machine, with a folder that all may enter; pytest's own are private."""
    from other_users import Users, skip_without_root

    skip_without_root()
    with tempfile.TemporaryDirectory(prefix="runstore-users-") as place:
        Path(place).chmod(0o755)
        yield Users(Path(place))

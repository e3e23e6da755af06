"""Programs are recorded without threads, arguments, standard streams or a working directory."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

import commands
import runstore
from commands import but_the_first_line, messages
from places import store_at
from runstore import Status
from runstore.storage.metrics.point_files import PointFile
from runstore.storage.metrics.point_reading import read_points

pytestmark = pytest.mark.usefixtures("named_store")

REFUSE = """
import _thread, sys, threading, runstore
def refuse(*_, **__): raise RuntimeError("can't start new thread")
def refuse_threads():
    _thread.start_new_thread = threading._start_new_thread = refuse
    if hasattr(threading, "_start_joinable_thread"): threading._start_joinable_thread = refuse
"""


STRICT = "import warnings; warnings.simplefilter('error')\n"


def python(code, folder, **environment):
    (folder / "program.py").write_text(STRICT + code)
    return commands.python("program.py", cwd=folder, env=environment)


def python_in_a_shell(code, folder, shell_end=""):
    """Run a program in an interpreter of its own, which may start without some streams."""
    (folder / "program.py").write_text(STRICT + code)
    return subprocess.run(
        f"exec {sys.executable} program.py {shell_end}",
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


# Threads


@pytest.mark.parametrize("when", ["start", "log", "finish"])
def test_a_program_that_may_start_no_threads_is_recorded(tmp_path, newest, when):
    off = {"start": "", "log": "", "finish": "", when: "refuse_threads()\n"}
    code = (
        REFUSE + off["start"] + "run = runstore.start_run('x')\n" + off["log"]
        + "for n in range(3000): run.log(n=n)\n"
        + "run.save('f', b'1'); run.tags['k'] = 'v'\n" + off["finish"] + "run.finish()"
    )  # fmt: skip

    ended = python(code, tmp_path)

    run = newest()
    assert ended.returncode == 0, ended.stderr
    assert (run.status, run.metrics["n"].count) == (Status.COMPLETE, 3000)
    assert "python.version" in run.facts.values


def test_a_command_is_run_although_no_thread_can_carry_its_output(tmp_path, newest):
    code = REFUSE + (
        "import warnings; warnings.simplefilter('default')\n"
        "from runstore.cli.main import main\n"
        "refuse_threads(); main(['exec', '--experiment', 'x', '--', 'echo', 'shown'])"
    )

    ended = python(code, tmp_path)

    assert (ended.stdout, ended.returncode) == ("shown\n", 0)
    assert "shown but not kept" in messages(ended)[0]
    assert newest().status is Status.COMPLETE


# Arguments and variables


class _Nameless:
    def __str__(self):
        raise ValueError("no name")


ODD_ARGUMENTS = {
    "numbers": (["train.py", "--lr", 0.1], "train.py --lr 0.1"),
    "a path": ([pathlib.Path("train.py")], "train.py"),
    "bytes": ([b"a\xff"], "'a\ufffd'"),
    "none": ([None], "None"),
    "empty": ([], ""),
    "a text": ("train.py", "train.py"),
    "no list": (5, ""),
    "half a surrogate pair": (["\ud800"], "'\ufffd'"),
    "an object without a name": ([_Nameless()], "'<_Nameless>'"),
}


@pytest.mark.folder_only("has a temporary store of its own")
@pytest.mark.parametrize("odd", ODD_ARGUMENTS)
@pytest.mark.parametrize("capture", [True, False])
def test_arguments_that_are_no_texts_are_recorded_as_such(tmp_path, monkeypatch, odd, capture):
    arguments, line = ODD_ARGUMENTS[odd]
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(sys, "orig_argv", arguments, raising=False)

    with (
        runstore.testing.temporary_store() as store,
        store.start("x", capture=capture, if_done="warn" if capture else "run") as run,
    ):
        assert run.record.cli == line
        assert ("command.argv" in run.record.facts.values) is capture


def test_missing_arguments_are_recorded_as_none(tmp_path, monkeypatch):
    monkeypatch.delattr(sys, "argv")

    with store_at(tmp_path) as store, store.start("x", argv=[pathlib.Path("a"), 1]) as run:
        assert run.record.cli == "a 1"
    with store_at(tmp_path) as store, store.start("x") as run:
        assert run.record.cli == ""
    manager = runstore.ArtifactManager("x", manager_cache_path=tmp_path / "runs")
    assert manager.run_line == ""


def test_variables_that_are_no_text_are_recorded_as_far_as_they_are(tmp_path, newest):
    odd = os.fsdecode(b"a\xffb")
    code = (
        "import runstore\n"
        "with runstore.start_run('x') as run: run.edit(notes='n')\n"
        "store = runstore.Store.open(); store.edit('latest', notes='m')\n"
    )
    variables = ("USER", "LOGNAME", "SLURM_JOB_ID", "SLURM_JOB_NAME", "RUNSTORE_PARENT", "ODD")

    ended = python(code, tmp_path, **dict.fromkeys(variables, odd))

    assert ended.returncode == 0, ended.stderr
    assert newest().facts.values["scheduler.name"] == "a\ufffdb"


# Standard streams

CLOSED = ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"]


@pytest.mark.parametrize("closed", CLOSED)
def test_commands_run_although_standard_streams_are_closed(tmp_path, newest, closed):
    command = "sh -c 'echo out; echo err >&2; cat; exit 3'"

    ended = subprocess.run(
        f"{sys.executable} -m runstore exec --experiment x -- {command} {closed}",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )

    run = newest()
    assert (ended.returncode, run.exit_code) == (3, 3)
    with store_at(tmp_path / "store") as store:
        assert sorted(line.text for line in store.get("latest").output) == ["err", "out"]


@pytest.mark.parametrize(
    ("closed", "end"), [*((one, "run.finish()") for one in CLOSED), (CLOSED[-1], "")]
)
def test_programs_are_recorded_although_standard_streams_are_closed(tmp_path, newest, closed, end):
    code = (
        "import os, runstore\n"
        "run = runstore.start_run('x'); run.keep_output(); run.log(n=-1)\n"
        "for number in range(3):\n"
        "    try: os.write(number, b'from C code\\n')\n"
        "    except OSError: pass\n"
        "for n in range(3000): run.log(n=n)\n"
    )

    python_in_a_shell(code + end, tmp_path, closed)

    run = newest()
    assert run.status.is_final
    assert list(run.metric("n").values) == list(range(-1, 3000))
    assert "python.version" in run.facts.values


@pytest.mark.parametrize("closed", ["", *CLOSED])
def test_text_for_closed_streams_gets_into_no_file_of_a_store(tmp_path, closed):
    """They may also be closed while the run is active, as by a program that becomes a daemon."""
    code = (
        "import os, stat, runstore\n"
        "def print_from_c(number):\n"
        "    try: os.write(number, b'from C code\\n')\n"
        "    except OSError: return False\n"
        "    mode = os.fstat(number).st_mode\n"
        "    return stat.S_ISREG(mode) or stat.S_ISSOCK(mode)\n"
        "with runstore.start_run('x', output=False, capture=False) as run:\n"
        f"    {'pass' if closed else 'os.closerange(0, 3)'}\n"
        "    for n in range(5):\n"
        "        run.log_points('n', range(20_000))\n"
        "        run.save(f'{n}.bin', b'contents')\n"
        "        assert not any(map(print_from_c, range(3)))\n"
    )

    ended = python_in_a_shell(code, tmp_path, closed)

    with store_at(tmp_path / "store") as store:
        run = store.get("latest")
        assert (ended.returncode, run.status, run.error) == (0, Status.COMPLETE, None)
        assert run.metrics["n"].count == len(run.metric("n")) == 100_000


UNWRITABLE = {
    "closed": "sys.stderr = open(os.devnull, 'w'); sys.stderr.close()",
    "without all characters": "sys.stderr = io.TextIOWrapper(io.BytesIO(), 'ascii')",
    "without methods": "sys.stderr = object()",
    "of a window that is gone": "sys.stderr = types.SimpleNamespace(write=gone, flush=gone)",
}


@pytest.mark.parametrize("unwritable", UNWRITABLE)
@pytest.mark.parametrize("when", ["start", "end"])
def test_warnings_that_cannot_be_printed_do_not_end_a_program(tmp_path, newest, unwritable, when):
    """Nor does the message of the first run of a store."""
    lines = {"start": "", "end": "", when: f"{UNWRITABLE[unwritable]}\n"}
    code = (
        "import io, os, sys, types, warnings, runstore\n"
        "warnings.simplefilter('always')\n"
        "def gone(*_): raise RuntimeError('the window is gone')\n"
        f"{lines['start']}"
        "run = runstore.start_run('\u00e9', output=False)\n"
        f"{lines['end']}"
        "run.log(loss='\u00e9'); run.log({'n': 1}, step='\u00e9')\n"
        "with run: run.log(0.3); run.log(n=2)\n"
        "sys.stderr = sys.__stderr__\n"  # which Python flushes at its end
    )

    ended = python(code, tmp_path)

    assert (ended.returncode, but_the_first_line(ended.stderr)) == (0, "")
    with store_at(tmp_path / "store") as store:
        run = store.get("\u00e9#1")
        assert run.status is Status.COMPLETE
        assert list(run.metric("n").values) == [1.0, 2.0]


# The working directory


def test_a_deleted_working_directory_is_no_matter_if_the_store_is_named(
    tmp_path, newest, monkeypatch
):
    monkeypatch.delenv("RUNSTORE_SYSTEM_SAMPLES")  # the project's setting is looked for
    (tmp_path / "x").write_bytes(b"1")
    code = (
        "import os, runstore; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n"
        "with runstore.start_run('x') as run:\n"
        "    run.log(n=1)\n"
        "    run.save('f', b'1'); run.keep_output(); run.execution.wants_samples\n"
        f"    run.save('g', {str(tmp_path / 'x')!r}); run.use({str(tmp_path / 'x')!r})\n"
    )

    ended = python(code, tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert sorted(newest().artifacts) == ["f", "g"]


@pytest.mark.parametrize("words", ["exec -- echo ran", "ls", "show latest"])
def test_commands_work_in_a_deleted_working_directory(tmp_path, words):
    with store_at(tmp_path / "store") as store:
        store.start("x", capture=False).finish()

    ended = subprocess.run(
        f"mkdir gone; cd gone; rmdir ../gone; {sys.executable} -m runstore {words}",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    others = [one for one in ended.stderr.splitlines() if "runstore: recorded as" not in one]
    assert (ended.returncode, others) == (0, [])


def test_a_program_can_start_in_a_deleted_working_directory(tmp_path):
    code = "import runstore; runstore.start_run('x').finish(); print(runstore.Store.open().path)"

    ended = subprocess.run(
        f'mkdir gone; cd gone; rmdir ../gone; {sys.executable} -c "{code}"',
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    with store_at(tmp_path / "store") as store:
        assert ended.stdout == f"{store.path}\n"


# What is left in the background

CHATTER = "(while [ -e on ] && echo tick; do sleep 0.05; done) &"


@pytest.fixture
def chatting(tmp_path):
    """Let what chatters go on until the end of the test."""
    (tmp_path / "on").touch()
    yield
    (tmp_path / "on").unlink()


@pytest.mark.usefixtures("chatting")
def test_a_child_that_prints_on_is_neither_waited_for_nor_ended(tmp_path):
    script = f"{CHATTER} echo $! > pid; echo done"

    ended = subprocess.run(
        [sys.executable, "-m", "runstore", "exec", "--", "sh", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    pid = int((tmp_path / "pid").read_text())
    time.sleep(0.3)  # it has printed more than once since
    os.kill(pid, 9)  # it is still there: ProcessLookupError otherwise
    assert "done" in ended.stdout.split()


@pytest.mark.usefixtures("chatting")
def test_all_that_a_command_printed_before_its_end_is_carried(tmp_path):
    (tmp_path / "prints.py").write_text("import os; os.write(1, b'x' * 60_000 + b'\\nlast\\n')")

    ended = subprocess.run(
        f"{sys.executable} -m runstore exec -- sh -c"
        f" '{CHATTER} exec {sys.executable} prints.py' | (sleep 1; cat)",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert ended.stdout.count("x") == 60_000
    with store_at(tmp_path / "store") as store:
        assert "last" in [line.text for line in store.get("latest").output]


# Files, clocks and interpreters


def test_points_survive_a_kill_although_no_more_memory_can_be_mapped(tmp_path, newest):
    """A batch system limits the memory of a program, which then fills it."""
    code = (
        "import os, resource, runstore\n"
        "run = runstore.start_run('x', capture=False)\n"
        "run.log(n=0)\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 20), -1))\n"
        "for n in range(1, 60_000): run.log(n=n)\n"
        "os.kill(os.getpid(), 9)"
    )

    ended = python(code, tmp_path)

    assert (ended.returncode, ended.stderr.count("StoreWarning")) == (-9, 0), ended.stderr
    assert newest().metrics["n"].count == 60_000


def test_a_file_of_points_is_sealed_although_the_program_closed_it(tmp_path):
    """Who becomes a daemon closes whatever is open."""
    points = PointFile(tmp_path / "points", 8)
    os.close(points._descriptor)

    points.seal()

    assert (tmp_path / "points").exists()


def test_a_file_of_points_leaves_alone_what_took_its_descriptor(tmp_path):
    points = PointFile(tmp_path / "points", 8)
    taken = os.open(tmp_path / "mine", os.O_RDWR | os.O_CREAT)
    number = points._descriptor
    os.dup2(taken, number)

    points.seal()

    assert os.fstat(number).st_ino == os.fstat(taken).st_ino
    assert (tmp_path / "mine").read_bytes() == b""
    assert read_points(tmp_path / "points").is_sealed
    os.close(taken)
    os.close(number)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="they are isolated from Python 3.12 on")
def test_a_subinterpreter_records_runs(tmp_path, newest):
    code = (
        "import _xxsubinterpreters as interpreters\n"
        "one = interpreters.create()\n"
        'interpreters.run_string(one, """import runstore\n'
        'with runstore.start_run(\'x\', capture=False) as run: run.log(a=1.0)""")\n'
        "interpreters.destroy(one)"
    )

    # Modules of a database may be loaded in one interpreter of a process only.
    ended = python_in_a_shell(code, tmp_path)

    assert (ended.returncode, but_the_first_line(ended.stderr)) == (0, "")
    assert newest().status is Status.COMPLETE
    assert list(newest().metric("a").values) == [1.0]


def test_a_clock_before_1970_starts_runs(tmp_path, monkeypatch):
    before = -14_182_940  # 1969-07-20
    monkeypatch.setattr(time, "time_ns", lambda: before * 10**9)
    monkeypatch.setattr(time, "time", lambda: float(before))
    with store_at(tmp_path / "store") as store:
        run = store.start("x", capture=False)
        run.log(a=1.0)
        run.finish()

        assert run.record.status is Status.COMPLETE


REPLACED = """
import sys, time, warnings
import runstore
from runstore.recording import live_runs
warnings.simplefilter("ignore")
live_runs.HEARTBEAT_S = 0.001
run = runstore.start_run("fit", capture=False)
while "objects" not in vars(run.execution._backend): time.sleep(0.001)  # loaded last
sys.meta_path.clear()  # as if this package and Python had been removed
with run:
    run.log(loss=0.5)
    run.tags["login"] = "https://me:abcdefgh1234@example.org"
    run.edit(notes="went well")
    run.add_params(sizes=(1, 2))
    run.save("a.json", {"a": 1})
    run.save("b.csv", b"a,b\\n1,2\\n")
    run.use("program.py")
    run.log_text("sample", "text")
    print("x" * 2_000_000)
    raise ValueError("boom")
"""


def test_a_long_run_does_not_need_its_files_any_more(tmp_path, newest):
    """Another version is installed in mid-run, so nothing can be loaded any more."""
    python_in_a_shell(REPLACED, tmp_path)

    run = newest()
    assert (run.status, run.error) == (Status.ERROR, "ValueError: boom")
    assert "Traceback (most recent call last)" in run.traceback
    assert (run.tags, run.notes) == ({"login": "https://me:***@example.org"}, "went well")
    assert run.params == {"sizes": [1, 2]}
    assert sorted(run.artifacts) == ["a.json", "b.csv", "media/text/sample/0.txt"]
    assert [one.name for one in run.inputs] == ["program.py"]
    assert list(run.metric("loss").values) == [0.5]
    assert [one.text[:7] for one in run.output if one.text] == ["xxxxxxx"]

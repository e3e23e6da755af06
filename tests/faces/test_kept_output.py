"""What programs do with their streams and with logging works while the output is kept."""

import io
import logging
import logging.config
import subprocess
import sys

import pytest

from commands import runstore_here as runstore
from places import store_at


@pytest.fixture
def run(tmp_path):
    with store_at(tmp_path / "store") as store:
        run = store.start("talk", capture=False)
        yield run
        if not run.status.is_final:
            run.finish()


@pytest.fixture
def take_streams(monkeypatch):
    """Give streams of Python's own kind to the test, in its body: pytest sets its own before."""

    def take():
        arrived = {}
        for name in ("stdout", "stderr"):
            arrived[name] = io.BytesIO()
            stream = io.TextIOWrapper(io.BufferedWriter(arrived[name]), encoding="utf-8")
            monkeypatch.setattr(sys, name, stream)
        return arrived

    return take


def kept(run):
    return [(line.stream, line.text) for line in run.record.output]


def shown(streams, name="stdout"):
    getattr(sys, name).flush()
    return streams[name].getvalue().decode()


def test_bytes_below_the_text_are_kept(run, take_streams):
    streams = take_streams()
    run.keep_output()

    print("text")
    sys.stdout.buffer.write(b"bytes\n")
    sys.stdout.flush()

    assert shown(streams) == "text\nbytes\n"
    run.finish()
    assert kept(run) == [("stdout", "text"), ("stdout", "bytes")]


def test_a_stream_that_is_wrapped_anew_is_kept(run, take_streams):
    streams = take_streams()
    before = sys.stdout
    run.keep_output()

    sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding="latin-1", line_buffering=True)
    print("caf\xe9")

    assert streams["stdout"].getvalue() == b"caf\xe9\n"
    run.finish()
    print("later")
    assert streams["stdout"].getvalue() == b"caf\xe9\nlater\n"
    assert not before.closed


def test_bytes_that_the_program_wrapped_outlive_the_stream_of_a_run(run, take_streams):
    """The stream of the first run is collected when the second one has its own."""
    streams = take_streams()
    original = sys.stdout  # as in `sys.__stdout__`
    run.keep_output()
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
    run.finish()

    with run.store.start("second", capture=False) as second:
        second.keep_output()
        print("wrapped")
    print("later")

    assert shown(streams) == "wrapped\nlater\n"
    assert not original.closed
    assert kept(second) == [("stdout", "wrapped")]


def test_another_encoding_is_kept_as_text(run, take_streams):
    streams = take_streams()
    run.keep_output()

    sys.stdout.reconfigure(encoding="latin-1", errors="replace")
    print("caf\xe9 \u65e5")

    sys.stdout.flush()
    assert streams["stdout"].getvalue() == b"caf\xe9 ?\n"
    run.finish()
    assert kept(run) == [("stdout", "caf\xe9 ?")]


NATIVE = "le" if sys.byteorder == "little" else "be"


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("utf-16", f"utf-16-{NATIVE}"),
        ("utf-32", f"utf-32-{NATIVE}"),
        ("utf-16-be", "utf-16-be"),
    ],
)
def test_wide_encodings_are_kept_as_text(run, take_streams, encoding, written):
    streams = take_streams()
    print("before")
    run.keep_output()

    sys.stdout.reconfigure(encoding=encoding)
    for text in ("caf\xe9", "\u65e5"):
        print(text)

    sys.stdout.flush()
    assert streams["stdout"].getvalue() == b"before\n" + "caf\xe9\n\u65e5\n".encode(written)
    run.finish()
    assert kept(run) == [("stdout", "caf\xe9"), ("stdout", "\u65e5")]


def test_runs_within_runs_end_in_any_order(run, take_streams):
    streams = take_streams()
    before = sys.stdout, sys.stderr
    inner = run.store.start("inner", capture=False)
    run.keep_output()
    inner.keep_output()
    print("both")

    run.finish()
    print("inner alone")
    inner.finish()
    print("none")

    assert (sys.stdout, sys.stderr) == before
    assert shown(streams) == "both\ninner alone\nnone\n"
    assert kept(run) == [("stdout", "both")]
    assert kept(inner) == [("stdout", "both"), ("stdout", "inner alone")]


def test_a_stream_that_the_program_closes_is_closed(run, take_streams):
    take_streams()
    shown_before = sys.stdout
    run.keep_output()

    print("last words")
    sys.stdout.close()

    assert shown_before.closed
    run.finish()
    assert kept(run) == [("stdout", "last words")]


def test_the_end_of_the_interpreter_leaves_the_lock_of_the_stream(run, monkeypatch):
    """A daemon thread may have died with it: a flush by our stream would abort the process."""
    buffer = io.BufferedWriter(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="utf-8"))
    run.keep_output()
    print("printed")
    kept_stream = sys.stdout
    run.finish()

    kept_stream.close()  # as when it is collected

    assert buffer.raw.getvalue() == b""
    print("later")
    sys.stdout.flush()
    assert buffer.raw.getvalue() == b"printed\nlater\n"


def test_streams_of_other_kinds_keep_what_they_can(run, monkeypatch):
    class Console(io.StringIO):
        colours = 256

    console = Console()
    monkeypatch.setattr(sys, "stdout", console)
    monkeypatch.setattr(sys, "stderr", None)
    run.keep_output()

    print("shown")
    assert (sys.stdout.colours, sys.stdout.errors) == (256, console.errors)
    assert sys.stdout.getvalue() == "shown\n"
    run.finish()

    assert sys.stdout is console
    assert kept(run) == [("stdout", "shown")]


def test_a_stream_that_can_only_be_written_to_is_kept(run, monkeypatch):
    class Pipe:
        arrived = ""

        def write(self, text):
            self.arrived += str(text)

    pipe = Pipe()
    monkeypatch.setattr(sys, "stdout", pipe)
    run.keep_output()

    print("shown")
    sys.stdout.write(7)
    sys.stdout.writelines(["\n", "end\n"])
    run.finish()

    assert sys.stdout is pipe
    assert pipe.arrived == "shown\n7\nend\n"
    assert kept(run) == [("stdout", "shown"), ("stdout", "7"), ("stdout", "end")]


def test_a_lone_surrogate_is_refused_as_ever(run, take_streams):
    streams = take_streams()
    run.keep_output()

    with pytest.raises(UnicodeEncodeError):
        print("\udcff")
    print("goes on")

    assert shown(streams) == "goes on\n"


@pytest.fixture
def plain_root(monkeypatch):
    """Leave the root logger without handlers, in the test's body: pytest adds its own before."""
    return lambda: monkeypatch.setattr(logging.getLogger(), "handlers", [])


CONFIGURED_ANEW = {
    "basicConfig": lambda: logging.basicConfig(force=True, level=logging.INFO, stream=sys.stdout),
    "dictConfig": lambda: logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": False, "root": {"level": "INFO"}}
    ),
    "cleared": logging.getLogger().handlers.clear,
    "another list": lambda: setattr(logging.getLogger(), "handlers", []),
}


@pytest.mark.parametrize("way", CONFIGURED_ANEW)
def test_logging_that_is_configured_anew_is_kept(run, take_streams, plain_root, way):
    plain_root()
    take_streams()
    run.attach_logging(level=logging.WARNING)

    CONFIGURED_ANEW[way]()
    logging.getLogger("data").warning("gaps")
    logging.getLogger("data").info("not asked for")

    run.finish()
    assert kept(run) == [("logging", "WARNING data: gaps")]


def test_attaching_leaves_the_configuration_to_the_program(run, take_streams, plain_root):
    plain_root()
    streams = take_streams()
    run.attach_logging()

    logging.basicConfig(format="mine: %(message)s", stream=sys.stdout)
    logging.getLogger("data").error("broken")

    assert shown(streams) == "mine: broken\n"


def test_a_record_is_kept_once_and_by_its_own_run(run, plain_root):
    plain_root()
    method = logging.Logger.callHandlers
    inner = run.store.start("inner", capture=False)
    run.attach_logging()
    run.attach_logging("data")
    inner.attach_logging("data.inner")
    logging.getLogger("data").error("one")
    logging.getLogger("data.inner").error("two")

    run.finish()
    logging.getLogger("data.inner").error("three")
    inner.finish()
    logging.getLogger("data.inner").error("four")

    assert [text for _, text in kept(run)] == ["ERROR data: one", "ERROR data.inner: two"]
    assert [text for _, text in kept(inner)] == [
        "ERROR data.inner: two",
        "ERROR data.inner: three",
    ]
    assert logging.Logger.callHandlers is method


def test_a_record_whose_parts_raise_ends_nothing(run, plain_root, monkeypatch):
    plain_root()

    class Broken:
        def __str__(self):
            raise RuntimeError("no text")

    monkeypatch.setattr(logging, "raiseExceptions", False)
    run.attach_logging()

    logging.getLogger("data").error("%s", Broken())
    logging.getLogger("data").error("goes on")

    run.finish()
    assert kept(run) == [("logging", "ERROR data: goes on")]


def test_unbuffered_output_is_shown_and_kept_whole(tmp_path):
    code = (
        "import runstore\n"
        "with runstore.start_run('x', store='store', capture=False) as run:\n"
        "    run.keep_output()\n"
        "    print('a' * 300_000)\n"
        "print(len(next(run.record.output).text))\n"
    )

    ended = subprocess.run(
        [sys.executable, "-u", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert ended.stdout == "a" * 300_000 + "\n300000\n"


def test_an_error_without_output_is_pointed_to(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        run = store.start("fit", capture=False)
        run.finish("error", error="out of memory")

    ended = runstore("output", "fit#1", cwd=tmp_path)

    assert ended.stderr == (
        f"runstore: no output of {run.reference} is kept."
        f" Show its error with: runstore show {run.reference}\n"
    )


def test_the_last_lines_of_output_are_asked_for_by_any_number(tmp_path):
    with store_at(tmp_path / ".runstore") as store, store.start("talk", capture=False) as run:
        run.keep_output()
        for number in range(10):
            print(number)

    for words, expected in (
        (["-n", "3"], "789"),
        (["-n", "15"], "0123456789"),
        (["-n", str(2**70)], "0123456789"),
        (["-n", "0"], ""),
    ):
        for way in ([], ["-f"]):
            ended = runstore("output", "talk#1", *words, *way, cwd=tmp_path)
            assert ended.stdout.replace("\n", "") == expected

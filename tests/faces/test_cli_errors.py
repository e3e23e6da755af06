"""What the command line says, and to whom, when something is wrong."""

import json
import os
import subprocess
import sys

import pytest

import commands
from commands import messages, runstore, runstore_here
from places import shared_at, store_at, variables_in
from runstore import __main__ as runstore_main

# Commands are bound to the store when they open it, so a broken store is a broken command.
WITH_A_BUG = """
import sys, tempfile
from runstore.cli.main import main
from runstore.store import Store

class Odd(RuntimeError): pass

def broken(*_, **__):
    raise Odd("very \\x1b[31modd")

Store.open = broken
if sys.argv[1] == "nowhere":
    tempfile.tempdir = "/proc/nowhere"
main(sys.argv[2:])
"""

WITH_A_WARNING = """
import sys, warnings
from runstore.cli.main import main
from runstore.errors import StoreWarning
from runstore.store import Store

opened = Store.open

def warning(*arguments, **options):
    warnings.warn("The data is in\\n\\x1b[31m/spool.", StoreWarning)
    return opened(*arguments, **options)

Store.open = warning
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def folder(engine, tmp_path_factory):
    """A folder with a store of 30 runs, which nobody changes."""
    folder = tmp_path_factory.mktemp("errors")
    with shared_at(folder / ".runstore", engine) as store:
        for number in range(29):
            store.start("mnist", notes=f"日本 {number}", capture=False).finish()
        store.start("mnist", notes="日本 29").finish()
    return folder


def python(code, *arguments, cwd, **environment):
    return commands.python("-c", code, *arguments, cwd=cwd, env=environment)


def shell(line, cwd, **environment):
    """Run a line of bash in which `$RUNSTORE` is the command."""
    return subprocess.run(
        ["bash", "-c", line],
        cwd=cwd,
        env={
            **os.environ,
            **variables_in(cwd),
            "RUNSTORE": f"{sys.executable} -m runstore",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_bug_of_ours_is_said_and_its_traceback_kept(folder, tmp_path):
    ended = python(WITH_A_BUG, "-", "ls", cwd=folder, TMPDIR=str(tmp_path))

    lines = messages(ended)
    (kept,) = tmp_path.glob("runstore-bug-*.txt")
    assert ended.returncode == 70
    assert lines[0] == "runstore: This is a bug in runstore: Odd: very \\x1b[31modd"
    assert str(kept) in lines[1]
    assert "Traceback" in kept.read_text()


def test_a_bug_is_told_where_no_file_can_keep_it(folder):
    ended = python(WITH_A_BUG, "nowhere", "ls", cwd=folder)

    assert ended.returncode == 70
    assert "Traceback" in ended.stderr
    assert "\x1b" not in ended.stderr
    assert "During handling" not in ended.stderr


def test_ctrl_c_is_no_error_of_ours(folder):
    code = WITH_A_BUG.replace('Odd("very \\x1b[31modd")', "KeyboardInterrupt")

    ended = python(code, "-", "ls", cwd=folder)

    assert (ended.returncode, ended.stderr.strip()) == (130, "")


def test_ctrl_c_before_the_command_line_is_loaded_shows_no_traceback(monkeypatch):
    class Interrupting:
        def find_spec(self, name, *_):
            if name == "runstore.cli.main":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "runstore.cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    monkeypatch.setattr(sys, "argv", ["runstore", "ls"])

    with pytest.raises(SystemExit) as ended:
        runstore_main.main()

    assert ended.value.code == 130


@pytest.mark.parametrize("setting", ["default", "ignore", "error"])
def test_a_warning_of_the_store_is_one_line_that_no_setting_hides(folder, setting):
    ended = python(WITH_A_WARNING, "ls", "--limit", "30", cwd=folder, PYTHONWARNINGS=setting)

    assert ended.returncode == 0
    assert messages(ended) == ["runstore: The data is in \\x1b[31m/spool."]


@pytest.mark.folder_only("has no store")
@pytest.mark.parametrize("name", ["__init__", "exec_", "ls_", "..", "context", "", "commands.ls"])
def test_only_commands_are_commands(folder, name):
    ended = runstore_here(name, cwd=folder)

    assert ended.returncode == 2
    assert f"There is no command {name!r}" in ended.stderr


@pytest.mark.folder_only("is about standard output")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")  # noqa: PTH110
@pytest.mark.parametrize(
    ("command", "unbuffered"),
    [("ls", ""), ("ls --json", ""), ("show --packages", ""), ("--help", ""), ("ls", "1")],
)
def test_a_full_disk_behind_stdout_is_no_bug(folder, command, unbuffered):
    ended = shell(f"$RUNSTORE {command} > /dev/full", folder, PYTHONUNBUFFERED=unbuffered)

    assert ended.returncode == 74
    assert ended.stderr == (
        "runstore: The output could not be written: No space left on device.\n"
    )


@pytest.mark.parametrize("limit", [5, 7, 9])
def test_a_limit_of_open_files_is_no_bug(folder, limit):
    ended = shell(f"ulimit -n {limit}; $RUNSTORE ls", folder)

    assert ended.returncode in {0, 5}
    assert bool(ended.returncode) == ("ulimit -n 1024" in ended.stderr)


@pytest.mark.parametrize("command", ["ls --json --limit 30", "show --packages"])
def test_a_closed_stdout_is_no_bug(folder, command):
    ended = shell(f"$RUNSTORE {command} >&-", folder)

    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", ["ls --limit 30", "--help"])
def test_a_reader_that_goes_away_before_the_first_line_is_no_error(folder, words, unbuffered):
    line = f"$RUNSTORE {words} | true; echo ${{PIPESTATUS[0]}}"

    ended = shell(line, folder, PYTHONUNBUFFERED=unbuffered)

    assert (ended.stdout, ended.stderr) == ("0\n", "")


@pytest.mark.folder_only("has no store")
def test_the_version_is_said_as_by_the_command_line(folder):
    short = shell("$RUNSTORE -V", folder)
    long = shell("$RUNSTORE --version", folder)
    loaded = runstore("--store", ".", "--version", cwd=folder)
    full = shell("$RUNSTORE --version > /dev/full", folder)
    closed = shell("$RUNSTORE --version >&-", folder)
    unread = shell("$RUNSTORE --version | true; echo ${PIPESTATUS[0]}", folder)

    assert (short.returncode, short.stdout) == (0, loaded.stdout)
    assert (long.returncode, long.stdout) == (0, loaded.stdout)
    assert (full.returncode, full.stderr) == (
        74,
        "runstore: The output could not be written: No space left on device.\n",
    )
    assert (closed.returncode, closed.stderr) == (0, "")
    assert (unread.stdout, unread.stderr) == ("0\n", "")


def test_an_encoding_without_the_characters_still_gets_them(folder):
    latin = {"PYTHONIOENCODING": "latin-1"}

    shown = runstore("show", cwd=folder, env=latin)
    told = runstore("show", "--json", cwd=folder, env=latin)

    assert "\\u65e5\\u672c 29" in shown.stdout
    assert json.loads(told.stdout)["notes"] == "日本 29"


def test_all_parts_of_a_message_stand_on_lines_of_their_own(folder):
    ended = runstore_here("show", "mnist#99", cwd=folder)

    with store_at(folder / ".runstore") as store:
        where = store.backend.place
    assert messages(ended) == [
        f"runstore: There is no run 'mnist#99' in {where}.",
        "The newest run of 'mnist' is mnist#30.",
    ]


def test_what_comes_after_the_page_is_said_on_stderr(folder):
    first = runstore_here("ls", "--limit", "25", cwd=folder)
    (said,) = messages(first)
    rest = runstore_here("ls", "--after", said.rpartition(" ")[2], cwd=folder)

    assert len(first.stdout.splitlines()) == 26
    assert len(rest.stdout.splitlines()) == 6
    assert rest.stderr == ""


@pytest.mark.folder_only("is about folders")
def test_reading_makes_no_store(tmp_path):
    for arguments in (["ls"], ["show"], ["ls", "--json"], ["show", "x", "--json"]):
        ended = runstore_here("--store", "none", *arguments, cwd=tmp_path)
        assert ended.returncode == 5
        assert f"There is no store at {tmp_path / 'none'}." in ended.stderr

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["init", "postgresql://me@host/runs"],
        ["export", "--parquet", "s3://bucket/runs"],
        ["plot", "-m", "loss", "-o", "https://host/loss.png"],
        ["download", "fit#1", "-o", "s3://bucket"],
        ["run", "fit", "--cache", "gs://bucket/cache"],
    ],
    ids=lambda words: words[0],
)
def test_an_address_to_write_to_makes_no_folder(folder, words):
    before = sorted(folder.iterdir())

    refused = runstore(*words, cwd=folder)

    assert refused.returncode != 0
    assert "is an address" in refused.stderr
    assert sorted(folder.iterdir()) == before


def test_an_empty_store_says_so(tmp_path):
    store_at(tmp_path / ".runstore").close()

    assert messages(runstore_here("ls", cwd=tmp_path)) == [
        "runstore: There are no runs yet; record one with: runstore exec -- COMMAND"
    ]
    assert json.loads(runstore_here("ls", "--json", cwd=tmp_path).stdout) == {
        "runs": [],
        "next": None,
    }
    shown = messages(runstore_here("show", cwd=tmp_path))
    assert shown[1:] == ["There are no runs yet; record one with: runstore exec -- COMMAND"]


@pytest.mark.folder_only("has no store")
@pytest.mark.parametrize("broken", ["[tool.runstore\n", "[tool.runstore]\nstore = 7\n"])
def test_completion_is_silent_whatever_is_broken(tmp_path, broken):
    (tmp_path / "pyproject.toml").write_text(broken)
    words = {"_RUNSTORE_COMPLETE": "bash_complete", "COMP_LINE": "runstore show m"}

    ended = runstore(cwd=tmp_path, env={**words, "COMP_POINT": "15"})
    bug = python(WITH_A_BUG, "-", cwd=tmp_path, **words, COMP_POINT="15")

    assert (ended.stdout.strip(), ended.stderr) == ("", "")
    assert (bug.stdout.strip(), bug.stderr) == ("", "")
    assert [one.name for one in tmp_path.iterdir()] == ["pyproject.toml"]


def test_json_has_nothing_that_a_terminal_obeys(tmp_path):
    notes = "\x1b[2J \x7f \x9b31m \u202e \u00a0 \U000e0041 \r\n 日本 👨\u200d👩"
    with store_at(tmp_path / ".runstore") as store:
        store.start("odd", notes=notes, capture=False).finish()

    told = runstore_here("show", "--json", cwd=tmp_path).stdout

    assert json.loads(told)["notes"] == notes
    assert all(one.isprintable() or one in "\n\u200d" for one in told)
    assert "日本" in told


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        ("ls --all -n 3", "--all and -n exclude each other.", "Leave out one of them."),
        ("ls --json --format csv", "--json and --format csv exclude", "Leave out one of them."),
        ("show --json --patch", "--json and --document patch exclude", "Leave out one of them."),
        ("show --history --full", "--full and --history exclude", "Leave out one of them."),
        ("plot --json -o a.svg", "--json and --output exclude", "Leave out one of them."),
        ("diff a b --stat --only params", "--stat counts lines of code.", "Leave out --only."),
        ("diff a b --stat -m loss", "--stat and --metric exclude", "Leave out one of them."),
        ("diff a b --only params -m loss", "leaves out the metrics", "Add metrics to --only."),
        ("compare a -m loss --only tags", "leaves out the metrics", "Add metrics to --only."),
        ("compare a --over seed --full", "--over and --full exclude", "Leave out one of them."),
        ("compare a --json --transpose", "--json and --transpose", "Leave out one of them."),
        ("compare a --level 0.9", "--level is about repeats.", "Add --over, such as --over seed."),
    ],
)
def test_options_of_which_one_would_be_ignored_are_refused(tmp_path, words, said, hint):
    ended = runstore_here(*words.split(), cwd=tmp_path)

    assert ended.returncode == 2
    told = messages(ended)
    assert said in told[0]
    assert told[-1] == hint

"""runstore exec: any command as a run; output, signals and exit code are the command's own."""

import os
import pty
import resource
import shlex
import signal
import subprocess
import sys
import time

import pytest

import command_server
from commands import messages, on_terminal, runstore
from leaked_secrets import bytes_of
from places import has_no_run, newest, store_at
from runstore import Status
from runstore.errors import StoreLockedError
from runstore.runner import signals
from runstore.runner.command import run_command

pytestmark = pytest.mark.usefixtures("interpreters")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / ".runstore").mkdir()
    return tmp_path


def kept_output(folder):
    with store_at(folder / ".runstore") as store:
        lines = [line.text for line in store.get("latest").output]
        return "".join(f"{line}\n" for line in lines).encode()


def started(folder, *command):
    """Start `runstore exec` and wait until the command says that it is ready."""
    process = command_server.Started(["exec", "--", *command], cwd=folder, env=dict(os.environ))
    assert process.stdout.readline() == "ready\n"
    return process


def end_of(process):
    """Wait for its end; return its exit status, and the rest of its output."""
    with process.stdout:
        output = process.stdout.read()
    return process.wait(), output


def test_output_is_shown_and_kept(folder):
    ended = runstore("exec", "--", "sh", "-c", "echo out; echo err >&2; exit 0", cwd=folder)

    run = newest(folder)
    assert (ended.stdout, ended.returncode) == ("out\n", 0)
    assert messages(ended) == ["err", f"runstore: recorded as {run.reference}: complete"]
    assert sorted(kept_output(folder).split()) == [b"err", b"out"]
    assert (run.status, run.exit_code, run.experiment_name) == (Status.COMPLETE, 0, "sh")


def test_any_bytes_pass(folder):
    code = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 1000)"

    printed = runstore(
        "exec", "--", sys.executable, "-S", "-E", "-c", code, cwd=folder, text=False
    ).stdout

    assert printed == bytes(range(256)) * 1000
    # What is kept is text, and what moves a cursor has moved it.
    printable = bytes(range(32, 127))
    assert kept_output(folder).count(printable) == 1000


MANY_FILES = """
import os, resource, sys

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (1300, hard))
while os.dup(0) < 1100: pass
for descriptor in range(3, 1101): os.set_inheritable(descriptor, True)
os.execv(sys.executable, [sys.executable, "-m", "runstore", "exec", "--", "seq", "30000"])
"""


def test_a_command_is_run_with_a_thousand_inherited_files(folder):
    """`select` refuses descriptors above 1023, and then no one would read the output."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < 1300:
        pytest.skip("not that many files may be open here")
    words = [sys.executable, "-c", MANY_FILES]

    ended = subprocess.run(
        words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True
    )

    assert ended.stdout.split()[-1] == b"30000"
    assert kept_output(folder).split() == ended.stdout.split()


def test_the_exit_code_is_the_commands_own(folder):
    ended = runstore("exec", "--experiment", "fails", "--", "sh", "-c", "exit 7", cwd=folder)

    run = newest(folder)
    assert ended.returncode == 7
    assert (run.experiment_name, run.status, run.exit_code) == ("fails", Status.ERROR, 7)
    assert run.error == "exit status 7"


def test_a_command_that_a_signal_ends(folder):
    ended = runstore("exec", "--", "sh", "-c", "kill -SEGV $$", cwd=folder)

    assert ended.returncode == 128 + signal.SIGSEGV
    assert newest(folder).status is Status.ERROR
    assert newest(folder).error == "ended by SIGSEGV"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on(folder, number):
    process = started(folder, "sh", "-c", "echo ready; exec sleep 60")

    os.kill(process.pid, number)

    assert end_of(process) == (128 + number, "")
    assert newest(folder).status is Status.INTERRUPTED


def test_a_command_may_handle_a_signal_and_go_on(folder):
    script = "trap 'echo got it' USR1; echo ready; sleep 1 & wait; wait; echo end"
    process = started(folder, "sh", "-c", script)

    os.kill(process.pid, signal.SIGUSR1)

    assert end_of(process) == (0, "got it\nend\n")
    assert newest(folder).status is Status.COMPLETE


def test_a_command_that_was_stopped_for_a_while_goes_on(folder):
    os.mkfifo(folder / "pipe")
    process = started(folder, "sh", "-c", "echo ready; cat pipe; exit 7")

    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(1.5)  # longer than between two looks for the end of the command
    os.kill(process.pid, signal.SIGCONT)
    (folder / "pipe").write_text("on\n")

    assert end_of(process) == (7, "on\n")
    assert newest(folder).exit_code == 7


def test_a_command_that_ends_well_when_asked_is_complete(folder):
    process = started(folder, "sh", "-c", "trap 'exit 0' TERM; echo ready; sleep 60 & wait")

    os.kill(process.pid, signal.SIGTERM)

    assert end_of(process) == (0, "")
    assert newest(folder).status is Status.COMPLETE


def test_who_runs_the_command_is_killed(folder):
    process = started(folder, "sh", "-c", "echo ready; exec sleep 60")
    run = newest(folder)
    assert run.status is Status.RUNNING

    os.kill(process.pid, signal.SIGKILL)
    end_of(process)

    assert newest(folder).status is Status.LOST


def test_parameters_are_read_from_the_command_line(folder):
    (folder / "train.py").write_text("import sys; print(sys.argv[1:])")
    command = (
        "--",
        sys.executable,
        "train.py",
        "--lr",
        "0.1",
        "--no-cuda",
        "--api-key",
        "hunter22",
    )

    first = runstore("exec", "-p", "seed=1", *command, cwd=folder)
    params = newest(folder).params
    second = runstore("exec", "-p", "lr=0.5", *command, cwd=folder)

    assert first.stdout == "['--lr', '0.1', '--no-cuda', '--api-key', 'hunter22']\n"
    assert messages(first)[0] == (
        "runstore: parameters lr, cuda read from the command line; use --no-params to leave them"
        " out"
    )
    assert params == {"lr": 0.1, "cuda": False, "seed": 1}
    assert len(messages(second)) == 1
    assert newest(folder).params == {"lr": 0.5, "cuda": False}


def test_parameters_on_the_command_line_can_be_left_out(folder):
    command = ("--", "true", "--lr", "0.1")
    setting = "[tool.runstore]\nstore = '.runstore'\nexec-params = false\n"

    by_option = runstore("exec", "--no-params", "-p", "a=1", *command, cwd=folder)
    assert newest(folder).params == {"a": 1}
    (folder / "pyproject.toml").write_text(setting)
    runstore("exec", *command, cwd=folder)
    assert newest(folder).params == {}
    runstore("exec", *command, cwd=folder, env={"RUNSTORE_EXEC_PARAMS": "1"})
    assert newest(folder).params == {"lr": 0.1}
    assert len(messages(by_option)) == 1


def test_an_unknown_option_is_not_the_command(folder):
    other = runstore("exec", "--name", "foo", "--", "true", cwd=folder)
    unknown = runstore("exec", "--expriment", "foo", "--", "true", cwd=folder)

    assert (other.returncode, unknown.returncode) == (2, 2)
    assert "--name" in other.stderr
    assert "--experiment" in other.stderr
    assert "--experiment" in unknown.stderr
    assert has_no_run(folder)


def test_modules_that_cannot_be_checked_at_the_end_are_unknown(folder, monkeypatch):
    """Or else a run with other code would be taken for this one."""

    def refuse(*_):
        raise StoreLockedError("The store is locked.")

    with store_at(folder / ".runstore") as store:
        monkeypatch.setattr(store.backend.database, "document", refuse)
        with signals.held_back():
            run_command(store, ["true"])

    why = "the modules of its start could not be read: The store is locked."
    assert newest(folder).facts.unknown["modules.late"] == why


def test_a_command_that_is_not_there(folder):
    missing = runstore("exec", "--", "no-such-program", cwd=folder)
    (folder / "data.txt").write_text("1")
    forbidden = runstore("exec", "--", "./data.txt", cwd=folder)
    (folder / "fit.py").write_text("")
    script = runstore("exec", "fit.py", cwd=folder)
    shell = runstore("exec", "echo a | cat", cwd=folder)
    none = runstore("exec", cwd=folder)

    is_folder = runstore("exec", "--", str(folder), cwd=folder)

    assert (missing.returncode, forbidden.returncode, is_folder.returncode) == (127, 126, 126)
    assert "There is no command 'no-such-program'" in missing.stderr
    assert messages(is_folder)[0] == f"runstore: {folder} is a folder."
    assert "runstore exec -- python fit.py" in script.stderr
    assert "runstore exec -- sh -c 'echo a | cat'" in shell.stderr
    assert "runstore exec -- python train.py" in none.stderr
    assert none.returncode == 2
    assert has_no_run(folder)


def test_an_experiment_in_the_place_of_the_command_is_answered_with_its_option(folder):
    missing = runstore("exec", "my fit", "--", "python", "train.py", cwd=folder)

    assert missing.returncode == 127
    assert "runstore exec -e 'my fit' -- python train.py" in missing.stderr


def test_a_file_that_is_no_program(folder):
    file = folder / "data"
    file.write_bytes(b"\0\1\2")
    file.chmod(0o755)

    ended = runstore("exec", "--", "./data", cwd=folder)

    assert ended.returncode == 126
    assert newest(folder).status is Status.ERROR
    assert "could not be started" in messages(ended)[0]


def test_what_is_left_in_the_background_is_not_waited_for(folder):
    ended = runstore("exec", "--", "sh", "-c", "sleep 600 & echo $!", cwd=folder)

    os.kill(int(ended.stdout), signal.SIGKILL)  # it is still there: ProcessLookupError otherwise


def test_a_reader_that_goes_away_ends_the_command(folder):
    ended = subprocess.run(
        f"{shlex.join(command_server.client('runstore'))} exec -- yes | head -n 1",
        shell=True,
        cwd=folder,
        capture_output=True,
        check=False,
    )

    assert ended.stdout == b"y\n"
    assert newest(folder).error == "ended by SIGPIPE"


def test_runs_of_the_command_belong_to_it(folder, tmp_path):
    code = f"{sys.executable} -c 'import runstore; runstore.start_run(\"inner\").finish()'; true"

    runstore("exec", "--experiment", "outer", "--", "sh", "-c", code, cwd=folder)

    with store_at(folder / ".runstore") as store:
        assert [one.experiment_name for one in store.children("outer#1")] == ["inner"]


def test_arguments_reach_the_command_as_they_are(folder):
    hostile = ["a b", "", "--json", "$HOME", "'\"", "ä\n\t", "--", "-p"]
    code = "import sys; print(sys.argv[1:])"

    ended = runstore("exec", "--", sys.executable, "-c", code, *hostile, cwd=folder)

    assert ended.stdout == f"{hostile}\n"
    assert list(newest(folder).facts.values["command.argv"][3:]) == hostile


def test_secrets_in_arguments_are_masked(folder):
    runstore("exec", "--", "true", "--token", "abcdef12345", cwd=folder)

    run = newest(folder)
    assert run.cli == "true --token '***'"
    assert "abcdef12345" not in str(run.facts.values)
    assert b"abcdef12345" not in bytes_of(folder)


def test_parameters_can_be_told(folder):
    refused = runstore("exec", "-p", "lr=1", "-p", "lr=x", "--", "true", cwd=folder)
    assert "Parameter lr: expected an int (such as 1), got 'x'." in refused.stderr
    runstore("exec", "--set", "lr=0.5", "--set", "deep=true", "--", "true", cwd=folder)

    assert newest(folder).params == {"lr": 0.5, "deep": True}


@pytest.mark.folder_only("the folder in flight is a file")
def test_a_full_disk_for_the_output_ends_nothing(folder):
    for place in (folder / ".runstore" / "spool", folder / "state"):
        place.write_text("a file where the folder should be")

    nowhere = {"XDG_STATE_HOME": str(folder / "state")}
    ended = runstore("exec", "--", "echo", "shown", cwd=folder, env=nowhere)

    assert (ended.stdout, ended.returncode) == ("shown\n", 0)
    assert "6 bytes of output were lost" in messages(ended)[0]


FULL_DISKS = """
import os, resource

def get_params():
    return {"process": 0}

def run(params, manager):
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.prlimit(params["process"], resource.RLIMIT_FSIZE, (0, hard))

if __name__ == "__main__":
    run({"process": os.getppid()}, None)
"""


@pytest.mark.folder_only("a server has disks of its own")
@pytest.mark.parametrize("command", ["exec", "run"])
def test_a_run_whose_end_no_disk_accepts_is_not_called_recorded(folder, command):
    (folder / "experiments").mkdir()
    (folder / "experiments" / "fit.py").write_text(FULL_DISKS)
    words = ["--", sys.executable, "experiments/fit.py"] if command == "exec" else ["fit"]

    # In a pipe, which needs no disk.
    ended = subprocess.run(
        [*command_server.client("runstore"), command, *words],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    run = newest(folder)
    told = f"runstore: the end of {run.reference} was not recorded: complete"
    assert (ended.returncode, messages(ended)[-1]) == (0, told)
    assert run.status is Status.LOST


def test_output_that_cannot_be_shown_is_kept_with_a_message(folder):
    ended = subprocess.run(
        f"{shlex.join(command_server.client('runstore'))} exec -- echo hello > /dev/full",
        shell=True,
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert "The rest of stdout cannot be shown: No space left on device." in ended.stderr
    assert kept_output(folder) == b"hello\n"


@pytest.mark.parametrize("lost", ["2> /dev/full", "2> >(exec true)"])
@pytest.mark.parametrize("options", ["", "--if-done warn", "--if-done skip"])
def test_messages_that_cannot_be_written_keep_no_command_from_running(folder, lost, options):
    line = f"{sys.executable} -m runstore exec {options} -- sh -c 'echo started; exit 3'"

    ended = subprocess.run(
        ["bash", "-c", f"{line} {lost}"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (3, "started\n")
    assert newest(folder).status is Status.ERROR


def test_on_a_terminal_the_command_has_one(folder):
    code = "import sys, os; print(sys.stdout.isatty(), *os.get_terminal_size())"

    drawn = on_terminal("exec", "--", sys.executable, "-c", code, cwd=folder, columns=77, rows=33)

    assert drawn.startswith("True 77 33\r\n")
    assert kept_output(folder) == b"True 77 33\n"


def test_pagers_do_not_wait_for_keys_of_the_commands_terminal(folder):
    shown = ["sh", "-c", "echo $PAGER $GIT_PAGER $PSQL_PAGER"]

    drawn = on_terminal("exec", "--", *shown, cwd=folder, PAGER="less", PSQL_PAGER="less -S")
    with_pager = {**os.environ, "PAGER": "less", "GIT_PAGER": "", "PSQL_PAGER": ""}
    plain = runstore("exec", "--", *shown, cwd=folder, env=with_pager)

    assert drawn.startswith("cat cat cat\r\n")
    assert plain.stdout == "less\n"


def test_ctrl_c_on_a_terminal_reaches_the_command_once(folder):
    code = (
        "import signal, time\n"
        "seen = []\n"
        "signal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
        "print('ready', flush=True)\n"
        "while not seen: time.sleep(0.05)\n"
        "time.sleep(0.5)\n"  # for another one
        "print('seen', len(seen))\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execv(
            sys.executable,
            [sys.executable, "-m", "runstore", "exec", "--", sys.executable, "-c", code],
        )
    output = b""
    while b"ready" not in output:
        output += os.read(terminal, 1000)

    os.write(terminal, b"\x03")
    while not output.endswith(b"\n") or b"seen" not in output:
        output += os.read(terminal, 1000)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)

    assert b"seen 1" in output
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_command_is_tagged(folder):
    tags = ["--tag", "phase=pilot", "--tag", "keep"]
    refused = runstore("exec", "--tag", "=pilot", "--", "true", cwd=folder)
    assert "'' cannot be a tag" in refused.stderr

    runstore("exec", *tags, "--", "true", cwd=folder)
    tagged = newest(folder)
    assert (tagged.run_number, dict(tagged.tags)) == (1, {"phase": "pilot", "keep": ""})

    again = runstore("rerun", "latest", cwd=folder)
    assert again.returncode == 0, again.stderr
    assert (newest(folder).run_number, dict(newest(folder).tags)) == (2, {})

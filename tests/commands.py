"""Running the command line as a user does: a process of its own."""

import contextlib
import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import warnings
from functools import partial
from pathlib import Path

import pytest

import command_server
from places import variables_in

_A_BUG = 70
# Commands whose Python programs are forked, too, except in campaigns; see `interpreters` in
# faces/conftest.py.
_FORKING = frozenset({"exec", "rerun"})


def runstore(*arguments, cwd, **more):
    """Run `runstore` with these arguments; return what it printed and how it ended."""
    return _without_bug(_ended(arguments, cwd, more))


def runstore_here(*arguments, cwd, text=True, **more):
    """Run `runstore` in this process, which takes half as long: for tests of what it prints.

    With an environment and the like it has a process of its own, as tests of its start and its
    end need.
    """
    # `exec` waits for signals, which another thread of this process could get.
    if more or "exec" in arguments:
        return runstore(*arguments, cwd=cwd, text=text, **more)
    printed = [io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2)]
    ended = _run_here(arguments, cwd, variables_in(cwd), *printed)
    data = [stream.buffer.getvalue() for stream in printed]
    return _without_bug(
        subprocess.CompletedProcess(
            arguments, ended, *(one.decode() if text else one for one in data)
        )
    )


def _without_bug(ended):
    """Return a command that has ended; its tests may look at its output alone."""
    assert ended.returncode != _A_BUG, ended.stderr
    return ended


def _run_here(arguments, cwd, variables, stdout, stderr):
    """Run `runstore` in this process; return its exit status."""
    from runstore import started_in
    from runstore.cli.main import main
    from runstore.storage.sqlite.driver import SQLiteDriver

    words = [os.fspath(one) for one in arguments]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as an interpreter does
        patch.chdir(cwd)
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setattr(started_in, "STARTED_IN", str(cwd))
        # SQLite's limit would hold for the whole process, and for all tests after this one.
        patch.setattr(SQLiteDriver, "limit_memory", lambda *_: None)
        patch.setattr(sys, "argv", ["runstore", *words])
        patch.setattr(sys, "stdout", stdout)
        patch.setattr(sys, "stderr", stderr)
        with pytest.raises(SystemExit) as end:
            main(words)
        stdout.flush()
        stderr.flush()
    return end.value.code or 0


def python(*arguments, cwd, **more):
    """Run `python` with these arguments; return what it printed and how it ended."""
    return _ended(arguments, cwd, more, is_python=True)


# An interpreter that forks for each program, when it has loaded what all of them need.
_TO_THE_END = """
import os, runstore
runstore.start_run
for number, program in enumerate({programs!r}):
    if os.fork() == 0:
        for stream in (1, 2):
            os.dup2(os.open(f"{{number}}.{{stream}}", os.O_WRONLY | os.O_CREAT), stream)
        exec(program)
        break
    os.wait()
"""


def to_the_end(*programs, cwd):
    """Run programs until their interpreters are shut down; return each one's output and errors.

    A forked command is not shut down.
    """
    program = _TO_THE_END.format(programs=programs)
    command = [sys.executable, "-c", program]
    subprocess.run(command, cwd=cwd, check=True, stdin=subprocess.DEVNULL, timeout=60)
    return [
        tuple((Path(cwd) / f"{number}.{stream}").read_text() for stream in (1, 2))
        for number in range(len(programs))
    ]


def _ended(arguments, cwd, more, *, is_python=False):
    """Run a command; fork it, unless what was asked for needs an interpreter of its own."""
    environment = {**os.environ, **variables_in(cwd), "PYTHONWARNINGS": "", **more.pop("env", {})}
    text = more.pop("text", True)
    typed = more.pop("input", "")
    is_usual = not is_python or arguments[0] in {"-c", "-m"} or not arguments[0].startswith("-")
    if is_usual and not more and command_server.can_run(environment):
        asked = {"cwd": cwd, "env": environment, "is_python": is_python}
        asked["forks_programs"] = not is_python and not _FORKING.isdisjoint(arguments)
        given = {"stdin": typed.encode(), "text": text}
        return command_server.run(arguments, **asked, **given, timeout=60)
    return subprocess.run(
        [sys.executable, *(() if is_python else ("-m", "runstore")), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=text,
        check=False,
        timeout=60,
        **{**({"input": typed} if typed else {"stdin": subprocess.DEVNULL}), **more},
    )


def messages(ended):
    """Return the lines on stderr; a traceback of ours is never among them."""
    assert "site-packages/runstore" not in ended.stderr
    assert "src/runstore" not in ended.stderr, ended.stderr
    return ended.stderr.strip().splitlines()


def but_the_first_line(text):
    """Return what was said on stderr, but not where the first run of a new store is recorded."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if " runs are recorded in " not in line)


def git(folder, *arguments):
    """Run git in a folder, as somebody with a name, and without its work in the background."""
    settings = ("user.name=Ada", "user.email=ada@example.org", "maintenance.auto=false")
    options = [word for one in settings for word in ("-c", one)]
    subprocess.run(["git", *options, *arguments], cwd=folder, check=True, capture_output=True)


def open_to_all(folder):
    """Let every user pass through the temporary folders above."""
    for parent in (folder, *folder.parents):
        about = parent.stat()
        if about.st_uid == os.getuid() and not about.st_mode & 0o001:
            parent.chmod(about.st_mode | 0o055)


def on_terminal(*arguments, cwd, columns=100, rows=40, **environment):
    """Return what `runstore` draws on a terminal of this size, colours and errors with it.

    It runs in this process, whose standard streams are the terminal meanwhile.
    """
    variables = {**variables_in(cwd), "TERM": "xterm-256color", "PAGER": "", **environment}
    main, side = _terminal(rows, columns)
    drawn = []
    reader = threading.Thread(target=lambda: drawn.extend(iter(partial(_read, main), b"")))
    reader.start()
    with _standard_streams(side), os.fdopen(side, "w", 1, "utf-8", newline="") as screen:
        ended = _run_here(arguments, cwd, variables, screen, screen)
    reader.join()
    os.close(main)
    text = b"".join(drawn).decode()
    assert ended == 0, text
    return text


@contextlib.contextmanager
def _standard_streams(terminal):
    """Let the standard streams of this process be a terminal."""
    before = [os.dup(stream) for stream in range(3)]
    try:
        for stream in range(3):
            os.dup2(terminal, stream)
        yield
    finally:
        for stream, one in enumerate(before):
            os.dup2(one, stream)
            os.close(one)


def _terminal(rows, columns):
    """Return both sides of a new terminal of this size."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    return main, side


def answered(answer, *arguments, cwd):
    """Run `runstore` on a terminal, answer its question; return the exit code and the screen."""
    env = {**os.environ, **variables_in(cwd), "TERM": "xterm-256color"}
    return _at_terminal(arguments, cwd=cwd, env=env, typed=f"{answer}\n")


def _at_terminal(arguments, *, cwd, env, typed):
    main, side = _terminal(0, 0)
    env = {**env, "PYTHONWARNINGS": ""}
    if command_server.can_run(env):
        process = command_server.Command(arguments, cwd=cwd, env=env, streams=(side,) * 3)
    else:
        command = [sys.executable, "-m", "runstore", *arguments]
        process = subprocess.Popen(command, cwd=cwd, stdin=side, stdout=side, stderr=side, env=env)
    os.close(side)
    os.write(main, typed.encode())
    drawn = b"".join(iter(partial(_read, main), b""))
    os.close(main)
    return process.wait(timeout=100), drawn.decode()


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # nobody holds the other side any more
        return b""

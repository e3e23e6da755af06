"""Commands and programs in processes of their own that do not load runstore again.

A server loads it once and forks for each of them, so that a test pays for what it does.
How an interpreter starts, loads and is taken apart is tested with real ones.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import marshal
import os
import pkgutil
import runpy
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from functools import cache
from pathlib import Path

# What commands load when they are used, beside the modules of runstore.
_LOADED_ON_USE = (
    "click._textwrap", "difflib", "encodings.ascii", "getpass", "glob", "html",
    "importlib.readers", "logging", "pwd", "regex", "sqlite3", "statistics",
    "traceback", "urllib.parse", "uuid",
    "rich.box", "rich.console", "rich.measure", "rich.padding", "rich.pretty",
    "rich.progress", "rich.syntax", "rich.table", "rich.text",
)  # fmt: skip
_IF_PRESENT = ("numpy", "tomllib", "_sha2" if sys.version_info >= (3, 12) else "_sha256")
# What runs as a program, is copied for users, or needs an extra.
_NOT_LOADED = ("runstore.__main__", "runstore.runner.project_template", "runstore.cli.top")
# An interpreter reads these when it starts.
_OF_INTERPRETERS = ("PYTHON", "LANG", "LC_")
_MADV_COLLAPSE = 25
# As many small objects as all that is loaded takes; one in each arena of the allocator stays.
_SMALL_OBJECTS, _SMALL_BYTES, _ONE_OF = 84_000, 400, 500


def can_run(env):
    """Return whether an interpreter with this environment is like that of the server."""
    return _settings(env) == _server()[1]


def settings():
    """Return the variables that interpreters read, as the server had them."""
    return dict(_server()[1])


class Command:
    """`runstore`, or `python`, with these arguments and standard streams."""

    def __init__(self, arguments, *, cwd, env, streams, is_python=False, **more):
        from command_client import ask

        self._server = socket.socket(socket.AF_UNIX)
        given = [os.fspath(one) for one in arguments]
        asked = {"arguments": given, "cwd": str(cwd), "env": env, "is_python": is_python}
        ask(self._server, address(), streams=streams, **asked, **more)
        # Not a byte of the next answer is read with this one, so that `select` sees it.
        self._answers = self._server.makefile("rb", buffering=0)
        self.pid = int(self._answers.readline())

    def has_ended(self):
        """Return whether it has ended, or the server has."""
        return bool(select.select([self._server], [], [], 0)[0])

    def wait(self, timeout=None):
        """Return its exit status, as of a `Popen`; kill it if that takes longer."""
        self._server.settimeout(timeout)
        with self._server, self._answers:
            try:
                return os.waitstatus_to_exitcode(int(self._answers.readline()))
            except TimeoutError:
                os.kill(self.pid, signal.SIGKILL)
                raise


def run(arguments, *, cwd, env, timeout, stdin=b"", text=True, **more):
    """Run `runstore`; return its output and exit status.

    Args:
        arguments: Of the command.
        cwd: Its working directory.
        env: All of its environment variables.
        timeout: Seconds after which it is killed.
        stdin: Its input.
        text: Whether its output is text.
        more: `is_python` for `python` instead; `rights` of another user (its number, that of its
            group and of others, its umask); `forks_programs` if a Python program that the command
            starts shall be forked, too.
    """
    with (
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
        # A file as input would count as an input of the command.
        tempfile.TemporaryFile() if stdin else Path(os.devnull).open("w+b") as lines,
    ):
        lines.write(stdin)
        lines.seek(0)
        streams = [one.fileno() for one in (lines, stdout, stderr)]
        ended = Command(arguments, streams=streams, cwd=cwd, env=env, **more).wait(timeout)
        printed = []
        for stream in (stdout, stderr):
            stream.seek(0)
            printed.append(stream.read().decode() if text else stream.read())
    return subprocess.CompletedProcess(arguments, ended, *printed)


class Started(Command):
    """A command that goes on, and what it prints."""

    def __init__(self, arguments, *, cwd, env):
        reading, writing = os.pipe()
        self.stdout = os.fdopen(reading, encoding="utf-8")
        with Path(os.devnull).open() as stdin:
            super().__init__(arguments, cwd=cwd, env=env, streams=(stdin.fileno(), writing, 2))
        os.close(writing)

    def end(self):
        """Send SIGTERM, and wait until it has ended."""
        with self.stdout:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            self.wait()


class Program(Command):
    """A program as `python -c` runs it, with the methods of a `Popen`.

    How an interpreter starts, and what it loads, is tested with a real one.

    Args:
        text: The program, in Python.
        arguments: Its `sys.argv[1:]`.
        cwd: Where it runs; by default here.
    """

    def __init__(self, text, *arguments, cwd="."):
        self.returncode = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `communicate`
        reading, writing = os.pipe()
        self.stdout = os.fdopen(reading, encoding="utf-8", errors="replace")
        with Path(os.devnull).open() as stdin:
            super().__init__(
                ["-c", text, *map(str, arguments)],
                cwd=Path(cwd).absolute(),
                env=dict(os.environ),
                streams=(stdin.fileno(), writing, self._errors.fileno()),
                is_python=True,
            )
        os.close(writing)

    def kill(self):
        """Kill it, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def kill_after_a_line(self, rng):
        """Kill it soon after it has printed a line, and return the lines that it printed."""
        first = self.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        self.kill()
        rest, _ = self.communicate()
        return (first + rest).split("\n")[:-1]  # the last one may be cut

    def communicate(self, timeout=100):
        """Wait for its end; return the rest of its output, and its errors."""
        with self.stdout, self._errors:
            printed = self.stdout.read()
            self.returncode = super().wait(timeout)
            self._errors.seek(0)
            return printed, self._errors.read().decode()

    def wait(self, timeout=100):
        """Wait for its end; return its exit status."""
        self.communicate(timeout)
        return self.returncode


def client(program):
    """Return the words before the arguments with which a shell runs `runstore` or `python`."""
    from command_client import __file__ as file

    return [sys.executable, "-S", "-E", file, address(), program]


def load(*modules):
    """Have modules of extras loaded before the next command, which would load them each time."""
    with Path(f"{address()}-loads").open("wb", buffering=0) as names:
        names.write(" ".join([*modules, ""]).encode())


def address():
    """Return the path of the server's socket."""
    return _server()[0]


_shared = []


def share(server):
    """Use the server that the process of all workers has started."""
    _shared.append(server)


def shared():
    """Start a server for the workers of this process; return what `share` gets."""
    return _server()


@cache
def _server():
    """Return the socket and the settings of a server, which ends with the process it is of."""
    return _shared[0] if _shared else _started()


def _started():
    folder = tempfile.mkdtemp(prefix="runstore-")  # a socket's path is short
    path = f"{folder}/commands"
    # Threads of a library would be lost in a fork.
    env = {**os.environ, "PYTHONWARNINGS": "", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # as for tests
    # A file on the stack would count as the program that records. What `-c` itself compiles is
    # freed at the end of each program, which would copy all of its memory.
    program = f"exec(compile(open({__file__!r}, encoding='utf-8').read(), '<string>', 'exec'))"
    os.mkfifo(f"{path}-loads")
    # So that no test waits for a server that could not start.
    reader = os.open(f"{path}-loads", os.O_RDONLY | os.O_NONBLOCK)
    with socket.socket(socket.AF_UNIX) as commands:
        # Those that come before it has loaded wait.
        commands.bind(path)
        commands.listen(100)
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(commands.fileno()), f"{path}-loads"],
            stdin=subprocess.PIPE,
            env=env,
            pass_fds=[commands.fileno()],
        )

    def end():
        process.stdin.close()
        process.wait()
        os.close(reader)
        shutil.rmtree(folder)

    atexit.register(end)
    return path, _settings(env)


def _settings(env):
    read = {name for name in env if name.startswith(_OF_INTERPRETERS)} - {"PYTHONPATH"}
    return {name: env[name] for name in read}


def _load():
    import runstore

    for module in pkgutil.walk_packages(runstore.__path__, "runstore."):
        if not module.name.startswith(_NOT_LOADED):
            importlib.import_module(module.name)
    for name in _LOADED_ON_USE:
        importlib.import_module(name)
    _load_extras(_IF_PRESENT)
    _use_once()
    _look_at_modules()


def _use_once():
    """Have what processes read, compile and ask once kept by the server."""
    from runstore.capture.machine.host import host_details
    from runstore.capture.machine.packages import distributions
    from runstore.capture.secrets.issuers import is_token
    from runstore.model.query.parse import parse_query

    host_details()
    distributions()
    is_token("")
    parse_query("params.lr > 0.1 order by metrics.loss")


def _load_extras(names):
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _look_at_modules():
    """Have all of them looked at but `__main__`, the last, which is that of each program."""
    from runstore.capture.program.files import own_modules

    main = sys.modules.pop("__main__")
    own_modules()
    sys.modules["__main__"] = main


def _look_at_main():
    """Look at the last of the modules alone: a look at all would copy much memory."""
    from runstore.capture.program import files

    (count, _), own = files._known
    main = {"__main__": sys.modules["__main__"]}
    files._known = (count + 1, "__main__"), {**own, **files._own_among(main)}


def _reserve_memory():
    """Have small objects lie side by side, so that large pages can hold them.

    Their arenas would lie between libraries otherwise. Return what keeps the arenas there.
    """
    objects = [None] * _SMALL_OBJECTS  # a list that grows would lie between them as well
    for place in range(_SMALL_OBJECTS):
        objects[place] = bytes(_SMALL_BYTES)
    return objects[::_ONE_OF]


def _gather_memory():
    """Have commands write to few pages: to copy them takes a third of the time of a command."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallinfo2"):
        _fill_gaps(libc)
    if sys.platform == "linux":
        _use_large_pages(libc)


def _fill_gaps(libc):
    """Use up the free memory between what was loaded, so that the next is all in one place.

    Source: mallinfo(3) of glibc 2.33.
    """
    fields = [(name, ctypes.c_size_t) for name in "abcdefghi"]
    libc.mallinfo2.restype = type(
        "Mallinfo2", (ctypes.Structure,), {"_fields_": [*fields, ("keepcost", ctypes.c_size_t)]}
    )
    for size in range(1000, 8, -16):
        at_the_end = libc.mallinfo2().keepcost
        while libc.mallinfo2().keepcost == at_the_end:
            libc.malloc(ctypes.c_size_t(size))


def _use_large_pages(libc):
    """Have a fork copy a table of few pages; kernels before 6.1 cannot.

    Source: madvise(2), MADV_COLLAPSE.
    """
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words[1] == "rw-p" and (len(words) == 5 or words[5] == "[heap]"):
            first, end = (int(one, 16) for one in words[0].split("-"))
            libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), _MADV_COLLAPSE)


def _serve(listener, loads):
    """Fork for each request until our stdin is closed, which the process that started us holds.

    Args:
        listener: The socket for requests.
        loads: Descriptor of a pipe for the names of modules.

    Returns the connection of the request in a new process, and None at the end of the server.
    """
    _gather_memory()
    gc.freeze()  # a collection in a command would copy all that was loaded
    gc.set_threshold(20_000, 20, 20)  # and the usual one looks for garbage every 700 objects
    gc.enable()
    waiting = {}  # connections, by the process of the command
    child_ended, wakeup = os.pipe()
    for end in (child_ended, wakeup):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    for one in (listener, loads, 0, child_ended):
        selector.register(one, selectors.EVENT_READ)
    while True:
        ready = [key.fileobj for key, _ in selector.select()]
        if 0 in ready:
            return None
        if loads in ready:
            _load_extras(os.read(loads, 10_000).decode().split())
            _look_at_modules()
            gc.freeze()
        if child_ended in ready:
            os.read(child_ended, 100)
            _tell_ends(waiting)
        if listener in ready:
            connection, _ = listener.accept()
            if (command := os.fork()) == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for one in (child_ended, wakeup, loads):
                    os.close(one)
                selector.close()
                listener.close()
                return connection
            waiting[command] = connection
            connection.sendall(b"%d\n" % command)


def _tell_ends(waiting):
    while waiting:
        command, status = os.waitpid(-1, os.WNOHANG)
        if not command:
            return
        with waiting.pop(command) as connection, contextlib.suppress(BrokenPipeError):
            connection.sendall(b"%d\n" % status)


def _become(connection):
    """Go on as `python` or `python -m runstore`, as the request says.

    If the program reaches its last line, this returns None, so that the end of the frame that
    calls it is that of the program, which can be seen. In a process that is forked for a program
    of a command, it returns the connection of that.
    """
    with connection:
        mark, streams, *_ = socket.recv_fds(connection, 1, 3)
        if not mark:  # the command has ended, and started no program
            os._exit(0)
        with connection.makefile("rb") as requests:
            request = marshal.loads(requests.read())  # noqa: S302 - of our own
    if request.pop("forks_programs", False) and (asked := _prepare_program()) is not None:
        for stream in streams:
            os.close(stream)
        return asked
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    sys.stdout.reconfigure(line_buffering=os.isatty(1))
    try:
        _run(**request)
    except SystemExit as end:
        status = end.code
        if not isinstance(status, int | None):
            print(status, file=sys.stderr)
            status = 1
    except KeyboardInterrupt as error:
        _show(error)
        status = -signal.SIGINT
    except BaseException as error:  # noqa: BLE001 - as an interpreter does
        _show(error)
        status = 1
    else:
        return None
    threading._shutdown()
    atexit.unregister(_leave)
    atexit._run_exitfuncs()
    return _leave(status or 0)


def _prepare_program():
    """Fork a process that becomes the first Python program that this command starts.

    It is a child of the command, as a program is, and so is forked before the command has loaded
    or opened anything. Return its connection in that process, and None in this one.
    """
    from runstore.capture.program import modules

    command, program = socket.socketpair()
    usual = _settings(os.environ)
    pid = os.fork()
    if pid == 0:
        command.close()
        # What is written from now on is there before the program begins.
        modules.process_started_ns = lambda: None
        return program
    program.close()

    def or_fork(spawn):
        def spawned(path, words, env, **more):
            request = None
            if command.fileno() >= 0 and not {*more} - {"file_actions", "setsigmask", "setsigdef"}:
                request = _as_request(path, words, env, usual)
            streams = _streams(more.get("file_actions", ()))
            if request is None or streams is None:
                return spawn(path, words, env, **more)
            with command:
                socket.send_fds(command, [b"\n"], streams)
                command.sendall(marshal.dumps(request))
            return pid

        return spawned

    os.posix_spawn, os.posix_spawnp = or_fork(os.posix_spawn), or_fork(os.posix_spawnp)
    return None


def _as_request(path, words, env, usual):
    """Return the request for a program; None if it needs an interpreter of its own."""
    found, own = Path(shutil.which(path) or "/"), Path(sys.executable)
    # Environments share the program, but not the folder with the link to it.
    is_own = found.samefile(own) and found.parent.samefile(own.parent)
    if not is_own or len(words) == 1 or _settings(env) != usual:
        return None
    is_python = words[1:3] != ["-m", "runstore"]
    if is_python and words[1].startswith("-") and words[1] not in {"-c", "-m"}:
        return None
    asked = {"cwd": str(Path.cwd()), "env": dict(env), "is_python": is_python, "name": words[0]}
    return {**asked, "arguments": words[1 if is_python else 3 :], "forks_programs": not is_python}


def _streams(actions):
    """Return the standard streams that these actions of a spawn make; None if they do more."""
    streams = [0, 1, 2]
    for kind, *descriptors in actions:
        if kind != os.POSIX_SPAWN_DUP2 or descriptors[1] not in streams:
            return None
        streams[descriptors[1]] = descriptors[0]
    return streams


def _show(error):
    """Print the traceback of an exception that ends the program, without our own frames."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
    sys.excepthook(type(error), error.with_traceback(trace), trace)


def _leave(status):
    """End this process: all that was loaded need not be taken apart."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # there is none, or it is closed
            stream.flush()
    if status == -signal.SIGINT:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    os._exit(status & 0xFF if abs(status) < 2**63 else 0xFF)


def _step_down(user, group, groups, umask):
    """Go on as another user, as a program does that was started by that user."""
    os.umask(umask)
    os.setgroups(groups)
    os.setgid(group)
    os.setuid(user)
    # Otherwise what is in /proc/self would be root's. Source: prctl(2), PR_SET_DUMPABLE.
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)


def _run(arguments, cwd, env, *, is_python=False, rights=None, name=sys.executable):
    from runstore import current, started_in
    from runstore.capture.program import files, modules
    from runstore.recording import starting

    sys.orig_argv[0] = name
    if rights is not None:
        _step_down(*rights)
    os.chdir(cwd)
    started_in.STARTED_IN = cwd
    files.LOADED_AT_NS = modules.LOADED_AT_NS = time.time_ns()
    starting._IS_OF_COMMAND = current.COMMAND_VARIABLE in env
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.path[0] = cwd
    sys.path[1:1] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    if is_python:
        _run_python(*arguments)
    else:
        _look_at_main()  # which is none of the user's
        sys.argv[1:] = arguments
        sys.orig_argv[1:] = ["-m", "runstore", *arguments]
        runpy.run_module("runstore", run_name="__main__", alter_sys=True)
        sys.exit()


def _run_python(first, *words):
    """Run the text after `-c`, the module after `-m`, a script, or a folder."""
    sys.orig_argv[1:] = [first, *words]
    if first != "-c":  # its file makes it a module that is loaded now
        del sys.modules["__main__"]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    if first == "-m":
        sys.argv[:] = words
        runpy._run_module_as_main(words[0])
    elif first == "-c":
        sys.argv[:] = ["-c", *words[1:]]
        _look_at_main()
        exec(compile(words[0], "<string>", "exec"), main.__dict__)  # noqa: S102 - of a test
    elif Path(first).is_dir():
        sys.argv[:] = [first, *words]
        sys.path[0] = str(Path(first).absolute())
        runpy._run_module_as_main("__main__", alter_argv=False)
    else:
        sys.argv[:] = [first, *words]
        script = Path(first).absolute()
        sys.path[0] = str(script.resolve().parent)
        main.__file__ = str(script)
        _look_at_main()
        exec(compile(script.read_bytes(), script, "exec"), main.__dict__)  # noqa: S102


if __name__ == "__main__":
    atexit.register(_leave, 0)  # the first, and so the last to be called
    gc.disable()  # there is no garbage among modules
    reserved = _reserve_memory()
    _load()
    # We also write to it, as far as the system knows, and so never find its end.
    names = os.open(sys.argv[2], os.O_RDWR)
    with socket.socket(fileno=int(sys.argv[1])) as commands:
        connection = _serve(commands, names)
    while connection is not None:
        connection = _become(connection)

"""Other programs whose output is read: nothing of them is left, whatever happens meanwhile."""

import os
import queue
import signal
import sys
import traceback
from pathlib import Path

import pytest

from runstore import background
from runstore.capture import child_process
from runstore.capture.child_process import ProgramOutput, environment, output_of


def answer(*command, limit_bytes=100, timeout_s=30):
    return output_of(list(command), os.environ, limit_bytes=limit_bytes, timeout_s=timeout_s)


def open_descriptors():
    return sorted(one.name for one in Path("/proc/self/fd").iterdir())


def in_a_fork(check):
    """Check something in a process without children and threads, whose streams may be closed."""
    child = os.fork()
    if child == 0:
        try:
            check()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - nothing of this process may go on
            traceback.print_exc()
            os._exit(1)

    assert os.waitpid(child, 0)[1] == 0


class RaisedByHandlerError(BaseException):
    """An exception that a signal handler of the program raises."""


def is_freeing(frame):
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


def is_interrupted(step, call):
    """Raise before a step of the interpreter, as signal handlers can; False if there is none."""
    steps = iter(range(step))

    def trace(frame, event, _):
        # What is raised while an object is freed is printed by Python, and interrupts nothing.
        if frame.f_code.co_filename != child_process.__file__ or is_freeing(frame):
            return None
        if frame.f_code.co_name == "read":  # of many steps, which are all alike
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and next(steps, None) is None:
            sys.settrace(None)
            raise RaisedByHandlerError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except RaisedByHandlerError:
        return True
    finally:
        sys.settrace(before)
    return False


def test_a_handler_that_raises_at_any_moment_leaves_neither_process_nor_descriptor(
    is_full_campaign,
):
    def check():
        before, step = open_descriptors(), 0
        while is_interrupted(step, lambda: answer("true")):
            step += 1 if is_full_campaign else 5
            with pytest.raises(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            # Those of other tests may be closed meanwhile, by a garbage collection.
            assert {*open_descriptors()} <= {*before}
        assert step > 100

    in_a_fork(check)


def test_both_outputs_and_the_exit_status_are_returned():
    assert answer("sh", "-c", "echo out; echo err >&2; exit 3") == ProgramOutput(
        3, b"out\n", b"err\n"
    )
    assert answer("sh", "-c", "kill -9 $$").exit_code == -signal.SIGKILL
    assert answer("cat") == ProgramOutput(0, b"", b"")


def test_the_status_is_0_if_the_system_collects_it():
    """As `subprocess` has it: a program that ignores SIGCHLD is told no status."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert answer("sh", "-c", "echo out; exit 3") == ProgramOutput(0, b"out\n", b"")
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_a_program_without_standard_streams_gets_answers(closed):
    """The pipes then have their numbers."""

    def check():
        for one in closed:
            os.close(one)
        assert answer("sh", "-c", "cat; echo out; echo err >&2") == ProgramOutput(
            0, b"out\n", b"err\n"
        )

    in_a_fork(check)


def test_a_child_gets_no_descriptor_of_the_program():
    """Not even one for children: a daemon that git starts would keep it."""
    number = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(number, True)
    try:
        words = ["sh", "-c", f"test -e /dev/fd/{number} || echo gone"]
        answer = output_of(words, os.environ, limit_bytes=100, timeout_s=60)
    finally:
        os.close(number)

    assert answer.output == b"gone\n"


def test_a_program_of_a_thread_that_blocks_signals_gets_them():
    code = "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    answers = queue.SimpleQueue()

    background.start_thread(lambda: answers.put(answer(sys.executable, "-c", code)))

    assert answers.get(timeout=60).output == b"set()\n"


def test_variables_that_another_thread_removes_are_left_out(monkeypatch):
    class Changing(dict):
        def __iter__(self):
            for name in list(super().__iter__()):
                self.pop("GONE", None)
                yield name

    monkeypatch.setattr(os, "environ", Changing(KEPT="1", GONE="2", ALSO="3"))

    assert environment() == {"KEPT": "1", "ALSO": "3"}

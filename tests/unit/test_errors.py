"""Errors travel: to the parent of a process pool, through copies, by the name in the guides."""

import copy
import functools
import pickle
import signal
import subprocess
import sys

import pytest

from runstore import Store, errors
from runstore.recording import live_runs

EVERY_KIND = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.RunstoreError)
]
# What some kinds have besides the three parts of a message.
MORE = {
    errors.AmbiguousReferenceError: {"candidates": ("a", "b")},
    errors.CommandNotFoundError: {"exit_code": 127},
    errors.UserCodeError: {"traceback": "line 1"},
}


def _sent(error, protocol=None):
    """Return an error as it arrives by pickle."""
    return pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own


def every_error(folder):
    with Store.open(folder) as store, store.start("e", capture=False) as run:
        more = {**MORE, errors.AlreadyRanError: {"run": run.record}}
        return [
            kind("what", kept="kept", hint="hint", **more.get(kind, {})) for kind in EVERY_KIND
        ]


@pytest.mark.parametrize("copied", [_sent, copy.deepcopy])
def test_every_error_can_be_copied(tmp_path, copied):
    for error in every_error(tmp_path):
        error.add_note = "an attribute of the user's"

        again = copied(error)

        assert (type(again), str(again), again.args) == (type(error), str(error), error.args)
        assert vars(again) == vars(error)


def test_every_protocol_of_pickle_takes_an_error():
    error = errors.AmbiguousReferenceError("what", candidates=("a",))

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert vars(_sent(error, protocol)) == vars(error)


def test_an_error_of_a_subclass_with_arguments_of_its_own_can_be_copied():
    again = _sent(_Refused("store", 3))

    assert (again.place, again.count, str(again)) == ("store", 3, "store refused 3 times")


class _Refused(errors.StoreError):
    def __init__(self, place, count):
        super().__init__(f"{place} refused {count} times")
        self.place = place
        self.count = count


def test_what_a_signal_raises_can_be_copied():
    again = _sent(live_runs.Terminated(15))

    assert (again.code, again.signal_number) == (143, 15)


@pytest.mark.parametrize("name", ["errors.NotFoundError", "testing.temporary_store"])
def test_modules_of_the_guides_are_there_at_once(name):
    code = f"import runstore; runstore.{name}"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Handler:
    """Raises, in each of the ways in which a signal handler may be written."""

    def method(self, _number, _frame):
        raise TimeoutError("late")

    def once(self, number, _frame):
        signal.signal(number, signal.SIG_IGN)
        self.fail()

    def fail(self):
        raise TimeoutError("late")

    def __call__(self, *_):
        self.fail()


def _kept_in_a_cell(_number, frame):
    def fail():
        raise TimeoutError(f"late, in {frame.f_code.co_name}")

    fail()


HANDLERS = {
    "method": Handler().method,
    "object": Handler(),
    "removes itself": Handler().once,
    "partial": functools.partial(lambda _more, *_: Handler().fail(), "more"),
    "closure": _kept_in_a_cell,
}


def _within_two_calls(work):
    with errors.suppressed(OSError, ValueError):
        try:
            work()
        except errors.genuine(OSError):
            return "taken for ours"
    return "suppressed"


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
def test_what_a_signal_handler_raises_is_not_caught(handler):
    before = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(TimeoutError, match="late"):
            _within_two_calls(lambda: signal.raise_signal(signal.SIGALRM))
    finally:
        signal.signal(signal.SIGALRM, before)


def _raise(error):
    raise error


def test_what_a_trace_function_raises_is_not_caught():
    def trace(frame, _event, _argument):
        return _raise(OSError("a debugger")) if frame.f_code is _raise.__code__ else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.raises(OSError, match="a debugger"):
            _within_two_calls(lambda: _raise(ValueError()))
    finally:
        sys.settrace(before)


def test_other_errors_are_caught():
    assert _within_two_calls(lambda: open("there/is/no/such/file")) == "taken for ours"  # noqa: PTH123, SIM115 - the shortest
    assert _within_two_calls(lambda: _raise(OSError())) == "taken for ours"
    assert _within_two_calls(lambda: _raise(ValueError())) == "suppressed"
    with pytest.raises(KeyError):
        _within_two_calls(lambda: _raise(KeyError()))


def _with_frames_between(frame):
    """As an extension does that shows its own code in tracebacks."""
    Handler().method(signal.SIGALRM, frame)


def test_it_is_recognized_behind_frames_of_an_extension_and_without_its_traceback():
    with pytest.raises(TimeoutError) as caught:
        _with_frames_between(sys._getframe())

    assert errors.is_of_signal(caught.value)
    assert errors.is_of_signal(caught.value.with_traceback(None))
    assert not errors.is_of_signal(TimeoutError("late"))


def test_code_that_looks_at_its_own_frames_is_no_handler():
    """As `inspect.getsource(sys._getframe())` does in a `__repr__`."""

    def look(_frame):
        raise OSError("no source code")

    assert _within_two_calls(lambda: look(sys._getframe())) == "taken for ours"


def test_a_hint_does_not_follow_the_mark_below_an_invalid_place():
    error = errors.FilterError("No such field.\n  a < 1\n  ^", hint="Did you mean 'b'?")

    assert str(error).split("\n") == ["No such field.", "  a < 1", "  ^", "Did you mean 'b'?"]
    assert str(errors.UsageError("a.", kept="b.", hint="c.")) == "a. b. c."

"""The run being executed: of a block, of a plain object, or of the parent process."""

from __future__ import annotations

import os
from _thread import get_ident
from contextvars import ContextVar

from runstore.background import in_main_thread
from runstore.model.status import Status
from runstore.model.values import clean_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol
else:
    Protocol = object


class Executed(Protocol):
    """A run being executed in this process.

    Attributes:
        store_path: The folder of its store.
        surrounding: The run in whose block it was started.
        was_current: Whether it has ever been the current run.
        is_block: Whether a `with` block ends it.
        lineage: The uids of the run and of its ancestors that are executed here.
    """

    uid: str
    experiment_name: str
    status: Status
    store_path: str
    surrounding: Any
    was_current: bool
    is_block: bool
    lineage: frozenset[str]


# The uid of the run in which a process was started.
PARENT_VARIABLE = "RUNSTORE_PARENT"
# JSON from `runstore exec` for its program, which may take over the run of its command.
COMMAND_VARIABLE = "RUNSTORE_COMMAND"
# Set by `runstore rerun`: an identical run is no reason not to run.
AGAIN_VARIABLE = "RUNSTORE_AGAIN"

_current: ContextVar[Executed | None] = ContextVar("runstore_current_run", default=None)


class StoreBlock:
    """A `with` block of a store, and the one around it, in one thread or task.

    Threads begin outside of all blocks; tasks begin in those of the code that made them.
    """

    def __init__(self, store: object, around: StoreBlock | None) -> None:
        self.store = store
        self.around = around

    def is_in(self, block: StoreBlock) -> bool:
        """Check whether this is a block, or inside it."""
        return self is block or (self.around is not None and self.around.is_in(block))


_block: ContextVar[StoreBlock | None] = ContextVar("runstore_store_block", default=None)
store_block = _block.get


def enter_store(store: object) -> None:
    """Begin a block of a store."""
    _block.set(StoreBlock(store, _block.get()))


def leave_store(store: object) -> StoreBlock | None:
    """End the innermost block, and return it; None if it was entered in another task."""
    block = _block.get()
    if block is None or block.store is not store:
        return None
    _block.set(block.around)
    return block


class _OfMainThread:
    """The current run of the main thread, for code without its own context.

    It applies to other threads, which start without a current run, and to child processes, which
    find it in their environment.
    """

    def __init__(self) -> None:
        self.run: Executed | None = None
        self.thread: int | None = None
        # The previous value in the environment, and the value set since.
        self.inherited: str | None = None
        self.said: str | None = None

    def is_now(self, run: Executed | None) -> None:
        self.run = run
        found = os.environ.get(PARENT_VARIABLE)
        if found != self.said or self.said is None:  # set by other code
            self.inherited = found
        self.said = None if run is None else run.uid
        if self.said is not None:
            os.environ[PARENT_VARIABLE] = self.said
        elif self.inherited is not None:
            os.environ[PARENT_VARIABLE] = self.inherited
        else:
            os.environ.pop(PARENT_VARIABLE, None)

    def parent_uid(self) -> str | None:
        found = os.environ.get(PARENT_VARIABLE)
        if found is None:
            return None
        return clean_text((self.inherited if found == self.said else found) or "") or None


_main = _OfMainThread()


def innermost() -> Executed | None:
    """Return the run being executed here, or None; see `runstore.current_run`."""
    run = _current.get()
    run = run and _still_open(run)
    around = _main.run
    if run or around is None or in_main_thread():
        return run
    return _still_open(around)


def lineage_of(uid: str | None) -> frozenset[str]:
    """Return the uids of a run and its ancestors, if it surrounds this code; else none."""
    around = None if uid is None else innermost()
    while around is not None and around.uid != uid:
        around = around.surrounding
    return frozenset() if around is None else around.lineage


def enter(run: Executed) -> None:
    """Make a run the current one of this thread or task."""
    around = _still_open(_current.get())
    if around is not run and not run.was_current:
        run.surrounding, run.was_current = around, True
    _become(run)


def suspend(run: Executed) -> Executed | None:
    """Leave a run and the runs inside it; return the current one among them."""
    inside = _current.get()
    if not _is_inside(inside, run):
        leave(run)
        return run
    _become(_still_open(run.surrounding))
    return inside


def enter_again(run: Executed, inside: Executed | None) -> None:
    """Make a run current again, such as that of a resumed generator, or one inside it."""
    around = _still_open(_current.get())
    if not _is_inside(around, run):  # else each would surround the other
        run.surrounding = around
    _become(_still_open(inside))


def leave(run: Executed) -> None:
    """Make the surrounding run the current one."""
    around = _still_open(run.surrounding)
    if _current.get() is run:
        _become(around)
    if _main.run is run:
        _main.is_now(around)


def parent_uid() -> str | None:
    """Return the uid of the run in which this process was started, or None."""
    return _main.parent_uid()


def _become(run: Executed | None) -> None:
    _current.set(run)
    if in_main_thread():
        _main.thread = get_ident()
        _main.is_now(run)


def _is_inside(inner: Executed | None, run: Executed) -> bool:
    """Check whether a run surrounds another, or is the same."""
    while inner is not None and inner is not run:
        inner = inner.surrounding
    return inner is run


def _still_open(run: Executed | None) -> Executed | None:
    """Return the run if it has not ended, otherwise the nearest open run around it."""
    while run is not None and run.status.is_final:
        run = run.surrounding
    return run


def _after_fork_in_child() -> None:
    """Keep the current run if another thread forked, which is the main thread of the child."""
    if _main.thread != get_ident() and _current.get() is None:
        _current.set(_main.run)


os.register_at_fork(after_in_child=_after_fork_in_child)

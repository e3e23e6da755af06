"""Functions whose calls are runs: plain functions, coroutines and both kinds of generators."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from runstore import current
from runstore.errors import UsageError, shown

# Starts a run, and ends it when its block is left.
Begin = Callable[[], AbstractContextManager[Any]]


def run_per_call(function: Any, begin: Begin) -> Any:
    """Return a function whose body is executed in a run.

    The run of a coroutine or a generator starts and ends with the execution of its body. A static
    or class method may be wrapped already.

    Raises:
        UsageError: The object is not callable.
    """
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(run_per_call(function.__func__, begin))
    if not callable(function):
        raise UsageError(
            f"Only functions can be decorated, got {shown(function)}.", kept="No run was recorded."
        )
    is_routine = inspect.isroutine(function) or isinstance(function, functools.partial)
    body = function if is_routine else type(function).__call__
    if inspect.isasyncgenfunction(body):
        wrapper: Callable[..., Any] = _async_generator(function, begin)
    elif inspect.iscoroutinefunction(body):
        wrapper = _coroutine(function, begin)
    elif inspect.isgeneratorfunction(body):
        wrapper = _generator(function, begin)
    else:
        wrapper = _plain(function, begin)
    return functools.wraps(function)(wrapper)


def _plain(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    def plain(*args: Any, **kwargs: Any) -> Any:
        with ExitStack() as block:
            run = block.enter_context(begin())
            result = function(*args, **kwargs)
            # A decorator may hide that the function returns a coroutine.
            if isinstance(result, Coroutine) and not run.status.is_final:
                block.pop_all()
                current.leave(run.execution)
                return _coroutine(lambda: result, lambda: run)()
        return result

    return plain


def _coroutine(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        with begin():
            return await function(*args, **kwargs)

    return coroutine


def _generator(
    function: Callable[..., Any], begin: Begin
) -> Callable[..., Generator[Any, Any, Any]]:
    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with begin() as run:
            inner = function(*args, **kwargs)
            resume, given = inner.send, None
            while True:
                try:
                    item = resume(given)
                except StopIteration as ended:
                    return ended.value
                # As `yield from`, but the consumer of the item is outside the run.
                go_on = _suspended(run)
                try:
                    given = yield item
                except GeneratorExit:
                    go_on()
                    inner.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - handed on to the user's generator
                    resume, given = inner.throw, error
                else:
                    resume = inner.send
                go_on()

    return generator


def _suspended(run: Any) -> Callable[[], None]:
    """Leave the run of a generator until the returned function is called.

    If the process ends meanwhile, the run ends like that of a closed generator.
    """
    execution = run.execution
    before, execution.ends_with_process = execution.ends_with_process, True
    inside = current.suspend(execution)

    def go_on() -> None:
        execution.ends_with_process = before
        current.enter_again(execution, inside)

    return go_on


def _async_generator(
    function: Callable[..., Any], begin: Begin
) -> Callable[..., AsyncIterator[Any]]:
    async def generator(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        with begin() as run:
            inner = function(*args, **kwargs)
            resume = inner.__anext__()
            while True:
                try:
                    item = await resume
                except StopAsyncIteration:
                    return
                # As `yield from`, which asynchronous generators do not have; see `_generator`.
                go_on = _suspended(run)
                try:
                    sent = yield item
                except GeneratorExit:
                    go_on()
                    await inner.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - handed on to the user's generator
                    resume = inner.athrow(error)
                else:
                    resume = inner.asend(sent)
                go_on()

    return generator

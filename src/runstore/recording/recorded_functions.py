"""Functions whose every call is a run: plain ones, coroutines, and generators of both kinds."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runstore.recording.active import ActiveRun


def recorded(function: Callable[..., Any], begin: Callable[[], ActiveRun]) -> Callable[..., Any]:
    """Return a function whose body is executed within a run.

    A coroutine or a generator begins its run when it begins to execute, and ends it with its body.

    Args:
        function: The function.
        begin: Starts a run.
    """
    if inspect.isasyncgenfunction(function):
        return functools.wraps(function)(_async_generator(function, begin))
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            with begin():
                return await function(*args, **kwargs)

        return coroutine
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            with begin():
                return (yield from function(*args, **kwargs))

        return generator

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with begin():
            return function(*args, **kwargs)

    return plain


def _async_generator(
    function: Callable[..., Any], begin: Callable[[], ActiveRun]
) -> Callable[..., AsyncIterator[Any]]:
    async def generator(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        with begin():
            inner = function(*args, **kwargs)
            resume = inner.__anext__()
            while True:
                try:
                    item = await resume
                except StopAsyncIteration:
                    return
                # As `yield from`, which asynchronous generators do not have.
                try:
                    sent = yield item
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - handed on to the user's generator
                    resume = inner.athrow(error)
                else:
                    resume = inner.asend(sent)

    return generator

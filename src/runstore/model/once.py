"""Properties that are computed at their first use and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class once(Generic[T]):  # noqa: N801 - used as `property` is
    """A property that is computed at its first use and kept, as `functools.cached_property`.

    Without its lock, which until Python 3.11 is one for all objects and stays held for ever in a
    child that is forked while another thread computes. Threads that ask at once may compute
    twice; all get what was kept first.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> once[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> once[T] | T:
        """Return the value; once it is kept, Python finds it without asking here."""
        if instance is None:
            return self
        kept: T = instance.__dict__.setdefault(self._name, self._compute(instance))
        return kept

"""Properties that are computed on first use and cached."""

from __future__ import annotations

__all__ = ["once"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from functools import cached_property as once
    from typing import Any
else:

    class once:  # noqa: N801 - used as `property` is
        """A property that is computed on first use and cached, like `functools.cached_property`.

        It has no lock: until Python 3.11 that is shared by all objects and stays locked for ever
        in a child that is forked while another thread computes. Concurrent threads may compute the
        value twice; all get the first cached value.
        """

        def __init__(self, compute: Callable[[Any], Any]) -> None:
            self._compute = compute
            self._name = compute.__name__
            self.__doc__ = compute.__doc__

        def __get__(self, instance: object | None, owner: type) -> Any:
            """Return the value; once it is cached, Python finds it without calling this."""
            if instance is None:
                return self
            return instance.__dict__.setdefault(self._name, self._compute(instance))

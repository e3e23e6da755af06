"""`NamedTuple` as in `typing`, made in a third of the time, and `dataclass`, safe in threads.

`typing` compiles the annotation of each field. Without that, the modules for recording are loaded
in 42 instead of 45 ms.

If `typing` is in `sys.modules`, `dataclasses` uses it, and fails while another thread is loading
it. So it is loaded first, which waits for that thread.
"""

from __future__ import annotations

from collections import namedtuple

__all__ = [
    "NamedTuple",
    "asdict",
    "dataclass",
    "field",
    "fields",
    "is_dataclass",
    "replace",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    # ruff: noqa: TID251 - these are for type checkers
    from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
    from typing import Any, NamedTuple
else:

    class _Maker(type):
        """Makes each class with the base `NamedTuple` a tuple whose fields are its annotations."""

        def __new__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> type:
            if not bases:  # `NamedTuple` itself
                return super().__new__(cls, name, bases, members)
            fields = members.get("__annotations__", {})
            defaults = [members[field] for field in fields if field in members]
            made = namedtuple(name, fields, defaults=defaults)  # noqa: PYI024 - made of it
            made.__new__.__annotations__ = fields
            for key, value in members.items():
                if key not in fields:
                    setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Maker):
        """The base of tuples with named fields."""

    def __getattr__(name: str) -> Any:
        """Return a name of `dataclasses`, which is loaded on first use."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import typing  # noqa: F401 - before the other, see above

        import dataclasses  # isort: skip

        return getattr(dataclasses, name)

"""`NamedTuple` as in `typing`, but made in a third of the time.

`typing` compiles the annotation of each field. Without that, the modules for recording are loaded
in 42 instead of 45 ms.
"""

from __future__ import annotations

from collections import namedtuple

__all__ = ["NamedTuple"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple  # noqa: TID251 - this one for type checkers
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

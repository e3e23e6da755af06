"""Short texts by name in a store, as mappings that save assignments."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, MutableMapping
from typing import Any, TypeVar

from runstore.errors import NotFoundError
from runstore.storage.backend import Backend

V = TypeVar("V", bound=str)


class KeptByName(MutableMapping[str, V]):
    """A mapping in the store; each change is durable on return."""

    _state: str

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @abstractmethod
    def _checked_name(self, name: object) -> str:
        """Return a name in its stored form.

        Raises:
            UsageError: The name is not a text.
        """

    @abstractmethod
    def _checked(self, name: str, value: object) -> V:
        """Return a value in its stored form.

        Raises:
            InvalidValueError: The value is not valid for this name.
        """

    @abstractmethod
    def _missing(self, name: str, kept: dict[str, V]) -> NotFoundError:
        """Return the error for an unknown name."""

    def _kept(self) -> dict[str, V]:
        kept: dict[str, Any] = self._backend.database.mapping(self._state)
        return dict(sorted(kept.items()))

    def __getitem__(self, name: str) -> V:
        """Return the value of a name.

        Raises:
            NotFoundError: There is no such name; the hint has the nearest one.
        """
        name, kept = self._checked_name(name), self._kept()
        if name not in kept:
            raise self._missing(name, kept)
        return kept[name]

    def __setitem__(self, name: str, value: V) -> None:
        name = self._checked_name(name)
        self._backend.make()
        self._backend.database.change_mapping(self._state, name, self._checked(name, value))

    def __delitem__(self, name: str) -> None:
        _ = self[name]
        self._backend.database.change_mapping(self._state, self._checked_name(name), None)

    def __contains__(self, name: object) -> bool:
        return name in self._kept()

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a name, or the default."""
        return self._kept().get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept())

    def __len__(self) -> int:
        return len(self._kept())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._kept()!r}>"

"""The tags of a run that is being executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from runstore.config import current_author
from runstore.model import arguments
from runstore.model.tags import tag_key, tag_value

if TYPE_CHECKING:
    from runstore.recording.recorder import Recorder


class Tags(MutableMapping[str, str]):
    """A mapping that writes through: `run.tags["phase"] = "pilot"`; each change leaves an event.

    A change is durable on return. Where the database does not take it, it is kept in the spool,
    a `StoreWarning` says where, and the program goes on.

    Args:
        run: The run.
        known: The tags it has by now.
    """

    def __init__(self, recorder: Recorder, uid: str, known: Mapping[str, str]) -> None:
        self._recorder = recorder
        self._uid = uid
        self._known = dict(known)

    def __getitem__(self, key: str) -> str:
        return self._known[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._change({tag_key(key): tag_value(value)})

    def __delitem__(self, key: str) -> None:
        if key not in self._known:
            raise KeyError(key)
        self._change({key: None})

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return repr(self._known)

    def add(self, *keys: str) -> None:
        """Set tags that have no value: `run.tags.add("keep")`."""
        self._change({tag_key(key): "" for key in keys})

    def update(self, *changes: Any, **more: Any) -> None:
        """Set several tags at once, which `undo` takes back at once."""
        try:
            values = dict(*changes, **more)
        except (TypeError, ValueError):
            raise arguments.refused(
                changes[0], "changes", "a mapping", {"phase": "pilot"}
            ) from None
        self._change({tag_key(key): tag_value(value) for key, value in values.items()})

    def _change(self, given: Mapping[str, str | None]) -> None:
        from runstore.artifacts.masking import masked_tags

        changes = masked_tags(given)
        self._recorder.tag(self._uid, changes, current_author())
        for key, value in changes.items():
            if value is None:
                self._known.pop(key, None)
            else:
                self._known[key] = value

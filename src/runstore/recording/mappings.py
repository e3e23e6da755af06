"""The tags of a run that is being executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from runstore.config import current_author
from runstore.errors import ConflictError
from runstore.model import arguments
from runstore.model.tags import tag_key, tag_value, tags_given

if TYPE_CHECKING:
    from runstore.model.params.parameter_set import ParameterSet
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

    def __ior__(self, tags: Any) -> Tags:
        """Add tags: `run.tags |= {"phase": "pilot"}`."""
        self.update(tags)
        return self

    def __iadd__(self, keys: Any) -> Tags:
        """Add tags without values: `run.tags += ["keep"]`."""
        self._change(tags_given(keys))
        return self

    def replace(self, tags: Any) -> None:
        """Set these tags and remove all others, in one edit."""
        if tags is self:  # as after `run.tags += ["keep"]`
            return
        given = tags_given(tags)
        gone = dict.fromkeys(key for key in self._known if key not in given)
        self._change({**gone, **given})

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


class Parameterized(Protocol):
    """A run that is executed, as far as its parameters are concerned."""

    parameter_sets: tuple[ParameterSet, ...]

    def values_of_set(self, set_name: str | None) -> Mapping[str, Any]:
        """Return the parameters of a set; of the only one, or by set, without a name."""

    def add_params(
        self, params: Any, set_name: str | None = None, *, is_replacing: bool = False
    ) -> None:
        """Add parameters to a set."""


class Params(dict[str, Any]):
    """The parameters of a run, a dictionary that writes through: `run.params["seed"] = 7`.

    New parameters are durable on return and leave an event. Those that the run has are part of
    its record: another value is a `ConflictError`, except in `replace`. Nested mappings are
    written through as well.

    Args:
        execution: The run.
        values: Its parameters as they are now.
        set_name: The parameter set that they belong to; None if the run has at most one.
        place: The keys that lead to them, for a nested mapping.
    """

    def __init__(
        self,
        execution: Parameterized,
        values: Mapping[str, Any],
        set_name: str | None = None,
        place: tuple[str, ...] = (),
    ) -> None:
        self.execution = execution
        self._set_name = set_name
        self._place = place
        super().__init__()
        self._show(values)

    def _show(self, values: Mapping[str, Any]) -> None:
        is_of_sets = self._set_name is None and len(self.execution.parameter_sets) > 1
        for key, value in values.items():
            shown = value
            if is_of_sets:
                shown = Params(self.execution, value, key)
            elif type(value) is dict:
                shown = Params(self.execution, value, self._set_name, (*self._place, key))
            super().__setitem__(key, shown)

    def _add(self, changes: Mapping[str, Any], *, is_replacing: bool = False) -> None:
        whole: Any = changes
        for key in reversed(self._place):
            whole = {key: whole}
        self.execution.add_params(whole, self._set_name, is_replacing=is_replacing)
        values: Any = self.execution.values_of_set(self._set_name)
        for key in self._place:
            values = values[key]
        self._show(values)

    def __setitem__(self, key: str, value: Any) -> None:
        self._add({key: value})

    def __ior__(self, changes: Any) -> Params:  # type: ignore[override,misc]
        """Add parameters: `run.params |= {"seed": 7}`."""
        self.update(changes)
        return self

    def update(self, *changes: Any, **more: Any) -> None:
        """Add several parameters at once; those with the same value are no conflict."""
        if added := dict(*changes, **more):
            self._add(added)

    def replace(self, changes: Mapping[str, Any]) -> None:
        """Add parameters, and change those that have another value; an event has both values."""
        if changes:
            self._add(changes, is_replacing=True)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return a value; the default is added if there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def copy(self) -> dict[str, Any]:
        """Return a dictionary that does not write through."""
        return _plain(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (_plain(self),)

    def __copy__(self) -> dict[str, Any]:
        return _plain(self)

    def __deepcopy__(self, _memo: object) -> dict[str, Any]:
        return _plain(self)

    def _refused(self, *_: Any) -> NoReturn:
        raise ConflictError(
            "The parameters of a run are part of its record and cannot be removed.",
            kept="They were not changed.",
            hint="To change a value: run.params.replace({...}).",
        )

    __delitem__ = pop = popitem = clear = _refused


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _plain(value) if isinstance(value, Params) else value for key, value in values.items()
    }

"""The tags and parameters of an active run, as mappings that record assignments."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, MutableMapping

from runstore.config import current_author
from runstore.errors import ConflictError
from runstore.model import arguments
from runstore.model.tags import tag_key, tag_value, tags_given

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Protocol

    from runstore.model.params.parameter_set import ParameterSet
    from runstore.recording.recorder import Recorder
else:
    Protocol = object


class Tags(MutableMapping[str, str]):
    """A mapping that records assignments, as events: `run.tags["phase"] = "pilot"`.

    A change is durable on return. If the database cannot be written, the change is kept in the
    spool, a `StoreWarning` shows the location, and the program continues.

    Args:
        run: The run.
        known: Its current tags.
        names: Recorded keys by the keys used so far by this program; see `masked_tags`.
    """

    def __init__(
        self, recorder: Recorder, uid: str, known: Mapping[str, str], names: dict[str, str]
    ) -> None:
        self._recorder = recorder
        self._uid = uid
        self._known = dict(known)
        self._names = names

    def __getitem__(self, key: str) -> str:
        if key not in self._known:
            raise _missing("tag", key, self._known)
        return self._known[key]

    def __contains__(self, key: object) -> bool:
        return key in self._known  # the inherited one would look for a similar key

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a tag, or the default."""
        return self._known.get(key, default)

    def __setitem__(self, key: str, value: Any) -> None:
        self._change({tag_key(key): tag_value(value)})

    def __delitem__(self, key: str) -> None:
        _ = self[key]
        self._change({key: None})

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return repr(self._known)

    def add(self, *keys: str) -> None:
        """Add tags without values: `run.tags.add("keep")`."""
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
        """Set several tags as one edit, for one `undo`."""
        try:
            values = dict(*changes, **more)
        except (TypeError, ValueError):
            raise arguments.refused(
                changes[0], "changes", "a mapping", {"phase": "pilot"}
            ) from None
        self._change({tag_key(key): tag_value(value) for key, value in values.items()})

    def _change(self, given: Mapping[str, str | None]) -> None:
        from runstore.artifacts.masking import masked_tags

        changes = masked_tags(given, self._names)
        self._recorder.tag(self._uid, changes, current_author())
        for key, value in changes.items():
            if value is None:
                self._known.pop(key, None)
            else:
                self._known[key] = value


class Parameterized(Protocol):
    """The parameter functions of an active run."""

    parameter_sets: tuple[ParameterSet, ...]

    def values_of_set(self, set_name: str | None) -> Mapping[str, Any]:
        """Return the parameters of a set; without a name, of the only set or by set."""

    def add_params(
        self, params: Any, set_name: str | None = None, *, is_replacing: bool = False
    ) -> None:
        """Add parameters to a set."""


class Params(dict[str, "Any"]):
    """The parameters of a run, a dictionary that records assignments: `run.params["seed"] = 7`.

    New parameters are durable on return, with an event. Existing parameters are part of the
    record: a different value is a `ConflictError`, except in `replace`. Assignments to nested
    mappings are recorded as well.

    Args:
        execution: The run.
        values: Its current parameters.
        set_name: Their parameter set; None if the run has at most one.
        place: The path of keys, for a nested mapping.
    """

    def __init__(
        self,
        execution: Parameterized,
        values: Mapping[str, Any],
        set_name: str | None = None,
        place: tuple[str, ...] = (),
    ) -> None:
        # Not public: such attributes of a mapping count as parameters when it is recorded.
        self._execution = execution
        self._set_name = set_name
        self._place = place
        super().__init__()
        self._show(values)

    def __missing__(self, key: object) -> NoReturn:
        raise _missing("parameter", key, self)

    if not TYPE_CHECKING:  # type checkers would accept any name

        def __getattr__(self, name: str) -> NoReturn:
            """Raise an error that shows how to read a parameter."""
            hint = f" Write: run.params[{name!r}]." if name in self else ""
            raise AttributeError(f"Parameters have no attribute {name!r}.{hint}")

    def is_of(self, execution: Parameterized) -> bool:
        """Check whether these are parameters of this run."""
        return self._execution is execution

    def _show(self, values: Mapping[str, Any]) -> None:
        is_of_sets = self._set_name is None and len(self._execution.parameter_sets) > 1
        for key, value in values.items():
            shown = value
            if is_of_sets:
                shown = Params(self._execution, value, key)
            elif type(value) is dict:
                shown = Params(self._execution, value, self._set_name, (*self._place, key))
            super().__setitem__(key, shown)

    def _add(self, changes: Mapping[str, Any], *, is_replacing: bool = False) -> None:
        whole: Any = changes
        for key in reversed(self._place):
            whole = {key: whole}
        self._execution.add_params(whole, self._set_name, is_replacing=is_replacing)
        values: Any = self._execution.values_of_set(self._set_name)
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
        """Add several parameters at once; equal values of existing parameters are ignored."""
        if added := dict(*changes, **more):
            self._add(added)

    def replace(self, changes: Mapping[str, Any]) -> None:
        """Add or change parameters; an event has the old and new values."""
        if changes:
            self._add(changes, is_replacing=True)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return a value; add the default if there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def copy(self) -> dict[str, Any]:
        """Return a plain dictionary, whose assignments are not recorded."""
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


def _missing(noun: str, key: object, known: Collection[str]) -> KeyError:
    from runstore.model.display.suggestions import missing_key

    return missing_key(noun, key, known)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _plain(value) if isinstance(value, Params) else value for key, value in values.items()
    }

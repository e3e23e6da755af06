"""Groups of repeats: runs that are equal except for a seed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from runstore.model.display.formatting import cropped, exact_if_alike, setting_text
from runstore.model.params.decode import tag_of
from runstore.model.params.flatten import Cell, flatten, joined
from runstore.model.run import Run, RunSource
from runstore.model.status import Status
from runstore.model.values import blake2b, canonical_json, free_name
from runstore.value_classes import NamedTuple, dataclass

DEFAULT_OVER = ("seed", "random_state", "rng_seed", "random_seed")

_LABEL_WIDTH = 60
_VALUE_WIDTH = 24
_DIGITS = 7
_UNKNOWN = "unknown"

# Parameters that do not count when runs are grouped: key and JSON text of each.
LeftOutValues = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A run, or one parameter set of a run, as one repeat of its group.

    Attributes:
        run: The run.
        set_name: Its parameter set; None for a run without any.
        left_out: Key and JSON text of each value that was left out, in the order of the keys.
    """

    run: Run
    set_name: str | None
    left_out: LeftOutValues

    @property
    def repeat(self) -> LeftOutValues | None:
        """Its own values, such as its seed; None without any."""
        known = tuple(one for one in self.left_out if one[1] != "null")
        return known or None

    @property
    def name(self) -> str:
        """The run's reference, with the set if the run has several."""
        has_several = len(self.run.parameter_sets) > 1
        return f"{self.run.reference}/{self.set_name}" if has_several else self.run.reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Runs that differ only in the keys left out.

    Attributes:
        label: Its differences from the other groups, shortened: `lr=0.1 layers=2`.
        settings: The parameters that are not the same in all groups, and their values as text;
            empty text for a parameter that this group does not have.
        experiment_name: The experiment of all its runs.
        commit: The commit of all its runs; None if groups are not split by code.
        changes: Digest of the uncommitted code of all its runs, `unknown` if it was not kept;
            None without any, or if groups are not split by code.
        identity: The same for the same settings, whichever other groups there are.
        members: The oldest first.
    """

    label: str
    settings: tuple[tuple[str, str], ...]
    experiment_name: str
    commit: str | None
    changes: str | None
    identity: str
    members: tuple[Member, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """Its runs, each once, the oldest first."""
        return tuple({one.run.uid: one.run for one in self.members}.values())


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A run or set that does not count, and the reason.

    Attributes:
        name: The run's reference; `<reference>/<set>` for one set of several.
        reason: The reason, to follow the name: `not complete (error)`.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """Runs in their groups.

    Attributes:
        groups: The one with the oldest run first.
        over: Keys that were asked to be left out.
        found: Dotted keys that were left out, sorted.
        keys: All dotted keys of the runs, sorted.
        left_out: Runs and sets that do not count.
    """

    groups: tuple[Group, ...]
    over: tuple[str, ...]
    found: tuple[str, ...]
    keys: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


class CodeState(NamedTuple):
    """The code of a run.

    Attributes:
        commit: Its commit, if it is known.
        changes: Digest of the uncommitted code, `unknown` if it was not kept; None without any.
    """

    commit: str | None
    changes: str | None

    def __str__(self) -> str:
        commit = (self.commit or _UNKNOWN)[:_DIGITS]
        return f"{commit}+{self.changes[:_DIGITS]}" if self.changes else commit


@dataclass(frozen=True, slots=True)
class _Part:
    """A parameter set without the keys left out."""

    identity: str
    left_out: LeftOutValues
    cells: Mapping[str, Cell]


# Experiment, code if it counts, and identity of the parameters.
_Key = tuple[str, "CodeState | None", str]


def group_repeats(
    runs: Iterable[Run],
    *,
    over: Sequence[str] | None = None,
    by_code: bool = False,
    or_incomplete: bool = False,
) -> Repeats:
    """Group runs of one experiment whose parameters are equal except for some keys.

    Complete runs count, or all of them. Each parameter set of a run is a member of its own. Where
    several members of a group have the same values left out, such as one seed, the newest counts:
    the others are not new evidence.

    Args:
        runs: In any order; each counts once.
        over: Dotted keys to leave out; one such as `seed` is left out at any depth, and all that
            is below a key with it. None leaves out keys named like a seed.
        by_code: Whether runs of different commits, or with different uncommitted code, are kept
            apart.
        or_incomplete: Whether failed and unfinished runs count as well.
    """
    keys = DEFAULT_OVER if over is None else tuple(dict.fromkeys(over))
    apart = _Taker(keys)
    left_out: list[LeftOut] = []
    found: dict[_Key, list[Member]] = {}
    cells: dict[_Key, Mapping[str, Cell]] = {}
    runs = sorted(runs, key=lambda one: (one.started_at, one.uid))
    codes = codes_of(runs) if by_code else {}
    for run in runs:
        if run.status is not Status.COMPLETE and not or_incomplete:
            left_out.append(LeftOut(run.reference, f"not complete ({run.status_text})"))
            continue
        for member, part in _members(run, apart):
            key = run.experiment_name, codes.get(run.uid), part.identity
            found.setdefault(key, []).append(member)
            cells.setdefault(key, part.cells)
    groups = tuple(_groups(found, cells, left_out))
    return Repeats(
        groups=groups,
        over=keys,
        found=tuple(sorted(apart.found)),
        keys=tuple(sorted(apart.found.union(*cells.values()))),
        left_out=tuple(left_out),
    )


def _groups(
    found: Mapping[_Key, Sequence[Member]],
    cells: Mapping[_Key, Mapping[str, Cell]],
    left_out: list[LeftOut],
) -> Iterator[Group]:
    """Yield the groups, and add repeated members to those left out."""
    typed = _with_types(cells)
    differing = _differing(list(typed.values()))
    texts = {name: _texts(one.get(name) for one in typed.values()) for name in differing}
    has_codes = len({code for _, code, _ in found}) > 1
    labels = _labels(typed, texts)
    for key, members in found.items():
        experiment, code, _ = key
        of_code = [("code", str(code))] if has_codes else []
        yield Group(
            label=labels[key],
            settings=(
                *of_code,
                *((name, texts[name][typed[key].get(name)]) for name in differing),
            ),
            experiment_name=experiment,
            commit=None if code is None else code.commit,
            changes=None if code is None else code.changes,
            identity=blake2b(canonical_json(key).encode(), digest_size=8).hexdigest(),
            members=tuple(_newest_of_each(members, left_out)),
        )


def codes_of(runs: Iterable[Run]) -> dict[str, CodeState]:
    """Return the code of each run by its uid; each store is asked once."""
    codes: dict[str, CodeState] = {}
    for source, some in by_source(runs):
        changes = source.changes_of_all(some) if source is not None else {}
        for run in some:
            unkept = _UNKNOWN if run.workdir_dirty else None
            codes[run.uid] = CodeState(run.commit, changes.get(run.uid, unkept))
    return codes


def by_source(runs: Iterable[Run]) -> Iterator[tuple[RunSource | None, list[Run]]]:
    """Yield the runs of each source together."""
    found: dict[int, list[Run]] = {}
    for run in runs:
        found.setdefault(id(run.source), []).append(run)
    for some in found.values():
        yield some[0].source, some


def _members(run: Run, apart: _Taker) -> Iterator[tuple[Member, _Part]]:
    if not run.parameter_sets:
        yield Member(run=run, set_name=None, left_out=()), _Part("{}", (), {})
    for one in run.parameter_sets:
        # Of some imported sets the hash is all there is.
        part = _Part(one.hash, (), {}) if one.tree is None else apart.taken(one.tree)
        yield Member(run=run, set_name=one.name, left_out=part.left_out), part


def _newest_of_each(members: Sequence[Member], left_out: list[LeftOut]) -> Iterator[Member]:
    """Yield members that are different draws; of the same seed only the newest."""
    newest = {one.repeat: one for one in members}
    for one in members:
        last = newest[one.repeat]
        if one.repeat is None or one is last:
            yield one
        else:
            keys = " and ".join(key for key, _ in one.repeat)
            # Without names of newer runs, so that the runs of a repeated sweep are one remark.
            left_out.append(LeftOut(one.name, f"a newer run of the setting has the same {keys}"))


class _Taker:
    """Removes keys from trees; each tree is read once.

    Attributes:
        found: Dotted keys that were taken out.
    """

    def __init__(self, over: Sequence[str]) -> None:
        self.found: set[str] = set()
        self._over = frozenset(over)
        self._ends = tuple(f".{key}" for key in over)
        self._known: dict[str, _Part] = {}

    def taken(self, tree: str) -> _Part:
        """Return a tree text without the keys."""
        if tree not in self._known:
            out: list[tuple[str, str]] = []
            rest = canonical_json(self._rest(json.loads(tree), "", out))
            cells = {key: (number, text) for key, number, text in flatten(rest)}
            self._known[tree] = _Part(rest, tuple(sorted(out)), cells)
            self.found.update(key for key, _ in out)
        return self._known[tree]

    def _rest(self, tree: Any, key: str, out: list[tuple[str, str]]) -> Any:
        if isinstance(tree, list):
            return [self._rest(one, f"{key}[{place}]", out) for place, one in enumerate(tree)]
        if not isinstance(tree, dict) or tag_of(tree) is not None:
            return tree
        rest = {}
        for name, one in tree.items():
            dotted = joined(key, name)
            if dotted in self._over or dotted.endswith(self._ends):
                out.append((dotted, canonical_json(one)))
            else:
                rest[name] = self._rest(one, dotted, out)
        return rest


def _with_types(cells: Mapping[_Key, Mapping[str, Cell]]) -> Mapping[_Key, Mapping[str, Cell]]:
    """Return cells in which floats have texts, unlike ints, if other groups have equal cells."""
    kinds = {(*key[:2], frozenset(one.items())) for key, one in cells.items()}
    if len(kinds) == len(cells):
        return cells
    return {key: {**one, **dict(_whole_floats(key[2], one))} for key, one in cells.items()}


def _whole_floats(tree: str, cells: Mapping[str, Cell]) -> Iterator[tuple[str, Cell]]:
    if not cells:  # of some imported sets the hash is all there is
        return
    for key, _, text in flatten(canonical_json(_with_texts(json.loads(tree)))):
        number, own = cells[key]
        if number is not None and own is None and text and number.is_integer():
            yield key, (number, text)


def _with_texts(tree: Any) -> Any:
    """Return a tree with a text for each float that has a row of its own."""
    if isinstance(tree, float):
        return str(tree)
    if isinstance(tree, list):
        return [_with_texts(one) for one in tree]
    if isinstance(tree, dict) and tag_of(tree) in {None, "$array", "$set"}:
        return {name: _with_texts(one) for name, one in tree.items()}
    return tree


def _labels(
    cells: Mapping[_Key, Mapping[str, Cell]], texts: Mapping[str, Mapping[Cell | None, str]]
) -> dict[_Key, str]:
    """Return a short text for each group that no other group has.

    Args:
        cells: The parameters of each group.
        texts: The texts of the parameters that differ.
    """
    is_one_experiment = len({experiment for experiment, _, _ in cells}) == 1
    is_one_code = len({code for _, code, _ in cells}) == 1
    taken: set[str] = set()
    labels = {}
    for group, own in cells.items():
        experiment, code, _ = group
        parts = [] if is_one_experiment else [experiment]
        if not is_one_code:
            parts.append(f"code={code}")
        parts += [
            f"{key}={cropped(of_key[own[key]], _VALUE_WIDTH)}"
            for key, of_key in texts.items()
            if key in own
        ]
        missing = f"without {', '.join(texts)}" if texts else experiment
        label = " ".join(parts) or missing
        labels[group] = free_name(cropped(label, _LABEL_WIDTH), taken)
        taken.add(labels[group])
    return labels


def _differing(groups: Sequence[Mapping[str, Cell]]) -> list[str]:
    """Return the keys that not all groups have with the same value, in the order of the keys."""
    keys = dict.fromkeys(key for one in groups for key in one)
    return [key for key in keys if len({one.get(key, ()) for one in groups}) > 1]


def _texts(cells: Iterable[Cell | None]) -> dict[Cell | None, str]:
    """Return the text of each value of a parameter; exact texts for those that look alike."""
    found = list(dict.fromkeys(cells))
    texts = exact_if_alike(list(map(_setting, found)), list(map(_exact, found)))
    return dict(zip(found, texts, strict=True))


def _exact(cell: Cell | None) -> str:
    """Return a value as text with all its digits, and in quotes if it is a text."""
    number, text = cell or (None, None)
    if number is None and text is not None:
        return repr(text)
    if number is not None and text is None and not number.is_integer():
        return repr(number)
    return _setting(cell)


def _setting(cell: Cell | None) -> str:
    """Return a value as text; empty for a parameter that is not there."""
    if cell is None:
        return ""
    number, text = cell
    if text is not None:
        return text
    return "None" if number is None else setting_text(number)

"""Ranking what differs between two runs by how likely it explains another result.

Duration, metrics and artifacts are results themselves; tags and notes are written by people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from runstore.model.causes import Cause, Moves, Rule, Setting
from runstore.model.code_causes import code_cause
from runstore.model.differences import MISSING, SECTIONS, Difference, FileContents, Unknown
from runstore.model.known_names import is_cosmetic, is_seed
from runstore.model.surroundings import environment_cause, package_cause

_SAME_AS_HERE, _HALF_AS_HERE, _HARDLY = 1.0, 0.5, 0.1  # of the change that is to be explained
_HARDLY_COUNTS = 5  # a weight
_CHANCE = "chance"
# The command line says the seed, most often; chance is what a seed is about.
_BESIDE_A_SEED = frozenset({"command", _CHANCE})
_ORDER = {name: place for place, name in enumerate(SECTIONS)}


def ranked(found: Sequence[Difference], setting: Setting) -> tuple[Cause, ...]:
    """Return what may explain a changed result, the likeliest first.

    Args:
        found: What differs between two runs.
        setting: What else is known.
    """
    return tuple(sorted(_alone(list(_causes(found, setting))), key=_rank))


def _causes(found: Sequence[Difference], setting: Setting) -> Iterator[Cause]:
    for one in found:
        cause = _of_section(one, found, setting)
        if cause is not None:
            yield cause
    for cause in (code_cause(found, setting), _chance(setting), _last_step(setting)):
        if cause is not None:
            yield cause


def _of_section(one: Difference, found: Sequence[Difference], setting: Setting) -> Cause | None:
    """Return a difference as a cause; None where it is a result, or part of a larger cause."""
    if one.section == "inputs":
        return _input(one, found)
    if one.section in _ALONE:
        return _ALONE[one.section](one)
    if one.section in _IN_SETTING:
        return _IN_SETTING[one.section](one, setting)
    return None


def _rank(one: Cause) -> tuple[int, int, str]:
    return -one.weight, _ORDER.get(one.difference.section, -1), one.difference.key


def _alone(causes: list[Cause]) -> list[Cause]:
    """Say so where nothing else that counts differs but a seed."""
    others = [
        one
        for one in causes
        if not _is_of_seed(one.difference)
        and one.weight > _HARDLY_COUNTS
        and one.difference.section not in _BESIDE_A_SEED
    ]
    if others:
        return causes
    return [_seed_only(one) if _is_of_seed(one.difference) else one for one in causes]


def _seed_only(one: Cause) -> Cause:
    rule = max(one.rule, Rule.SEED_ALONE, key=lambda rule: rule.weight)
    return Cause(rule, one.difference, f"seed only: {one.reason}")


def _is_of_seed(one: Difference) -> bool:
    return one.section == "params" and is_seed(one.key)


# Status and parameters


def _status(one: Difference) -> Cause | None:
    if one.key == "status":
        return Cause(Rule.STATUS, one, "a run that ended early has another result")
    if one.key == "experiment":
        return Cause(Rule.EXPERIMENT, one, "they are runs of two experiments")
    return None


def _param(one: Difference, setting: Setting) -> Cause:
    if one.key.endswith(("(set)", "(file)")):
        return Cause(Rule.SET_NAME, one, "what parameters are called, not what they are")
    moves = setting.moves.get(one.key)
    if moves is not None and setting.change:
        rule, why = _shown_elsewhere(moves, setting.change, str(setting.metric))
        return Cause(rule, one, why)
    rule, why = _unproven(one)
    nothing_else = "; no other runs differ in this parameter only" if setting.change else ""
    return Cause(rule, one, f"{why}{nothing_else}")


def _unproven(one: Difference) -> tuple[Rule, str]:
    if is_seed(one.key):
        return Rule.SEED, "a seed: it moves a result by chance"
    if is_cosmetic(one.key):
        return Rule.COSMETIC, "its name says that it is about logging, names or speed"
    if _is_same_number(one.values):
        return Rule.NUMBER_TYPE, "the same number of another type"
    if one.key.endswith("(hash)"):
        return Rule.PARAMETER, "a parameter set of which only the hash is known"
    if MISSING in one.values:
        return Rule.PARAMETER, "a parameter that only one of them has"
    return Rule.PARAMETER, "a parameter"


def _is_same_number(values: Sequence[object]) -> bool:
    is_numbers = all(isinstance(value, (int, float)) for value in values)
    return is_numbers and all(value == values[0] for value in values)


def _shown_elsewhere(moves: Moves, change: float, metric: str) -> tuple[Rule, str]:
    """Return what pairs of other runs say of a parameter."""
    who = "1 other pair of runs differs"
    if moves.pairs > 1:
        who = f"{moves.pairs} other pairs of runs differ"
    where = "no other parameter" if moves.is_same_code else "no other parameter, though in code"
    told = f"{who} in {where}, and {metric} moved by {moves.typical:.3g} there"
    share = moves.typical / abs(change)
    if share < _HARDLY:
        return Rule.MOVED_HARDLY, f"{told}: hardly, compared with here"
    if share < _HALF_AS_HERE:
        return Rule.MOVED_LESS, f"{told}: less than half as much as here"
    if moves.signed is not None and moves.signed * change < 0:
        return Rule.MOVED_OTHER_WAY, f"{told}: at least half as much as here, but the other way"
    return Rule.MOVED_AS_MUCH, f"{told}: at least half as much as here"


# Data and command


def _input(one: Difference, found: Sequence[Difference]) -> Cause:
    there = [value for value in one.values if isinstance(value, FileContents)]
    if len(there) == 1:
        if there[0].digest is not None and there[0].digest in _digests(found, one):
            return Cause(Rule.SAME_DATA, one, "the same data under another name")
        return Cause(Rule.DATA_OF_ONE, one, "data that only one of them said it read")
    has_digests = all(value.digest is not None for value in there)
    if has_digests or len({value.size_bytes for value in there}) > 1:
        return Cause(Rule.OTHER_DATA, one, "the data that was read is not the same")
    unsure = "whether the data is the same cannot be told without both digests"
    return Cause(Rule.DATA_UNKNOWN, one, unsure)


def _digests(found: Sequence[Difference], but: Difference) -> set[str | None]:
    """Return the digests of all other inputs that differ."""
    return {
        value.digest
        for other in found
        if other.section == "inputs" and other is not but
        for value in other.values
        if isinstance(value, FileContents)
    }


def _command(one: Difference, setting: Setting) -> Cause:
    if one.key == "folder":
        return Cause(Rule.FOLDER, one, "it ran in another folder")
    if one.key == "user":
        return Cause(Rule.USER, one, "another user")
    if setting.has_params:
        return Cause(Rule.COMMAND, one, "what it says counts where the parameters do not tell it")
    no_params = "no parameters are recorded, so it may be where they stand"
    return Cause(Rule.COMMAND_ALONE, one, no_params)


_ALONE: Mapping[str, Callable[[Difference], Cause | None]] = {
    "status": _status,
    "packages": package_cause,
    "environment": environment_cause,
}
_IN_SETTING: Mapping[str, Callable[[Difference, Setting], Cause]] = {
    "params": _param,
    "command": _command,
}


# What is no difference


def _chance(setting: Setting) -> Cause | None:
    if setting.chance is None or not setting.change:
        return None
    share = setting.chance.typical / abs(setting.change)
    if share < _HALF_AS_HERE:
        return None
    pairs = f"{setting.chance.pairs} pair{'' if setting.chance.pairs == 1 else 's'}"
    told = (
        f"runs of the same parameters, seeds aside, differ by {setting.chance.typical:.3g} in"
        f" {setting.metric} ({pairs})"
    )
    about = Difference(_CHANCE, _CHANCE, ())
    if share < _SAME_AS_HERE:
        return Cause(Rule.CHANCE_HALF, about, f"{told}: at least half as much as here")
    return Cause(Rule.CHANCE, about, f"{told}: as much as here or more")


def _last_step(setting: Setting) -> Cause | None:
    if setting.steps is None or setting.steps[0] == setting.steps[1]:
        return None
    about = Difference("metrics", f"{setting.metric}.last_step", setting.steps)
    return Cause(Rule.LAST_STEP, about, "one of them logged the metric for longer")


def most_changed(found: Sequence[Difference]) -> Difference | None:
    """Return the metric of two runs that differs most, relative to its size; None without one.

    NaN beside a number differs more than any number does.
    """
    both = [
        one
        for one in found
        if one.section == "metrics"
        and not any(value is MISSING or isinstance(value, Unknown) for value in one.values)
    ]
    # Of several, the one whose name comes first.
    both.sort(key=lambda one: one.key)
    return max(both, key=lambda one: _relative(*one.values), default=None)


def _relative(old: float, new: float) -> float:
    largest = max(abs(old), abs(new))
    share = abs(new - old) / largest if largest else 0.0
    return share if share == share else float("inf")  # noqa: PLR0124 - NaN

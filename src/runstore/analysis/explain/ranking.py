"""Ranking of the differences between two runs as causes of another result.

Duration, metrics and artifacts are results themselves; tags and notes are written by people.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from runstore.analysis.compare.differences import (
    MISSING,
    SECTIONS,
    Difference,
    FileContents,
    Unknown,
)
from runstore.analysis.explain.code import code_cause
from runstore.analysis.explain.environment import environment_cause, package_cause
from runstore.analysis.explain.judging import Evidence
from runstore.analysis.explain.known_names import (
    NAME,
    is_cosmetic,
    is_length,
    is_likely,
    is_seed,
)
from runstore.analysis.explain.observed import SeedSpread
from runstore.analysis.explain.renamed_parameters import renamed
from runstore.analysis.explain.rules import Cause, Rule, Setting

_SAME_AS_HERE, _HALF_AS_HERE, _HARDLY = 1.0, 0.5, 0.1  # of the change to explain
_SAME_CURVE, _OTHER_CURVE = 0.3, 0.7  # of the change, apart at the last step that both have
_PAIRS_ENOUGH = 6  # of four runs
_HARDLY_COUNTS = 5  # a weight
_SHOWN_AS_WELL = 30.0  # points at which a cause that is shown, but not as well, stops
_HUGE = 1e300
_CHANCE = "chance"
# The command line often has the seed in it, and a seed acts by chance.
_BESIDE_A_SEED = frozenset({"command", _CHANCE})
_ORDER = {name: place for place, name in enumerate(SECTIONS)}


def ranked(found: Sequence[Difference], setting: Setting) -> tuple[Cause, ...]:
    """Return the possible causes of a changed result, the likeliest first."""
    causes = [_with_evidence(one, setting) for one in _causes(found, setting)]
    return tuple(sorted(_alone(_one_shown(causes, setting)), key=_rank))


def _causes(found: Sequence[Difference], setting: Setting) -> Iterator[Cause]:
    names = renamed([one for one in found if one.section == "params"])
    gone = {key for pair in names for key in pair}
    for old, new in names:
        value = next(one.values[0] for one in found if (one.section, one.key) == ("params", old))
        yield Cause(
            Rule.RENAMED,
            Difference("params", f"{old} → {new}", (value, value)),
            "the same value under another name",
        )
    for one in found:
        if one.section == "params" and one.key in gone:
            continue
        cause = _of_section(one, found, setting)
        if cause is not None:
            yield cause
    for cause in (code_cause(found, setting), _chance(setting), _last_step(setting)):
        if cause is not None:
            yield cause


def _of_section(one: Difference, found: Sequence[Difference], setting: Setting) -> Cause | None:
    """Return a difference as a cause; None if it is a result, or part of a larger cause."""
    if one.section == "inputs":
        return _input(one, found)
    if one.section in _ALONE:
        return _ALONE[one.section](one)
    if one.section in _IN_SETTING:
        return _IN_SETTING[one.section](one, setting)
    return None


def _rank(one: Cause) -> tuple[int, float, int, str]:
    section = one.difference.section
    return -one.weight, -_size(one.difference), _ORDER.get(section, -1), one.difference.key


def _size(one: Difference) -> float:
    """Return how far apart the numbers of a parameter are, for an order of equal weights."""
    numbers = [one for one in one.values if type(one) in {int, float}]
    if one.section != "params" or len(numbers) < len(one.values) or not numbers:
        return 0.0
    old, new = (abs(float(value)) if abs(value) < _HUGE else _HUGE for value in numbers)
    if old == new:
        return 0.0
    return abs(math.log10((max(old, new) or 1) / min(old, new))) if min(old, new) > 0 else 1.0


def _alone(causes: list[Cause]) -> list[Cause]:
    """Mark a seed that is the only difference that counts."""
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


# Evidence of other runs


def _with_evidence(one: Cause, setting: Setting) -> Cause:
    evidence = _evidence_of(one, setting)
    if evidence is None or setting.change is None:
        return one
    rule = Rule.SHOWN if evidence.is_shown else one.rule
    text = _evidence_text(evidence, one.difference, setting.change, str(setting.metric))
    return Cause(rule, one.difference, f"{one.reason}; {text}", evidence.points)


def _evidence_of(one: Cause, setting: Setting) -> Evidence | None:
    about = one.difference
    if about.section in {_CHANCE, "metrics"} or _is_of_seed(about):
        return None  # judged by how much repeats differ, and by the curves
    key = about.key if about.section not in {"code", "command"} else about.section
    return setting.judgement.evidence.get((about.section, key))


def _evidence_text(evidence: Evidence, about: Difference, change: float, metric: str) -> str:
    pairs = f"{evidence.pairs} other pairs that differ"
    if evidence.pairs == 1:
        pairs = "1 other pair of runs that differs"
    only = "only " if evidence.kind == "still" else ""
    by = f"changed by {only}{abs(evidence.typical * change):.3g}"
    here = f" (here {abs(change):.3g})"
    if math.isinf(evidence.typical):
        by = "became NaN or infinite"
    elif not math.isfinite(change):
        by, here = ("changed" if evidence.typical else "did not change"), ""
    text = _BY_KIND[evidence.kind].format(pairs=pairs, metric=metric, by=by, here=here)
    if evidence.lonely and about.values:
        values = [f"{about.key}={about.values[place]}" for place in evidence.lonely]
        return f"{text}; no other run is near {' or '.join(values)}"
    return text


_BY_KIND = {
    "alone": "{metric} {by} in {pairs} only in this",
    "values": "{metric} {by} in {pairs} only in this, with other values",
    "others": "{metric} {by} in {pairs} in this and more",
    "still": "{metric} {by} in {pairs} in this{here}",
    "away": "{metric} {by} the other way in {pairs} only in this",
    "often": "{metric} changed more often in {pairs} in this than in the rest",
    "rarely": "{metric} changed no more often in {pairs} in this than in the rest",
    "far": "{pairs} in this, by much smaller steps, show little",
}


def _one_shown(causes: list[Cause], setting: Setting) -> list[Cause]:
    """Keep one shown cause, whose change elsewhere is nearest to the one to explain.

    None does if one of the runs ended early, and they were the same until then.
    """
    shown = [one for one in causes if one.rule is Rule.SHOWN]
    is_early = setting.apart is not None and setting.apart <= _SAME_CURVE
    if len(shown) <= 1 and not is_early:
        return causes
    best = min(shown, key=lambda one: abs(_typical(one, setting) - 1), default=None)
    best = None if is_early else best
    return [
        Cause(Rule.PARAMETER, one.difference, one.reason, min(one.points, _SHOWN_AS_WELL))
        if one in shown and one is not best
        else one
        for one in causes
    ]


def _typical(one: Cause, setting: Setting) -> float:
    evidence = _evidence_of(one, setting)
    return evidence.typical if evidence else math.inf


# Status and parameters


def _status(one: Difference, setting: Setting) -> Cause | None:
    if one.key == "experiment":
        return Cause(Rule.EXPERIMENT, one, "the runs belong to different experiments")
    steps = setting.steps
    if one.key != "status" or (steps is not None and steps[0] == steps[1]):
        return None  # both logged the metric to the end
    if steps is None:
        return Cause(Rule.STATUS, one, "without a metric, their progress cannot be compared")
    if setting.apart is not None and setting.apart <= _SAME_CURVE:
        return Cause(Rule.STATUS_EARLY, one, "the metric was the same until one of them ended")
    if setting.apart is not None and setting.apart >= _OTHER_CURVE:
        return Cause(Rule.STATUS_LATE, one, "the metric differs before one of them ended")
    return Cause(Rule.STATUS, one, "one of them ended at an earlier step")


def _param(one: Difference, setting: Setting) -> Cause:
    if one.key.endswith(("(set)", "(file)")):
        return Cause(Rule.SET_NAME, one, "the name of parameters, not their values")
    if is_seed(one.key):
        return _seed(one, setting)
    if is_length(one.key) and setting.apart is not None and setting.apart <= _SAME_CURVE:
        return Cause(Rule.LENGTH, one, "the metric was the same until one of them ended")
    rule, why = _unproven(one)
    return Cause(rule, one, why)


def _unproven(one: Difference) -> tuple[Rule, str]:
    if one.key == NAME:
        return Rule.NAME, "it may be a label, or choose a model or the like"
    if is_cosmetic(one.key) or one.key in {f"{value}/{NAME}" for value in one.values}:
        return Rule.COSMETIC, "by its name, it is about logging, names or speed"
    if _is_same_number(one.values):
        return Rule.NUMBER_TYPE, "the same number with a different type"
    if one.key.endswith("(hash)"):
        return Rule.PARAMETER, "a parameter set with a known hash, but unknown values"
    rule = Rule.LIKELY_PARAMETER if is_likely(one.key) else Rule.PARAMETER
    return (
        rule,
        "only one of the runs has this parameter" if MISSING in one.values else "a parameter",
    )


def _is_same_number(values: Sequence[object]) -> bool:
    is_numbers = all(isinstance(value, (int, float)) for value in values)
    return is_numbers and all(value == values[0] for value in values)


def _seed(one: Difference, setting: Setting) -> Cause:
    repeats = setting.judgement.chance
    if repeats is None or setting.change is None:
        return Cause(Rule.SEED, one, "a seed: it changes a result by chance")
    text = f"a seed: {_repeats_text(repeats, setting)}"
    if repeats.typical >= _SAME_AS_HERE and repeats.pairs >= _PAIRS_ENOUGH:
        return Cause(Rule.SEED_CHANCE, one, f"{text}: at least as much as this change")
    if repeats.typical >= _HALF_AS_HERE:
        return Cause(Rule.SEED_HALF, one, f"{text}: at least half of this change")
    if repeats.typical >= _HARDLY:
        return Cause(Rule.SEED, one, f"{text}: less than half of this change")
    return Cause(Rule.SEED_HARDLY, one, f"{text}: little compared with this change")


def _repeats_text(repeats: SeedSpread, setting: Setting) -> str:
    pairs = f"{repeats.pairs} pair{'' if repeats.pairs == 1 else 's'}"
    change = abs(setting.change or 0)
    by = (
        f"by {repeats.typical * change:.3g} in"
        if math.isfinite(repeats.typical * change)
        else "in"
    )
    return f"runs of the same parameters, seeds aside, differ {by} {setting.metric} ({pairs})"


# Data and command


def _input(one: Difference, found: Sequence[Difference]) -> Cause:
    there = [value for value in one.values if isinstance(value, FileContents)]
    if len(there) == 1:
        if there[0].digest is not None and there[0].digest in _digests(found, one):
            return Cause(Rule.SAME_DATA, one, "the same data under another name")
        return Cause(Rule.DATA_OF_ONE, one, "only one of the runs recorded this input")
    has_digests = all(value.digest is not None for value in there)
    if has_digests or len({value.size_bytes for value in there}) > 1:
        return Cause(Rule.OTHER_DATA, one, "the contents of the input data differ")
    unsure = "the data cannot be compared, because a digest is missing"
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
        return Cause(Rule.FOLDER, one, "the folder differs")
    if one.key == "user":
        return Cause(Rule.USER, one, "another user")
    if setting.has_params:
        return Cause(Rule.COMMAND, one, "the command line; its parameters are ranked separately")
    no_params = "the command line; no parameters are recorded, so they may be in it"
    return Cause(Rule.COMMAND_ALONE, one, no_params)


_ALONE: Mapping[str, Callable[[Difference], Cause | None]] = {
    "packages": package_cause,
    "environment": environment_cause,
}
_IN_SETTING: Mapping[str, Callable[[Difference, Setting], Cause | None]] = {
    "status": _status,
    "params": _param,
    "command": _command,
}


# Causes beside the differences


def _chance(setting: Setting) -> Cause | None:
    repeats = setting.judgement.chance
    if repeats is None or not setting.change or repeats.typical < _HALF_AS_HERE:
        return None
    text = _repeats_text(repeats, setting)
    about = Difference(_CHANCE, _CHANCE, ())
    if repeats.typical < _SAME_AS_HERE or repeats.pairs < _PAIRS_ENOUGH:
        return Cause(Rule.CHANCE_HALF, about, f"{text}: at least half of this change")
    return Cause(Rule.CHANCE, about, f"{text}: at least as much as this change")


def _last_step(setting: Setting) -> Cause | None:
    if setting.steps is None or setting.steps[0] == setting.steps[1]:
        return None
    about = Difference("metrics", f"{setting.metric}.last_step", setting.steps)
    longer = "one of them logged the metric for longer"
    if setting.apart is None:
        return Cause(Rule.LAST_STEP, about, longer)
    share = f"at the last common step it differs by {setting.apart:.0%} of the change here"
    if setting.apart <= _SAME_CURVE:
        return Cause(Rule.LAST_STEP_SAME, about, f"{longer}; {share}")
    if setting.apart >= _OTHER_CURVE:
        return Cause(Rule.LAST_STEP_OTHER, about, f"{longer}, but {share}")
    return Cause(Rule.LAST_STEP, about, f"{longer}; {share}")


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
    # Among equals, the first name wins.
    both.sort(key=lambda one: one.key)
    return max(both, key=lambda one: _relative(*one.values), default=None)


def _relative(old: float, new: float) -> float:
    largest = max(abs(old), abs(new))
    share = abs(new - old) / largest if largest else 0.0
    return share if share == share else float("inf")  # noqa: PLR0124 - NaN

"""Packages and environment as causes of another result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runstore.analysis.compare.differences import MISSING, Difference
from runstore.analysis.explain.known_names import is_computing, is_cosmetic
from runstore.analysis.explain.rules import Cause, Rule

# By how versions differ: the rule of a package that computes, and that of any other.
_PACKAGES: Mapping[str, tuple[Rule, Rule]] = {
    "major": (Rule.COMPUTING_MAJOR, Rule.PACKAGE_MAJOR),
    "minor": (Rule.COMPUTING_MINOR, Rule.PACKAGE_MINOR),
    "patch": (Rule.COMPUTING_PATCH, Rule.PACKAGE_PATCH),
    "build": (Rule.COMPUTING_BUILD, Rule.PACKAGE_BUILD),
    "presence": (Rule.COMPUTING_PRESENCE, Rule.PACKAGE_PRESENCE),
    "source": (Rule.PACKAGE_SOURCE, Rule.PACKAGE_SOURCE),
}
# The first that a fact begins with.
_FACTS = (
    ("gpu.", Rule.GPU, "numbers may differ from one GPU to another"),
    ("host.machine", Rule.MACHINE, "numbers may differ from one processor to another"),
    ("host.cpu_model", Rule.CPU_MODEL, "numbers may differ a little between processors"),
    ("host.cpu_", Rule.CPU, "sums may be computed in a different order"),
    ("host.platform", Rule.SYSTEM, "another system has other libraries"),
    ("host.system", Rule.SYSTEM, "another system has other libraries"),
    ("host.name", Rule.HOST_NAME, "another machine"),
    ("git.root", Rule.PYTHON_PLACE, "another copy of the code"),
    ("python.", Rule.PYTHON_PLACE, "another Python installation"),
    ("host.", Rule.HOST, "it rarely changes a result"),
    ("scheduler.", Rule.HOST, "it rarely changes a result"),
    ("", Rule.ENVIRONMENT, "it rarely changes a result"),
)


_MINOR_FACTS = (
    "git.root", "host.cpu_count", "host.cpu_usable", "host.memory", "host.name", "host.platform",
    "python.executable", "python.prefix", "scheduler.",
)  # fmt: skip


def is_minor(section: str, key: str) -> bool:
    """Return whether a feature hardly affects a result, so pairs of runs may differ in it."""
    if section == "params":
        return is_cosmetic(key)
    return section == "environment" and key.startswith(_MINOR_FACTS)


def package_cause(one: Difference) -> Cause:
    """Return another version of a package as a cause."""
    step, why = _step_of(one.values)
    computes = is_computing(one.key)
    rule = _PACKAGES[step][0 if computes else 1]
    has_own_rule = computes and step != "source"
    return Cause(rule, one, f"{why} of a package that computes" if has_own_rule else why)


def environment_cause(one: Difference) -> Cause:
    """Return a fact about machine or Python as a cause."""
    if one.key == "python.version":
        step, why = _step_of(one.values)
        rule = Rule.PYTHON_PATCH if step in {"patch", "build"} else Rule.PYTHON
        return Cause(rule, one, f"{why} of Python")
    rule, why = next((rule, why) for begin, rule, why in _FACTS if one.key.startswith(begin))
    return Cause(rule, one, why)


def _step_of(values: Sequence[object]) -> tuple[str, str]:
    """Return how two versions differ, as a key of `_PACKAGES` and in words."""
    if MISSING in values:
        return "presence", "the package is installed for only one of the runs"
    (old, _, from_old), (new, _, from_new) = (str(value).partition(" @ ") for value in values)
    if old == new and from_old != from_new:
        return "source", "the package was installed from another place or commit"
    first, second = _release(old), _release(new)
    longest = max(len(first), len(second))
    pairs = zip(_padded(first, longest), _padded(second, longest), strict=True)
    changed = next((place for place, pair in enumerate(pairs) if pair[0] != pair[1]), None)
    if changed is None:
        return "build", "another build of the same version"
    step = ("major", "major", "minor", "patch")[min(changed, 3)]  # the epoch comes first
    return step, f"a {step} change"


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, its epoch first; empty if it is not one."""
    from packaging.version import Version

    try:
        read = Version(version.removesuffix("+"))  # of a Python that was built from a checkout
    except ValueError:  # among them a number of more digits than Python reads
        return ()
    return (read.epoch, *read.release)


def _padded(numbers: tuple[int, ...], length: int) -> tuple[int, ...]:
    return numbers + (0,) * (length - len(numbers))

"""Ranking what differs between two runs by how likely it explains another result.

A weight from 0 to 100 says how likely, and a sentence beside it says why. Weights are rules of
thumb, written down below, not probabilities; the same runs always get the same ones. Where other
runs of the experiment show what a parameter does, that counts more than the rules.

| what differs | weight |
|---|---|
| how the runs ended | 85 |
| code: a file on the command line, another source file, settings, the rest | 80, 60, 55, 5 |
| code that cannot be read here | 45 |
| data that was read: other contents, read by one only, no digest | 75, 60, 40 |
| a parameter without evidence | 55 |
| a seed; a seed where nothing else that counts differs | 35, 60 |
| names, folders and logging; only the type of a number | 10, 8 |
| a parameter with evidence: the metric moved as much, less, hardly | 95, 65, 20 |
| the same, but the other way | 70 |
| chance: runs of the same parameters differ as much, half as much | 70, 50 |
| the experiment; how far the metric was logged | 50, 50 |
| the command line, where nothing recorded parameters; where it did | 45, 12 |
| a package that computes: major, minor, patch version, build | 50, 40, 15, 20 |
| any other package: the same | 20, 10, 4, 5 |
| a package that only one of them has: one that computes, any other | 10, 2 |
| a package installed from another commit | 45 |
| Python's minor version, its patch version, GPU, processor, machine | 25, 8, 25, 20, 10 |
| the rest of the environment | 1 to 5 |

Duration, metrics and artifacts are results themselves; tags and notes are written by people.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runstore.model.code_changes import CodeChanges
from runstore.model.differences import MISSING, SECTIONS, Difference, FileContents, Unknown

_SEEDS = frozenset({"seed", "seeds", "random_state", "rng", "randomstate"})
_COSMETIC = frozenset(
    {
        "verbose",
        "verbosity",
        "debug",
        "log_level",
        "loglevel",
        "log_every",
        "log_interval",
        "print_every",
        "name",
        "run_name",
        "notes",
        "comment",
        "description",
        "tags",
        "project",
        "output",
        "output_dir",
        "out_dir",
        "outdir",
        "save_dir",
        "log_dir",
        "checkpoint_dir",
        "num_workers",
        "n_jobs",
        "workers",
        "progress",
    }
)
# What computes the numbers of most experiments.
_COMPUTING = frozenset(
    {
        "torch",
        "torchvision",
        "torchaudio",
        "tensorflow",
        "keras",
        "jax",
        "jaxlib",
        "flax",
        "numpy",
        "scipy",
        "pandas",
        "polars",
        "numba",
        "scikit-learn",
        "xgboost",
        "lightgbm",
        "catboost",
        "statsmodels",
        "transformers",
        "datasets",
        "tokenizers",
        "accelerate",
        "diffusers",
        "lightning",
        "pytorch-lightning",
        "timm",
        "optax",
        "cupy",
        "triton",
    }
)
_SOURCES = (
    ".py", ".pyx", ".ipynb", ".c", ".cc", ".cpp", ".cu", ".h", ".hpp", ".rs", ".go", ".jl", ".r",
    ".m", ".sh", ".f90", ".java", ".scala", ".js", ".ts", ".sql", ".lua",
)  # fmt: skip
_SETTINGS = (".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".conf", ".env", ".gin")
_ASIDE = re.compile(
    r"(^|/)(tests?|docs?)/|(^|/)test_[^/]*$|\.(md|rst|txt|gitignore)$", re.IGNORECASE
)
_RELEASE = re.compile(r"\d+(?:\.\d+)*")
_FILES_NAMED = 3
_HARDLY_COUNTS = 5
_SEED_ALONE = 60
_SAME_AS_HERE, _HARDLY = 0.5, 0.1
_LONGEST_EXTENSION = 2  # letters of a word that is too short to be the name of a file

_PACKAGE_WEIGHTS = {  # of one that computes, of any other
    "major": (50, 20), "minor": (40, 10), "patch": (15, 4), "build": (20, 5), "presence": (10, 2),
}  # fmt: skip
_ENVIRONMENT = (
    ("gpu.", 25, "numbers may differ from one GPU to another"),
    ("host.machine", 20, "numbers may differ from one processor to another"),
    ("host.cpu_model", 10, "numbers may differ a little from one processor to another"),
    ("host.cpu_", 5, "sums may be taken in another order"),
    ("host.platform", 5, "another system has other libraries"),
    ("host.system", 5, "another system has other libraries"),
    ("host.name", 4, "another machine"),
    ("git.root", 2, "another copy of the code"),
    ("python.", 2, "another Python installation"),
    ("host.", 1, "it rarely changes a result"),
    ("scheduler.", 1, "it rarely changes a result"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What other runs show of a parameter: pairs that differ in no other one.

    Attributes:
        pairs: How many pairs of runs; at least one.
        typical: How much the metric moved between the two, without its sign: the median.
        signed: The median in the direction from the first run's value to the second's; None where
            no direction can be told.
    """

    pairs: int
    typical: float
    signed: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a ranking looks at, besides what differs.

    Attributes:
        metric: The result; None without one.
        change: How much it changed; None where that is no number.
        moves: Evidence by key of the parameter.
        chance: The same for runs in which no parameter differs; None without such runs.
        code: What differs in the code; None where that was not asked for.
        commands: The command lines of both runs.
        steps: The steps that both runs logged the metric last at; None without.
        has_params: Whether parameters of either run are recorded.
    """

    metric: str | None = None
    change: float | None = None
    moves: Mapping[str, Moves] = field(default_factory=dict)
    chance: Moves | None = None
    code: CodeChanges | None = None
    commands: tuple[str, ...] = ()
    steps: tuple[int, int] | None = None
    has_params: bool = True

    def with_evidence(self, moves: Mapping[str, Moves], chance: Moves | None) -> Setting:
        """Return the same with what other runs show."""
        return replace(self, moves=moves, chance=chance)


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that may explain a changed result.

    Attributes:
        weight: How likely, 0 to 100; a rule of thumb.
        difference: What differs.
        reason: Why it has this weight, as part of a sentence.
    """

    weight: int
    difference: Difference
    reason: str


def ranked(found: Sequence[Difference], setting: Setting) -> tuple[Cause, ...]:
    """Return what may explain a changed result, the likeliest first.

    Args:
        found: What differs between two runs.
        setting: What else is known.
    """
    causes = [cause for one in found if (cause := _WAYS[one.section](one, found, setting))]
    causes += [
        cause
        for cause in (_code(found, setting), _chance(setting), _steps(setting))
        if cause is not None
    ]
    causes = _alone(causes)
    order = {name: place for place, name in enumerate(SECTIONS)}
    return tuple(
        sorted(
            causes,
            key=lambda one: (
                -one.weight,
                order.get(one.difference.section, -1),
                one.difference.key,
            ),
        )
    )


Found = Sequence[Difference]


def _alone(causes: list[Cause]) -> list[Cause]:
    """Say so where nothing else that counts differs but a seed."""
    seeds = [one for one in causes if _is_of_seed(one.difference)]
    others = [
        one
        for one in causes
        if one not in seeds
        and one.weight > _HARDLY_COUNTS
        # The command line says the seed, most often; chance is what a seed is about.
        and one.difference.section not in {"command", "chance"}
    ]
    if not seeds or others:
        return causes
    return [
        Cause(max(one.weight, _SEED_ALONE), one.difference, f"seed only: {one.reason}")
        if one in seeds
        else one
        for one in causes
    ]


# Status and parameters


def _status(one: Difference, _: Found, __: Setting) -> Cause | None:
    if one.key == "status":
        return Cause(85, one, "a run that ended early has another result")
    if one.key == "experiment":
        return Cause(50, one, "they are runs of two experiments")
    return None


def _params(one: Difference, _: Found, setting: Setting) -> Cause:
    if one.key.endswith(("(set)", "(file)")):
        return Cause(2, one, "what parameters are called, not what they are")
    moves = setting.moves.get(one.key)
    if moves is not None and setting.change:
        return _by_evidence(one, moves, setting.change, str(setting.metric))
    weight, why = _unproven(one)
    return Cause(
        weight,
        one,
        f"{why}; no other runs differ in this parameter only" if setting.change else why,
    )


def _unproven(one: Difference) -> tuple[int, str]:
    name = _last_name(one.key)
    if _is_of_seed(one):
        return 35, "a seed: it moves a result by chance"
    if name in _COSMETIC:
        return 10, "its name says that it is about logging, names or speed"
    if _is_same_number(one.values):
        return 8, "the same number of another type"
    if one.key.endswith("(hash)"):
        return 55, "a parameter set of which only the hash is known"
    return 55, "a parameter" + (" that only one of them has" if MISSING in one.values else "")


def _last_name(key: str) -> str:
    return re.split(r"[./\[]", key)[-1].rstrip("]").lower()


def is_seed(key: str) -> bool:
    """Tell whether the name of a parameter says that it only moves chance."""
    name = _last_name(key)
    return name in _SEEDS or bool({"seed", "rng"} & set(name.split("_")))


def _is_of_seed(one: Difference) -> bool:
    return one.section == "params" and is_seed(one.key)


def _is_same_number(values: Sequence[Any]) -> bool:
    is_numbers = all(isinstance(value, (int, float)) for value in values)
    return is_numbers and all(value == values[0] for value in values)


def _by_evidence(one: Difference, moves: Moves, change: float, metric: str) -> Cause:
    share = moves.typical / abs(change)
    who = "1 other pair of runs differs"
    if moves.pairs > 1:
        who = f"{moves.pairs} other pairs of runs differ"
    told = f"{who} in no other parameter, and {metric} moved by {moves.typical:.3g} there"
    if share < _HARDLY:
        return Cause(20, one, f"{told}: hardly, compared with here")
    if share < _SAME_AS_HERE:
        return Cause(65, one, f"{told}: less than here")
    if moves.signed is not None and moves.signed * change < 0:
        return Cause(70, one, f"{told}: as much as here, but the other way")
    return Cause(95, one, f"{told}: as much as here or more")


# Code


def _nothing(_: Difference, __: Found, ___: Setting) -> Cause | None:
    return None


def _code(found: Found, setting: Setting) -> Cause | None:
    """Return all of the code as one cause."""
    about = [one for one in found if one.section == "code" and one.key not in {"branch", "remote"}]
    changes = setting.code
    if changes is None or not (about or changes.files):
        return None
    commits = next((one for one in about if one.key == "commit"), None)
    shown = commits or (about[0] if about else Difference("code", "files", ("", "")))
    # Where the commits could not be read, each file is a patch.
    paths = [
        one.path if changes.is_known else one.path.removesuffix(".patch") for one in changes.files
    ]
    if not paths:
        if changes.is_known:
            return Cause(0, shown, "the commits differ, the files in them do not")
        return Cause(45, shown, "what differs in the code cannot be read here")
    weight, reason = _of_files(paths, setting.commands)
    if not changes.is_known and commits is not None:
        return Cause(max(45, weight), shown, f"{reason}; what the commits differ in is not known")
    return Cause(weight, shown, reason)


def _of_files(paths: Sequence[str], commands: Sequence[str]) -> tuple[int, str]:
    count = "1 file differs" if len(paths) == 1 else f"{len(paths)} files differ"
    words = {word for line in commands for word in _words(line)}
    called = [path for path in paths if _is_called(path, words)]
    if called:
        them = (
            "it is"
            if len(paths) == 1
            else "one of them is"
            if len(called) == 1
            else (f"{len(called)} of them are")
        )
        return 80, f"{count}, {them} on the command line: {_listed(called)}"
    aside = [path for path in paths if _ASIDE.search(path)]
    for weight, suffixes in ((60, _SOURCES), (55, _SETTINGS)):
        some = [one for one in paths if one.lower().endswith(suffixes) and one not in aside]
        if some:
            return (
                weight,
                f"{count}: {_listed([*some, *(one for one in paths if one not in some)])}",
            )
    what = "tests or documents" if len(aside) == len(paths) else "no source"
    return 5, f"{count}, {what}: {_listed(paths)}"


def _listed(paths: Sequence[str]) -> str:
    more = len(paths) - _FILES_NAMED
    return ", ".join(paths[:_FILES_NAMED]) + (f" and {more} more" if more > 0 else "")


def _words(line: str) -> Iterator[str]:
    """Yield the words of a command line that may name a file, modules as paths."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    for word in words:
        yield word.removeprefix("./")
        if re.fullmatch(r"[\w.]+", word):
            yield word.replace(".", "/") + ".py"


def _is_called(path: str, words: set[str]) -> bool:
    stem = path.rpartition("/")[2].rpartition(".")[0]
    is_module = path.endswith(".py") and len(stem) > _LONGEST_EXTENSION and stem in words
    return is_module or any(
        word == path or word.endswith(f"/{path}") or path.endswith(f"/{word}")
        for word in words
        if word
    )


# Surroundings


def _packages(one: Difference, _: Found, __: Setting) -> Cause:
    step, why = _step_of(one.values)
    if step == "commit":
        return Cause(45, one, why)
    is_computing = one.key in _COMPUTING or one.key.startswith(("nvidia-", "cuda"))
    weight = _PACKAGE_WEIGHTS[step][0 if is_computing else 1]
    return Cause(weight, one, f"{why} of a package that computes" if is_computing else why)


def _step_of(values: Sequence[Any]) -> tuple[str, str]:
    """Return how two versions differ, in a word and in words."""
    if MISSING in values:
        return "presence", "only one of them has the package"
    (old, _, from_old), (new, _, from_new) = (str(value).partition(" @ ") for value in values)
    if old == new and from_old != from_new:
        return "commit", "the package was installed from another place or commit"
    parts = [
        tuple(map(int, found[0].split("."))) if (found := _RELEASE.match(text)) else ()
        for text in (old, new)
    ]
    longest = max(map(len, parts))
    first, second = ([*numbers, *[0] * (longest - len(numbers))] for numbers in parts)
    changed = next((at for at, pair in enumerate(zip(first, second)) if pair[0] != pair[1]), None)  # noqa: B905 - of one length
    if changed is None:
        return "build", "another build of the same version"
    step = ("major", "minor", "patch")[min(changed, 2)]
    return step, f"a {step} change"


def _environment(one: Difference, _: Found, __: Setting) -> Cause:
    if one.key == "python.version":
        step, why = _step_of(one.values)
        return Cause(8 if step in {"patch", "build"} else 25, one, f"{why} of Python")
    for begin, weight, why in _ENVIRONMENT:
        if one.key.startswith(begin):
            return Cause(weight, one, why)
    return Cause(3, one, "it rarely changes a result")


def _inputs(one: Difference, found: Found, _: Setting) -> Cause:
    there = [value for value in one.values if isinstance(value, FileContents)]
    if len(there) == 1:
        digests = [
            value.digest
            for other in found
            if other.section == "inputs" and other is not one
            for value in other.values
            if isinstance(value, FileContents)
        ]
        if there[0].digest is not None and there[0].digest in digests:
            return Cause(2, one, "the same data under another name")
        return Cause(60, one, "data that only one of them said it read")
    if (
        all(value.digest is not None for value in there)
        or len({value.size_bytes for value in there}) > 1
    ):
        return Cause(75, one, "the data that was read is not the same")
    return Cause(40, one, "whether the data is the same cannot be told without both digests")


def _command(one: Difference, _: Found, setting: Setting) -> Cause:
    if one.key == "folder":
        return Cause(3, one, "it ran in another folder")
    if one.key == "user":
        return Cause(1, one, "another user")
    if setting.has_params:
        return Cause(12, one, "what it says counts where the parameters do not tell it")
    return Cause(45, one, "no parameters are recorded, so it may be where they stand")


# What is no difference


def _chance(setting: Setting) -> Cause | None:
    if setting.chance is None or not setting.change:
        return None
    share = setting.chance.typical / abs(setting.change)
    if share < _SAME_AS_HERE:
        return None
    pairs = f"{setting.chance.pairs} pair{'' if setting.chance.pairs == 1 else 's'}"
    told = (
        f"runs of the same parameters, seeds aside, differ by {setting.chance.typical:.3g} in"
        f" {setting.metric} ({pairs})"
    )
    how = "as much as here or more" if share >= 1 else "about as much as here"
    return Cause(70 if share >= 1 else 50, Difference("chance", "chance", ()), f"{told}: {how}")


def _steps(setting: Setting) -> Cause | None:
    if setting.steps is None or setting.steps[0] == setting.steps[1]:
        return None
    about = Difference("metrics", f"{setting.metric}.last_step", setting.steps)
    return Cause(50, about, "one of them logged the metric for longer")


_WAYS: Mapping[str, Callable[[Difference, Found, Setting], Cause | None]] = {
    "status": _status,
    "params": _params,
    "code": _nothing,  # see `_code`
    "packages": _packages,
    "environment": _environment,
    "inputs": _inputs,
    "command": _command,
    "metrics": _nothing,
    "artifacts": _nothing,
    "tags": _nothing,
    "notes": _nothing,
}


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

    def size(one: Difference) -> float:
        old, new = one.values
        largest = max(abs(old), abs(new))
        share = abs(new - old) / largest if largest else 0.0
        return share if share == share else float("inf")  # noqa: PLR0124 - NaN

    return max(
        both, key=lambda one: (size(one), [-ord(letter) for letter in one.key]), default=None
    )

"""Descriptions of runs, section by section, for comparisons."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Union

from runstore.analysis.compare.differences import SECTIONS, Description, FileContents, Unknown
from runstore.analysis.compare.leaf_values import leaves
from runstore.capture.git.new_files import (
    data_among,
    marks_of,
    new_code,
    recorded_words,
    texts_of_new_files,
    unkept_code,
)
from runstore.model.code.documents import LEFT_OUT
from runstore.model.code.patches import parse_patch
from runstore.model.values import free_name
from runstore.reading.shown.facts import command_text
from runstore.value_classes import dataclass

if TYPE_CHECKING:
    from runstore.model.params.parameter_set import ParameterSet
    from runstore.model.run import Run
    from runstore.storage.backend import Backend

SYSTEM = "system/"  # metrics that a sampler of the machine logs
_MINUTE_S = 60
_FINGERPRINT = 8
_HASH_ONLY = "(hash)"
# Documents and facts of other sections; the ids of a batch job always differ.
_NOT_OF_ENVIRONMENT = (
    "command.",
    "exec.",
    "rerun.",
    "resumed.",
    "git.",
    "patch",
    "untracked",
    "modules",
    "packages",
    "python.package_count",
)
_IDS = frozenset({"scheduler.job", "scheduler.array_job"})
_GIT_PLACE, _PYTHON = "git.root", "python.executable"
# Facts that are recorded only of a machine or job that has them.
_ONLY_IF_ANY = ("scheduler.", "host.memory_limit_bytes", "gpu.driver", "gpu.memory")

Values = Mapping[str, Any]
Section = Union[Values, Unknown]


@dataclass(frozen=True, slots=True)
class _Description:
    """How a run is described.

    Attributes:
        backend: The store.
        has_labels: Whether the name of its set precedes each parameter; False if every run has one
            set at most.
        by_hash: Labels of sets of which some run knows only the hash.
        everything: Whether to include durations, the extremes of metrics, machine samples and new
            files that do not count as code.
        words: Words of the commands of all runs.
    """

    backend: Backend
    has_labels: bool
    by_hash: frozenset[str]
    everything: bool
    words: frozenset[str]


def describe(
    backend: Backend,
    runs: Sequence[Run],
    *,
    sections: Collection[str] = SECTIONS,
    everything: bool = False,
) -> tuple[Description, ...]:
    """Return descriptions of runs, as `runstore.analysis.compare.differences` reads them.

    Parameters have dotted keys, after the name of their set if a run has several.

    Args:
        backend: The store.
        runs: The runs to compare.
        sections: The sections to read.
        everything: Whether to include durations, the extremes of metrics, the samples of the
            machine and new files that do not count as code.
    """
    has_labels = any(len(run.parameter_sets) > 1 for run in runs)
    by_hash = frozenset(
        label
        for run in runs
        for label, one in labelled_sets(run, has_labels=has_labels)
        if one.tree is None
    )
    words = recorded_words(*(run.facts for run in runs))
    look = _Description(backend, has_labels, by_hash, everything, words)
    described = [
        {name: _DESCRIBED[name](run, look) for name in SECTIONS if name in sections}
        for run in runs
    ]
    return tuple(_with_unrecorded(one, described) for one in described)


def _with_unrecorded(one: Description, described: Sequence[Description]) -> Description:
    """Mark facts that other runs have and this one does not as unrecorded."""
    environment = one.get("environment")
    if environment is None or isinstance(environment, Unknown):
        return one
    elsewhere = {
        key
        for other in described
        if not isinstance(other["environment"], Unknown)
        for key in other["environment"]
    }
    missing = {
        key: Unknown("it was not recorded")
        for key in sorted(elsewhere - environment.keys())
        if not key.startswith(_ONLY_IF_ANY)
    }
    return {**one, "environment": {**environment, **missing}}


def _status(run: Run, look: _Description) -> Section:
    values = {"experiment": run.experiment_name, "status": run.status_text}
    more: dict[str, Any] = {"exit code": run.exit_code, "error": run.error}
    values |= {key: value for key, value in more.items() if value is not None}
    if not look.everything:
        return values  # no two runs last exactly as long
    if run.duration is not None:
        return {**values, "duration": _rounded(run.duration)}
    why = "has no known end" if run.status.is_final else f"is {run.status_text}"
    return {**values, "duration": Unknown(f"{run.reference} {why}")}


def _rounded(duration: timedelta) -> timedelta:
    """Return a duration rounded as it is displayed, so that equal texts are equal."""
    seconds = duration.total_seconds()
    return timedelta(seconds=round(seconds, 2 if seconds < _MINUTE_S else 0))


# Parameters


def labelled_sets(run: Run, *, has_labels: bool) -> Iterator[tuple[str, ParameterSet]]:
    """Yield the prefix of the keys of each parameter set, and the set."""
    names = [one.name for one in run.parameter_sets]
    for one in run.parameter_sets:
        is_unique = names.count(one.name) == 1
        label = one.name if is_unique else f"{one.file}:{one.name}"
        yield f"{label}/" if has_labels else "", one


def parameters(run: Run, *, has_labels: bool) -> dict[str, Any]:
    """Return the values of all parameter sets by dotted key."""
    return {
        f"{label}{key}": value
        for label, one in labelled_sets(run, has_labels=has_labels)
        for key, value in leaves(one.tree or "{}").items()
    }


def _params(run: Run, look: _Description) -> Section:
    values: dict[str, Any] = {}
    for label, one in labelled_sets(run, has_labels=look.has_labels):
        if not look.has_labels:
            values["(set)"] = one.name
        if one.file is not None:
            values[f"{label}(file)"] = one.file
        if label in look.by_hash:
            values[f"{label}{_HASH_ONLY}"] = one.hash
        else:
            found = leaves(one.tree or "{}")
            values.update({f"{label}{key}": value for key, value in found.items()})
    return values


# Code and surroundings


def _code(run: Run, look: _Description) -> Section:
    facts = run.facts
    if run.commit is None and "git.dirty" not in facts.values:
        return Unknown(facts.unknown.get("git.commit", "no commit was recorded"))
    known = {
        "commit": run.commit,
        "branch": facts.values.get("git.branch"),
        "remote": facts.values.get("git.remote"),
    }
    values: dict[str, Any] = {key: value for key, value in known.items() if value is not None}
    if "git.remote" not in {**facts.values, **facts.unknown}:
        values["remote"] = Unknown("it was not recorded")
    patch = look.backend.database.document(run.uid, "patch")
    if patch is not None:
        values["changes"] = _counted(len(parse_patch(patch)), patch)
    elif run.workdir_dirty:
        values["changes"] = Unknown(facts.unknown.get("patch", "no patch was kept"))
    return {**values, **_new_files(run, look)}


def _new_files(run: Run, look: _Description) -> dict[str, Any]:
    facts = run.facts
    document = look.backend.database.document(run.uid, "untracked")
    texts = texts_of_new_files(document)
    known = {**texts, **marks_of(facts)}
    code = new_code(known, facts, look.words)
    values: dict[str, Any] = {}
    unkept = unkept_code(texts, facts, look.words)
    if code:
        values["new files"] = _counted_files(code)
    elif unkept:
        values["new files"] = Unknown("; ".join(unkept))
    elif facts.values.get("git.has_untracked") and not (texts or LEFT_OUT in facts.unknown):
        reason = facts.unknown.get("untracked", "no text of them was kept")
        values["new files"] = Unknown(reason)
    if look.everything:
        others = data_among(known, facts, look.words)
        if others:
            values["other new files"] = _counted_files({path: known[path] for path in others})
    return values


def _counted_files(files: Mapping[str, str]) -> str:
    text = json.dumps(files, ensure_ascii=False, indent=1, sort_keys=True)
    return _counted(len(files), text)


def _counted(files: int, text: str) -> str:
    """Return one line that identifies a captured text: `2 files, 1f3a9c07`."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{files} file{'' if files == 1 else 's'}, {digest[:_FINGERPRINT]}"


def _packages(run: Run, look: _Description) -> Section:
    document = look.backend.database.document(run.uid, "packages")
    if document is None:
        return Unknown(run.facts.unknown.get("python", "they were not captured"))
    return describe_packages(document)


def describe_packages(document: str) -> dict[str, Any]:
    """Return the versions of packages by normalized name, from the captured text."""
    lines = (line.partition("==") for line in document.splitlines())
    return {_normalized(name): version for name, separator, version in lines if separator}


def _normalized(name: str) -> str:
    """Return a name as packages are compared by. Source: PEP 503, normalized names."""
    parts = name.lower().replace("_", "-").replace(".", "-").split("-")
    return "-".join(part for part in parts if part)


def _environment(run: Run, _: _Description) -> Section:
    facts = run.facts
    if not facts.values:
        return {"host.name": run.hostname} if run.hostname else Unknown("it was not captured")
    return {
        **environment(run),
        **{name: Unknown(why) for name, why in facts.unknown.items() if _is_of_environment(name)},
    }


def environment(run: Run) -> dict[str, Any]:
    """Return the captured facts about machine and Python.

    `python`, `python3` and `python3.12` in one folder are links to one interpreter; another
    version is a fact of its own.
    """
    found = {name: one for name, one in run.facts.values.items() if _is_of_environment(name)}
    if isinstance(python := found.get(_PYTHON), str):
        found[_PYTHON] = python.rstrip("0123456789.")
    return found


def _is_of_environment(name: str) -> bool:
    if name == _GIT_PLACE:
        return True
    return not (name.startswith(_NOT_OF_ENVIRONMENT) or name in _IDS)


def _inputs(run: Run, _: _Description) -> Section:
    values: dict[str, Any] = {}
    for one in run.inputs:
        # Artifacts of two runs may have the same name.
        values[free_name(one.name, values)] = FileContents(one.digest, one.size_bytes)
    return values


def _command(run: Run, _: _Description) -> Section:
    facts = run.facts.values
    known = {
        "command": command_text(run) or facts.get("command.line"),
        "folder": facts.get("command.cwd"),
        "user": facts.get("command.user"),
    }
    return {key: value for key, value in known.items() if value} or Unknown(
        "no command line was recorded"
    )


# Results


def _metrics(run: Run, look: _Description) -> Section:
    values: dict[str, Any] = {}
    for key, one in run.metrics.items():
        if key.startswith(SYSTEM) and not look.everything:
            continue
        values[key] = one.last
        if look.everything:
            values |= {f"{key}.min": one.min, f"{key}.max": one.max}
    return values


def _artifacts(run: Run, _: _Description) -> Section:
    return {path: FileContents(one.digest, one.size_bytes) for path, one in run.artifacts.items()}


def _tags(run: Run, _: _Description) -> Section:
    return dict(run.tags)


def _notes(run: Run, _: _Description) -> Section:
    return {} if run.notes is None else {"notes": run.notes}


_DESCRIBED: Mapping[str, Callable[[Run, _Description], Section]] = {
    "status": _status,
    "params": _params,
    "code": _code,
    "packages": _packages,
    "environment": _environment,
    "inputs": _inputs,
    "command": _command,
    "metrics": _metrics,
    "artifacts": _artifacts,
    "tags": _tags,
    "notes": _notes,
}

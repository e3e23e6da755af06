"""The names of the filter language: its fields, and the resolution of dotted names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runstore.errors import quoted
from runstore.model.display.suggestions import nearest
from runstore.model.query.tree import Field, Kind, Namespace
from runstore.value_classes import NamedTuple

STATS = ("last", "first", "min", "max", "mean", "count")
FILE_PARTS = {"path": Kind.TEXT, "size": Kind.NUMBER, "type": Kind.TEXT, "digest": Kind.TEXT}
INPUT_PARTS = {**FILE_PARTS, "location": Kind.TEXT, "source": Kind.TEXT}
del INPUT_PARTS["type"]

# Fields of a run itself: by name, the attribute's own word and its kind.
RUN_FIELDS: Mapping[str, tuple[str, Kind]] = {
    "commit": ("commit", Kind.TEXT),
    "command": ("cli", Kind.TEXT),
    "dirty": ("workdir_dirty", Kind.FLAG),
    "duration": ("duration", Kind.DURATION),
    "ended": ("ended_at", Kind.MOMENT),
    "error": ("error", Kind.TEXT),
    "exit_code": ("exit_code", Kind.NUMBER),
    "experiment": ("experiment_name", Kind.TEXT),
    "full_store": ("full_store", Kind.FLAG),
    "hostname": ("hostname", Kind.TEXT),
    "notes": ("notes", Kind.TEXT),
    "parent": ("parent_uid", Kind.TEXT),
    "reference": ("reference", Kind.TEXT),
    "run_number": ("run_number", Kind.NUMBER),
    "seen": ("last_seen_at", Kind.MOMENT),
    "started": ("started_at", Kind.MOMENT),
    "status": ("status", Kind.STATUS),
    "traceback": ("traceback", Kind.TEXT),
    "uid": ("uid", Kind.TEXT),
}
OUTPUT = "output"  # the printed output
# Fields of a run's parameter sets.
SET_FIELDS = {"set": "name", "param_file": "file", "param_hash": "hash"}
# Synonyms: the names of Python attributes or of the command line.
SAME: Mapping[str, str] = {
    "branch": "git.branch",
    "cli": "command",
    "ended_at": "ended",
    "experiment_name": "experiment",
    "host": "hostname",
    "last_seen_at": "seen",
    "number": "run_number",
    "parent_uid": "parent",
    "run": "reference",
    "started_at": "started",
    "took": "duration",
    "user": "command.user",
    "workdir_dirty": "dirty",
}
# Names of MLflow's search language. Source: MLflow 3, search syntax of runs.
MLFLOW_FIELDS: Mapping[str, str] = {
    "run_id": "uid",
    "run_name": "reference",
    "start_time": "started",
    "end_time": "ended",
    "user_id": "command.user",
}
MLFLOW_STATUSES: Mapping[str, tuple[str, ...]] = {
    "RUNNING": ("running", "live"),
    "SCHEDULED": ("queued",),
    "FINISHED": ("complete",),
    "FAILED": ("error", "lost"),
    "KILLED": ("interrupted", "pruned"),
}
# Words of other tools for fields, which may as well be names of parameters or tags.
_MEANT: Mapping[str, str] = {
    **dict.fromkeys(("name", "title"), "run"),
    **dict.fromkeys(("id", "run_uuid"), "uid"),
    "project": "experiment",
    "state": "status",
    **dict.fromkeys(("created", "created_at", "date", "time", "start"), "started"),
    **dict.fromkeys(("finished", "finished_at", "end"), "ended"),
    **dict.fromkeys(("runtime", "elapsed", "walltime"), "duration"),
}
NAMESPACE_WORDS: Mapping[str, Namespace] = {
    **dict.fromkeys(("param", "params", "parameter", "parameters"), Namespace.PARAM),
    **dict.fromkeys(("metric", "metrics"), Namespace.METRIC),
    **dict.fromkeys(("tag", "tags"), Namespace.TAG),
    **dict.fromkeys(("artifact", "artifacts"), Namespace.ARTIFACT),
    **dict.fromkeys(("input", "inputs", "dataset", "datasets"), Namespace.INPUT),
    **dict.fromkeys(("fact", "facts"), Namespace.FACT),
    **dict.fromkeys(("package", "packages"), Namespace.PACKAGE),
}
# Facts that are versions, and facts that are always texts.
VERSION_FACTS = frozenset({"gpu.driver", "python.version"})
TEXT_FACTS = frozenset(
    {
        "command.cwd", "command.line", "command.user", "git.branch", "git.commit", "git.remote",
        "git.root", "host.cpu_model", "host.machine", "host.name", "host.platform",
        "host.system", "notebook.path", "python.executable", "python.implementation",
        "python.prefix", "scheduler.kind", "scheduler.name", "scheduler.nodes", "scheduler.queue",
    }
)  # fmt: skip
_RUN_WORDS = frozenset({"attribute", "attributes", "attr", "run", "runs"})
_FACT_GROUPS = frozenset({"command", "git", "gpu", "host", "notebook", "python", "scheduler"})


class Word(NamedTuple):
    """A part of a dotted name.

    Attributes:
        text: The part.
        is_quoted: Whether it was quoted, so that it is always a name.
        is_bracket: Whether it was in brackets.
    """

    text: str
    is_quoted: bool = False
    is_bracket: bool = False


class UnknownFieldError(ValueError):
    """There is no field with this name.

    Args:
        why: The problem, as a sentence.
        near: The most similar name; empty if there is none.
    """

    def __init__(self, why: str, near: str = "") -> None:
        super().__init__(why)
        self.near = near


def field_of(words: Sequence[Word]) -> Field:
    """Return the field of a dotted name.

    Raises:
        UnknownFieldError: There is no such field.
    """
    first, rest = words[0], list(words[1:])
    namespace = None if first.is_quoted else NAMESPACE_WORDS.get(first.text)
    if namespace is not None and rest:
        return _IN_NAMESPACE[namespace](first.text, rest)
    if namespace in {Namespace.ARTIFACT, Namespace.INPUT}:
        return Field(namespace, "", Kind.TEXT, "path")
    if namespace is not None:
        raise UnknownFieldError(f"{first.text} needs a name: {first.text}.<name>.")
    if first.text in _RUN_WORDS and len(rest) == 1:
        return _of_run(rest[0].text)
    name = ".".join(word.text for word in words)
    if not first.is_quoted and rest and first.text in _FACT_GROUPS:
        return _named_fact(name)
    return _of_run(name)


def _of_run(name: str) -> Field:
    name = MLFLOW_FIELDS.get(name, SAME.get(name, name))
    if name in RUN_FIELDS:
        key, kind = RUN_FIELDS[name]
        return Field(Namespace.RUN, key, kind)
    if name == OUTPUT:
        return Field(Namespace.OUTPUT, "", Kind.TEXT)
    if name in SET_FIELDS:
        return Field(Namespace.SET, SET_FIELDS[name], Kind.TEXT)
    if name.partition(".")[0] in _FACT_GROUPS and "." in name:
        return _named_fact(name)
    raise UnknownFieldError(f"There is no field {quoted(name)}.", _meant(name, known_names()))


def known_names() -> list[str]:
    """Return the possible first words of names."""
    namespaces = [f"{namespace.value}." for namespace in dict.fromkeys(NAMESPACE_WORDS.values())]
    return sorted({*RUN_FIELDS, OUTPUT, *SET_FIELDS, *SAME, *namespaces})


def _meant(name: str, names: Sequence[str]) -> str:
    """Return the probable intended name; empty if there is none."""
    if name in _MEANT:
        return _MEANT[name]
    by_text = {one.rstrip("."): one for one in names}
    if near := nearest(name.partition(".")[0], by_text):
        return by_text[near]
    return next((one for one in names if len(name) > 1 and one.startswith(name)), "")


def _param(_word: str, rest: list[Word]) -> Field:
    set_name = _set_name(rest)
    return Field(Namespace.PARAM, dotted(rest), Kind.CELL, set_name=set_name)


def dotted(words: Sequence[Word]) -> str:
    """Return the key of a nested parameter in the format of `flatten.py`."""
    from runstore.model.params.flatten import joined

    key = ""
    for word in words:
        if word.is_bracket:
            key += f"[{word.text}]"
        elif word.is_quoted:
            # In a tree, a key with one dollar sign is no text.
            key = joined(key, f"${word.text}" if word.text[:1] == "$" else word.text)
        else:
            key = f"{key}.{word.text}" if key else word.text
    return key


def keys_of(field: Field) -> tuple[str, ...]:
    """Return the possible keys of a parameter: `a.b` is b in a, or one name with a dot."""
    key = field.key
    if "." in key and '"' not in key and "[" not in key:
        return key, f'"{key}"'
    return (key,)


def parts_of(key: str) -> tuple[tuple[str, str], ...]:
    """Return bounds of the keys in a list or an object; the upper ones are excluded."""
    return tuple((f"{key}{sign}", f"{key}{chr(ord(sign) + 1)}") for sign in ".[")


def _metric(word: str, rest: list[Word]) -> Field:
    set_name = _set_name(rest)
    last = rest[-1]
    stat = "last"
    if len(rest) > 1 and not last.is_quoted and last.text in STATS:
        stat = last.text
        rest = rest[:-1]
    if any(one.is_bracket for one in rest):
        raise UnknownFieldError(f"A bracket must follow {word} directly: {word}[<set>].<key>.")
    return Field(Namespace.METRIC, ".".join(one.text for one in rest), Kind.NUMBER, stat, set_name)


def _set_name(rest: list[Word]) -> str | None:
    if not rest[0].is_bracket:
        return None
    if len(rest) == 1:
        raise UnknownFieldError(f"[{rest[0].text}] is a parameter set; a name must follow.")
    return rest.pop(0).text


def _tag(_word: str, rest: list[Word]) -> Field:
    return Field(Namespace.TAG, ".".join(one.text for one in rest), Kind.CELL)


def _fact(_word: str, rest: list[Word]) -> Field:
    return _named_fact(".".join(one.text for one in rest))


def _named_fact(name: str) -> Field:
    is_version = name in VERSION_FACTS or name.endswith("_version")
    return Field(Namespace.FACT, name, Kind.VERSION if is_version else Kind.CELL)


def _package(_word: str, rest: list[Word]) -> Field:
    return Field(Namespace.PACKAGE, ".".join(one.text for one in rest).lower(), Kind.VERSION)


def _file(word: str, rest: list[Word]) -> Field:
    namespace = NAMESPACE_WORDS[word]
    parts = FILE_PARTS if namespace is Namespace.ARTIFACT else INPUT_PARTS
    # MLflow has a dataset's `name` and `digest`.
    names = {**{part: part for part in parts}, "name": "path"}
    last = rest[-1]
    part = "path"
    if not last.is_quoted and last.text in names:
        part = names[last.text]
        rest = rest[:-1]
    return Field(namespace, ".".join(one.text for one in rest), parts[part], part)


_IN_NAMESPACE = {
    Namespace.PARAM: _param,
    Namespace.METRIC: _metric,
    Namespace.TAG: _tag,
    Namespace.FACT: _fact,
    Namespace.PACKAGE: _package,
    Namespace.ARTIFACT: _file,
    Namespace.INPUT: _file,
}

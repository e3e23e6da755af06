"""Likeness: the differences between an earlier run and another one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runstore.analysis.compare.differences import MISSING, Difference, differences
from runstore.analysis.reruns.identity import are_same_sets, call_differences, call_of, code_of
from runstore.analysis.reruns.subjects import ComparedRun, Similar
from runstore.capture.git.new_files import (
    data_among,
    marks_of,
    recorded_words,
    texts_of_new_files,
)
from runstore.errors import StoreCorruptError
from runstore.model.code.documents import (
    IMPORTED_MODULES,
    LATE_MODULES,
    MODULES,
    NEW_FILES,
    RESUMED_FILES,
)
from runstore.model.code.patches import parse_patch
from runstore.value_classes import replace

if TYPE_CHECKING:
    from runstore.analysis.reruns.inputs import FilesNow
    from runstore.model.run import Run
    from runstore.storage.backend import Backend

_PATCH = "patch"
_FINGERPRINT = 8
# Python writes it anew from the source, with other times.
_BYTECODE = ".pyc"


def kept(backend: Backend, run: Run) -> ComparedRun:
    """Return a kept run as a subject."""
    hashes = backend.database.document_hashes([run.uid]).get(run.uid, {})
    return ComparedRun(run, hashes, lambda name: backend.database.document(run.uid, name))


def likeness(
    backend: Backend, old: ComparedRun, new: ComparedRun, files: FilesNow, *, exactly: bool
) -> Similar:
    """Return the differences between an earlier run and one about to start.

    Args:
        backend: The store.
        old: The earlier run.
        new: The other one.
        files: The files as this look-up found them.
        exactly: Whether arguments and folder of the command count, or the program alone.
    """
    from runstore.analysis.reruns.inputs import arguments_now, inputs_now
    from runstore.analysis.reruns.modules import modules_now

    found, unknown = _recorded(backend, old, new, exactly=exactly, with_data=True)
    call = call_of(new.run.facts)
    folder = Path(str(new.run.facts.values.get("command.cwd", ".")))
    inputs = inputs_now(backend, old.run, folder, files)
    found += inputs.differences
    if exactly and call.arguments is not None:
        found += arguments_now(old.run, call.arguments[1:], folder, files)
    unknown += inputs.unknown
    if not (found or unknown):
        # The modules of a run that differs already are not compared.
        modules = modules_now(old, new)
        found += modules.differences
        unknown += modules.unknown
    return Similar(old.run, tuple(found), tuple(unknown), tuple(inputs.unchecked))


def likeness_of_kept(backend: Backend, old: ComparedRun, new: ComparedRun) -> Similar:
    """Return the differences between two kept runs, with their inputs as recorded.

    New files that do not count as code are left out: an earlier run may have written them.
    """
    from runstore.analysis.compare.descriptions import describe

    found, unknown = _recorded(backend, old, new, exactly=False, with_data=False)
    described = describe(backend, (old.run, new.run), sections=("inputs",))
    found += differences(described, sections=("inputs",))
    return Similar(old.run, tuple(found), tuple(unknown))


def _recorded(
    backend: Backend, old: ComparedRun, new: ComparedRun, *, exactly: bool, with_data: bool
) -> tuple[list[Difference], list[str]]:
    found, unknown = _params(backend, old.run, new.run)
    try:
        code = _code(old, new) if with_data else _code_alone(old, new)
    except StoreCorruptError as error:
        code = [], [f"its code is not known: {error.what.rstrip('.')}"]
    calls = call_of(old.run.facts), call_of(new.run.facts)
    for compared in (code, call_differences(*calls, exactly=exactly)):
        found += compared[0]
        unknown += compared[1]
    return found, unknown


def _params(backend: Backend, old: Run, new: Run) -> tuple[list[Difference], list[str]]:
    from runstore.analysis.compare.descriptions import describe

    sets = (*old.parameter_sets, *new.parameter_sets)
    unknown = ["not all parameter values are known"] if any(s.tree is None for s in sets) else []
    if are_same_sets(old.parameter_sets, new.parameter_sets):
        return [], unknown
    described = describe(backend, (old, new), sections=("params",))
    found = list(differences(described, sections=("params",)))
    # Values may be equal although their forms in the hash are not.
    hashes = tuple(", ".join(s.hash for s in run.parameter_sets) for run in (old, new))
    return found or [Difference("params", "(hash)", hashes)], unknown


def _code_alone(old: ComparedRun, new: ComparedRun) -> tuple[list[Difference], list[str]]:
    """Return the same as `_code` without new files that do not count as code."""
    old, new = _without_resumed_files(old), _without_resumed_files(new)
    found, unknown = _code(old, new)
    words = recorded_words(old.run.facts, new.run.facts)
    data = _data(old, words) | _data(new, words)
    return [one for one in found if one.key not in data], unknown


def _without_resumed_files(one: ComparedRun) -> ComparedRun:
    facts = one.run.facts
    unknown = {name: why for name, why in facts.unknown.items() if name != RESUMED_FILES}
    run = replace(one.run, facts=facts._replace(unknown=unknown))
    return replace(one, run=run)


def _data(one: ComparedRun, words: frozenset[str]) -> set[str]:
    """Return the new files of a run that do not count as code."""
    texts = texts_of_new_files(one.text_of(NEW_FILES) if NEW_FILES in one.documents else None)
    return data_among({**texts, **marks_of(one.run.facts)}, one.run.facts, words)


def _code(old: ComparedRun, new: ComparedRun) -> tuple[list[Difference], list[str]]:
    before, now = (code_of(one.run.commit, one.run.facts, one.documents) for one in (old, new))
    unknown = []
    if before.problem or now.problem:
        code, why = ("its code", before.problem) if before.problem else ("the code", now.problem)
        unknown.append(f"{code} is not known: {why}")
    if before.commit and now.commit and before.commit != now.commit:
        return [Difference("code", "commit", (before.commit, now.commit))], unknown
    if before.commit is None or now.commit is None:
        return [], unknown
    others = _changed_marks(before.others, now.others)
    others += _changed_marks(*_imported_by(old, new))
    if before.ignored is not None and now.ignored is not None:
        others += _changed_marks(before.ignored, now.ignored)
    files = [] if before.documents == now.documents else _changed_files(old, new)
    return _one_per_file([*files, *others]), unknown


def _one_per_file(found: Sequence[Difference]) -> list[Difference]:
    """Join the differences of each file, whose text may be recorded for one run only."""
    joined: dict[str, Difference] = {}
    for one in found:
        first = joined.setdefault(one.key, one)
        pairs = zip(first.values, one.values, strict=True)
        values = tuple(other if known is MISSING else known for known, other in pairs)
        joined[one.key] = Difference("code", one.key, values)
    return [*joined.values()]


def _imported_by(old: ComparedRun, new: ComparedRun) -> tuple[dict[str, str], dict[str, str]]:
    """Return the fingerprints of imported modules of both, as far as they can be compared.

    A program that recorded the earlier run itself has those that it loaded.
    """
    before, now = _imported(old), _imported(new)
    if IMPORTED_MODULES in old.documents or not now:
        return before, now
    loaded = {**_marks_in(old, MODULES), **_marks_in(old, LATE_MODULES)}
    before = {name: loaded[name] for name in now if name in loaded}
    return before, {name: now[name] for name in before}


def _imported(one: ComparedRun) -> dict[str, str]:
    """Return the fingerprints of the modules that a command imports, by their names."""
    return _marks_in(one, IMPORTED_MODULES)


def _marks_in(one: ComparedRun, document: str) -> dict[str, str]:
    return {name: mark for name, (_, mark) in one.entries(document).items()}


def _changed_marks(before: Mapping[str, str], now: Mapping[str, str]) -> list[Difference]:
    return [
        Difference("code", path, (before.get(path, MISSING), now.get(path, MISSING)))
        for path in sorted(before.keys() | now.keys())
        if before.get(path) != now.get(path) and not path.endswith(_BYTECODE)
    ]


def _changed_files(old: ComparedRun, new: ComparedRun) -> list[Difference]:
    """Return the files that differ between two states of the code beyond one commit."""
    before, now = (
        {**_patches(one.text_of(_PATCH)), **one.entries(NEW_FILES)} for one in (old, new)
    )
    return [
        Difference("code", path, (_state(before.get(path)), _state(now.get(path))))
        for path in sorted(before.keys() | now.keys())
        if before.get(path) != now.get(path)
    ]


def _patches(text: str | None) -> dict[str, str]:
    """Return the parts of a patch by path."""
    return {one.path: one.text for one in parse_patch(text or "")}


def _state(text: str | None) -> object:
    if text is None:
        return MISSING
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"uncommitted {digest[:_FINGERPRINT]}"

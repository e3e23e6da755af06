"""The differences between a recorded run and the same command now."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from runstore.analysis.compare.descriptions import describe_packages
from runstore.analysis.compare.differences import MISSING, Difference
from runstore.analysis.compare.texts import texts_of
from runstore.analysis.reruns.lookup import look_up
from runstore.analysis.reruns.texts import difference_text
from runstore.capture.git.new_files import command_words, data_among, marks_of
from runstore.capture.git.snapshot import program_alone
from runstore.capture.surroundings import Surroundings, environment_facts, quick_facts
from runstore.errors import NotFoundError, StoreCorruptError, UsageError
from runstore.model.code.documents import NEW_FILES, entries_of
from runstore.model.display.formatting import counted
from runstore.model.facts import Facts
from runstore.runner.run_folder import ARTIFACTS
from runstore.storage.sqlite.paths import is_file
from runstore.value_classes import dataclass

if TYPE_CHECKING:
    from runstore.model.params.parameter_set import ParameterSet
    from runstore.model.run import Run
    from runstore.store import Store

_PACKAGES = "packages"
_PACKAGES_SHOWN = 6
_PROGRAM, _ROOT = "command.program", "git.root"
# Facts that are compared apart from code and inputs, with their labels.
_SURROUNDINGS = {"python.version": "Python", "host.name": "host", "command.user": "user"}


@dataclass(frozen=True, slots=True)
class Differences:
    """The decisive differences from a recorded run, as phrases, and others.

    Others are packages, Python and host, and parts that cannot be compared.
    """

    decisive: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[str]:
        return iter((*self.decisive, *self.others))


def repeated_run(store: Store, cache: Path | None) -> Run | None:
    """Return the run whose own artifacts are the cache; None if it is another folder."""
    if cache is None or cache.name != ARTIFACTS:
        return None
    folder = cache.absolute().parent
    for name in dict.fromkeys((folder.name, unquote(folder.name))):
        try:
            run = store.get(name)
        except (NotFoundError, UsageError):
            continue
        if store.folder_of(run.reference).resolve() == folder.resolve():
            return run
    return None


def what_differs(
    store: Store,
    run: Run,
    sets: Sequence[ParameterSet],
    argv: Sequence[str],
    *,
    is_other_process: bool = False,
) -> Differences:
    """Return the differences of these sets and this command from the record of a run."""
    where = Surroundings.here(argv=argv, store=store.path, is_other_process=is_other_process)
    facts = quick_facts(where, argv=argv)
    facts = facts.merged(_program_of(run, facts))
    earlier = look_up(
        store.backend, run.experiment_name, tuple(sets), facts, exactly=False, where=where
    )
    found = earlier.compared_with(run)
    here = facts.merged(earlier.code or Facts())
    now = {**_texts(here), **marks_of(here)}
    then = {**_kept_texts(store, run), **marks_of(run.facts)}
    words, root = command_words(argv), str(here.values.get(_ROOT, ""))
    data = data_among(now, here, words) | data_among(then, run.facts, words)
    decisive, others = _of_code(found.differences, now, data, root)
    # The command is the recorded one.
    unknown = [one for one in found.unknown if not one.startswith("the program ")]
    if run.commit is None and "git.commit" not in facts.values:
        before = _kept_texts(store, run)
        decisive += _changed_texts(before, _folder_of_texts(run, root, where))
        if before:
            unknown = [one for one in unknown if not one.startswith("its code is not known")]
    others += _of_surroundings(store, run, facts.merged(environment_facts(where)))
    others += unknown
    others += [f"{name} may have changed" for name in found.unchecked]
    return Differences(tuple(dict.fromkeys(decisive)), tuple(dict.fromkeys(others)))


def _of_code(
    differences: Iterable[Difference], now: Mapping[str, str], data: Collection[str], root: str
) -> tuple[list[str], list[str]]:
    """Return the differences that decide about the result, and the others."""
    decisive: list[str] = []
    others: list[str] = []
    for one in differences:
        is_data = one.section == "code" and one.key in data
        is_new = one.section == "code" and one.key in now and one.values[0] is MISSING
        if not is_new:
            (others if is_data else decisive).append(_text(one, root))
        elif not is_data:  # the recorded code cannot need it
            others.append(f"{one.key} is new")
    return decisive, others


def _program_of(run: Run, here: Facts) -> Facts:
    """Return the program of a run that recorded itself, in this copy of the repository.

    The command is the recorded one, but does not show the file of `-m module`, for example.
    """
    program = run.facts.values.get(_PROGRAM)
    if not isinstance(program, str):
        return Facts()
    then, now = (str(one.values.get(_ROOT, "")) for one in (run.facts, here))
    place = PurePath(program)
    if then and now and place.is_relative_to(then):
        program = str(PurePath(now, place.relative_to(then)))
    return Facts(values={_PROGRAM: program})


def _folder_of_texts(run: Run, root: str, where: Surroundings) -> Path | None:
    """Return the folder that the names of recorded files are relative to.

    This is the root of a repository, even without a commit, and otherwise that of the script.
    """
    if then := run.facts.values.get(_ROOT):
        return Path(root or str(then))
    return Path(where.scripts[0]).parent if where.scripts else where.folder


def _changed_texts(before: Mapping[str, str], root: Path | None) -> Iterator[str]:
    """Yield files of a program without a commit that changed since they were recorded."""
    if root is None:
        return
    now = _texts(program_alone(root, [str(root / path) for path in before]))
    for path in sorted(before):
        if path not in now:
            yield f"{path} is missing" if not is_file(root / path) else f"{path} changed"
        elif before[path] != now[path]:
            yield f"{path} changed"


def _text(one: Difference, root: str) -> str:
    """Return a difference in a line: `commit: 3f2a… → 88ac…`, `train.py changed`."""
    if one.section != "code":
        return difference_text(one)
    if one.key != "commit":
        is_gone = one.values[1] is MISSING and root and not os.path.lexists(Path(root, one.key))
        return f"{one.key} {'is missing' if is_gone else 'changed'}"
    old, new = texts_of(one)
    return f"commit: {old} → {new}"


def _kept_texts(store: Store, run: Run) -> dict[str, Any]:
    try:
        return entries_of(NEW_FILES, store.document(run.uid, NEW_FILES), run.reference)
    except StoreCorruptError as error:
        error.kept = "Nothing was started."
        raise


def _texts(facts: Facts) -> dict[str, Any]:
    return entries_of(NEW_FILES, facts.documents.get(NEW_FILES), "this program")


def _of_surroundings(store: Store, run: Run, now: Facts) -> Iterator[str]:
    for name, label in _SURROUNDINGS.items():
        old, new = run.facts.values.get(name), now.values.get(name)
        if old is not None and new is not None and old != new:
            yield f"{label}: {old} → {new}"
    before = store.document(run.uid, _PACKAGES)
    if before is not None and _PACKAGES in now.documents:
        yield from _changed_packages(
            describe_packages(before), describe_packages(now.documents[_PACKAGES])
        )


def _changed_packages(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield packages with another version, or that are missing; new ones change nothing."""
    changed = [
        f"{name}: {version} → {now.get(name, 'not installed')}"
        for name, version in sorted(before.items())
        if now.get(name) != version
    ]
    yield from changed[:_PACKAGES_SHOWN]
    if len(changed) > _PACKAGES_SHOWN:
        yield counted(len(changed) - _PACKAGES_SHOWN, "more package")

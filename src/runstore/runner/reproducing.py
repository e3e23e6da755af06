"""Repeating a run by its `reproduce` line: the differences between its record and now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from runstore import capture
from runstore.analysis.reruns.lookup import look_up
from runstore.analysis.reruns.texts import difference_text
from runstore.errors import NotFoundError, UsageError
from runstore.model.facts import Facts
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.run import Run
from runstore.runner.run_folder import ARTIFACTS
from runstore.store import Store

_UNTRACKED = "untracked"


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
    store: Store, run: Run, sets: Sequence[ParameterSet], argv: Sequence[str]
) -> list[str]:
    """Return the differences from the record of a run: parameters, code, inputs; a phrase each.

    Args:
        store: Where the run is kept.
        run: The run that is to be repeated.
        sets: The parameter sets as they are now.
        argv: The command.
    """
    where = capture.Surroundings.here(argv=argv, store=store.path)
    facts = capture.quick_facts(where, argv=argv)
    earlier = look_up(
        store.backend, run.experiment_name, tuple(sets), facts, exactly=False, where=where
    )
    found = earlier.compared_with(run)
    told = [difference_text(one) for one in found.differences]
    if run.commit is None and "git.commit" not in facts.values:
        told += _changed_texts(store, run, capture.code_facts(facts, where))
    told += found.unknown
    told += [f"{name} may have changed" for name in found.unchecked]
    return list(dict.fromkeys(told))


def _changed_texts(store: Store, run: Run, now: Facts) -> Iterator[str]:
    """Yield the files outside of git that are not as they were kept."""
    before, after = (
        json.loads(text or "{}")
        for text in (store.document(run.uid, _UNTRACKED), now.documents.get(_UNTRACKED))
    )
    # A file that only one of them has was loaded later: that is not a change.
    for path in sorted(before.keys() & after.keys()):
        if before[path] != after[path]:
            yield f"code.{path}"

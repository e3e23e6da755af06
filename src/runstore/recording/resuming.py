"""The code and surroundings of a resumed run, kept in addition to those of its start.

The facts of the n-th resumption are `resumed.n.git.commit` and so on, its texts `resumed.n.patch`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runstore import background
from runstore.capture.git.new_files import marks_of, new_code, recorded_words, texts_of_new_files
from runstore.config import current_author
from runstore.errors import StoreError
from runstore.model.code.documents import (
    IGNORED,
    MODULES,
    OTHER_CHANGES,
    RESUMED_CODE,
    RESUMED_FILES,
)
from runstore.model.facts import Facts, FactValue
from runstore.recording.recorder import Recorder
from runstore.storage.database import Edit
from runstore.value_classes import NamedTuple

if TYPE_CHECKING:
    from runstore.capture.program.files import Loading
    from runstore.capture.surroundings import Surroundings
    from runstore.model.run import Run
    from runstore.storage.backend import Backend

_KEPT = (
    "git.commit", "git.branch", "git.dirty", "git.root", "command.line", "command.cwd",
    "host.name", "python.version", "python.prefix",
)  # fmt: skip
_PREFIX = "resumed."
_PATCH, _UNTRACKED = "patch", "untracked"
_DOCUMENTS = (_PATCH, _UNTRACKED, "packages")


def trace_resumption(backend: Backend, run: Run) -> Loading | None:
    """Record the code of a resumed run; durable on return, slow facts follow in the background.

    Returns the watcher of the modules that its program loads from now on. A run without captured
    facts is skipped.
    """
    if not run.facts.values:
        return None
    from runstore.capture import surroundings

    where = surroundings.Surroundings.here(store=backend.path)
    quick = surroundings.quick_facts(where)
    number = 1 + len({name.split(".")[1] for name in run.facts.values if name.startswith(_PREFIX)})
    before: Mapping[str, FactValue] = run.facts.values
    if number > 1:
        start = f"{_PREFIX}{number - 1}."
        before = {name.removeprefix(start): one for name, one in before.items()}
    old, new = _shown(before), _shown(quick.values)
    edit = Edit("code", old, new, current_author(), None)
    named = _under(quick, f"{_PREFIX}{number}.")
    backend.database.attach_facts(run.uid, named, [edit] if old != new else [])
    background.do_later(_Resumption(backend, run, number, quick, where))
    return where.loading(quick, f"{_PREFIX}{number}.")


class _Resumption(NamedTuple):
    """The slow facts about a resumed run."""

    backend: Backend
    run: Run
    number: int
    quick: Facts
    where: Surroundings

    def is_like(self, _: object) -> bool:
        """Check whether both can be done as one; each resumption is separate."""
        return False

    def do_with(self, _: Sequence[_Resumption]) -> None:
        """Read and store the facts."""
        _trace_the_rest(*self)


def _trace_the_rest(
    backend: Backend, run: Run, number: int, quick: Facts, where: Surroundings
) -> None:
    from runstore.capture import surroundings

    facts = quick.merged(surroundings.environment_facts(where))
    facts = facts.merged(surroundings.code_facts(quick, where))
    prefix = f"{_PREFIX}{number}."
    try:
        named = _compared(backend, run, prefix, facts)
    except StoreError as error:
        told = f"the code of its start could not be read: {error.what}"
        named = _under(facts, prefix).merged(Facts(unknown={RESUMED_CODE: told}))
    what = f"facts about the resumed {run.reference}"
    backend.part(Recorder).keep_facts(run.uid, named, what)


def _compared(backend: Backend, run: Run, prefix: str, facts: Facts) -> Facts:
    """Return the facts of a resumption, with the documents that differ from those of the start.

    Raises:
        StoreError: The documents of the start could not be read.
    """
    first = {name: backend.database.document(run.uid, name) for name in _DOCUMENTS}
    # If the start was killed before its changes were read, the code cannot be compared.
    is_known = "git.remote" in {*run.facts.values, *run.facts.unknown}
    is_other = facts.values.get("git.commit") != run.facts.values.get("git.commit") or (
        is_known and _has_other_changes(run, first, facts)
    )
    has_other_files = is_known and facts.documents.get(_UNTRACKED) != first[_UNTRACKED]
    ignored = run.facts.values.get(IGNORED)
    is_other = is_other or (ignored is not None and facts.values.get(IGNORED) != ignored)
    texts = {name: one for name, one in facts.documents.items() if first.get(name) != one}
    named = _under(Facts(values=facts.values, documents=texts), prefix)
    if is_other:
        told = f"it continued with other code: {_shown(facts.values)}"
        named = named.merged(Facts(unknown={RESUMED_CODE: told}))
    elif MODULES in facts.unknown:
        named = named.merged(Facts(unknown={RESUMED_CODE: facts.unknown[MODULES]}))
    elif has_other_files:
        named = named.merged(Facts(unknown={RESUMED_FILES: "it continued with other new files"}))
    return named


def _has_other_changes(run: Run, first: Mapping[str, str | None], now: Facts) -> bool:
    """Return whether the code beyond the commit differs from that of the start."""
    words = recorded_words(run.facts, now)
    then, here = (
        (
            documents.get(_PATCH),
            facts.values.get(OTHER_CHANGES),
            new_code(marks_of(facts), facts, words),
            new_code(texts_of_new_files(documents.get(_UNTRACKED)), facts, words),
        )
        for documents, facts in ((first, run.facts), (now.documents, now))
    )
    return then != here


def _under(facts: Facts, prefix: str) -> Facts:
    return Facts(
        values={f"{prefix}{name}": facts.values[name] for name in _KEPT if name in facts.values},
        documents={f"{prefix}{name}": text for name, text in facts.documents.items()},
    )


def _shown(values: Mapping[str, FactValue]) -> str:
    commit = values.get("git.commit")
    if not isinstance(commit, str):
        return "no commit"
    return f"{commit[:12]}{' with changes' if values.get('git.dirty') else ''}"

"""Facts about the world when a run starts: what could be seen, and why the rest could not.

One of the three homes of the broad handler: whatever goes wrong here is an unknown fact, never
the end of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from runstore.model.facts import Facts, FactValue
from runstore.model.values import clean_text


def quick_facts(cwd: Path | None = None, *, argv: Sequence[str] | None = None) -> Facts:
    """Return what is read before a run is written down: git's head, the command, the host.

    Args:
        cwd: Where to look; None is the working directory.
        argv: The exact arguments, where they are not those of this process.
    """
    from runstore.capture.command import command_facts
    from runstore.capture.environment import scheduler_facts
    from runstore.capture.git import read_head
    from runstore.capture.host import host_basics

    return _together(
        ("command", lambda: command_facts(argv)),
        ("git", lambda: read_head(cwd or Path.cwd())),
        ("host", host_basics),
        ("scheduler", scheduler_facts),
    )


def slow_facts(
    quick: Facts, cwd: Path | None = None, *, store: Path | None = None, code: Facts | None = None
) -> Facts:
    """Return what takes longer: changes against the commit, packages, hardware.

    Safe in a background thread; leaves no process behind.

    Args:
        quick: What `quick_facts` gave.
        cwd: Where to look; None is the working directory.
        store: The folder of the store, whose own files are no code.
        code: What `code_facts` gave, where it was asked already.
    """
    from runstore.capture.environment import environment_facts
    from runstore.capture.host import host_details

    return _together(
        ("git", lambda: code_facts(quick, cwd, store=store) if code is None else code),
        ("python", environment_facts),
        ("host", host_details),
    )


def code_facts(quick: Facts, cwd: Path | None = None, *, store: Path | None = None) -> Facts:
    """Return remote, and the patch and new files where the work tree has changes.

    Args:
        quick: What `quick_facts` gave.
        cwd: Where to look; None is the working directory.
        store: The folder of the store, whose own files are no code.
    """
    return _together(("git", lambda: _repository(quick, cwd, store)))


def _repository(quick: Facts, cwd: Path | None, store: Path | None) -> Facts:
    from runstore.capture.git import read_remote, run_git
    from runstore.capture.snapshot import snapshot

    if "git.dirty" not in quick.values:
        return Facts()
    where = read_remote(cwd or Path.cwd())
    root = where.values.get("git.root")
    has_changes = quick.values["git.dirty"] or quick.values.get("git.has_untracked")
    if not has_changes:
        return where
    if not isinstance(root, str):
        why = where.unknown["git.root"]
        return where.merged(Facts(unknown={"patch": why, "untracked": why}))
    return where.merged(snapshot(Path(root), run_git, store=store))


def _together(*groups: tuple[str, Callable[[], Facts]]) -> Facts:
    """Read each group by itself: one that fails leaves the others."""
    facts = Facts()
    for name, read in groups:
        try:
            found = read()
        except Exception as error:  # noqa: BLE001 - an unknown fact, with its reason
            found = Facts(unknown={name: f"{type(error).__name__}: {error}"})
        facts = facts.merged(found)
    return _storable(facts)


def _storable(facts: Facts) -> Facts:
    """Return the facts in text that can be stored: variables and file names may hold any bytes."""
    return Facts(
        values={name: _cleaned(value) for name, value in facts.values.items()},
        documents={name: clean_text(text) for name, text in facts.documents.items()},
        unknown={name: clean_text(why) for name, why in facts.unknown.items()},
    )


def _cleaned(value: FactValue) -> FactValue:
    if isinstance(value, str):
        return clean_text(value)
    return tuple(map(clean_text, value)) if isinstance(value, tuple) else value

"""The main facts of a run, with the same labels everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone

from runstore.model.display.formatting import duration_text, local_time, tags_text
from runstore.model.run import Run, start_text, status_word
from runstore.model.status import Status

_SILENCE_S = 60  # a heartbeat is written every ten seconds
_KERNEL = "ipykernel_launcher"  # the command of every notebook
SYSTEM = "system/"  # the beginning of system metrics
_PYTHON = re.compile(r"(?:\S*/)?(python[\d.]*) ")


def is_sample(key: str) -> bool:
    """Check whether a metric is a system metric."""
    return key.startswith(SYSTEM) or f"/{SYSTEM}" in key


def head_of(run: Run) -> Iterator[tuple[str, str]]:
    """Yield label and text of each fact; unknown facts are skipped."""
    yield "run", run.reference
    yield "status", run.status_text
    if run.damaged:
        yield "damaged", ", ".join(run.damaged)
    if run.error:
        yield "error", run.error
    yield "started", start_text(run)
    if run.ended_at is not None and "ended_at" not in run.damaged:
        word = "last known alive" if status_word(run) == Status.LOST else "ended"
        yield word, local_time(run.ended_at)
    if told := lifetime_text(run):
        yield "took" if run.status.is_final else "so far", told
    for label, text in (
        ("exit code", None if run.exit_code is None else str(run.exit_code)),
        ("tags", tags_text(run.tags)),
        ("notes", run.notes),
        ("notebook", run.facts.values.get("notebook.path")),
        ("command", None if _KERNEL in (run.cli or "") else command_text(run)),
        ("folder", run.facts.values.get("command.cwd")),
        ("user", run.facts.values.get("command.user")),
        ("host", run.hostname),
    ):
        if text:
            yield label, str(text)


def command_text(run: Run) -> str:
    """Return the command of a run as typed, if it is known.

    Earlier releases kept `sys.argv`, which lacks the interpreter, and the module of `-m`.
    """
    line, cli = run.facts.values.get("command.line"), run.cli or ""
    is_part = isinstance(line, str) and cli and (line.endswith(cli) or cli.startswith("-"))
    return without_folder_of_python(str(line)) if is_part else cli


def without_folder_of_python(line: str) -> str:
    """Return a command line with the name of its interpreter only."""
    found = _PYTHON.match(line)
    return f"{found[1]} {line[found.end() :]}" if found else line


def commit_text(run: Run) -> str | None:
    """Return the commit of a run, its branch, and whether there were changes, if it is known."""
    if not run.commit:
        return None
    branch = run.facts.values.get("git.branch")
    unknown = run.facts.unknown.get("git.dirty")
    dirty = ", with changes" if run.workdir_dirty else ""
    if unknown and run.workdir_dirty is None:
        dirty = f", changes unknown ({unknown})"
    new = ", with new files" if run.facts.values.get("git.has_untracked") else ""
    return f"{run.commit}{f' on {branch}' if branch else ''}{dirty}{new}"


def lifetime_text(run: Run, now: datetime | None = None) -> str:
    """Return the duration of a run, so far if it is active; empty if it is unknown.

    If a run has been silent, that is shown.
    """
    if run.duration is not None:
        return duration_text(run.duration)
    if run.status.is_final or "started_at" in run.damaged:
        return ""
    now = now or datetime.now(timezone.utc)
    silence = run.silent_for(now)
    if silence is not None and silence.total_seconds() > _SILENCE_S:
        return f"silent for {duration_text(silence)}"
    return duration_text(now - run.started_at)

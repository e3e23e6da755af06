"""The most important parts of a run, on one screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING

from runstore.cli import output
from runstore.cli.shown.full import (
    input_text,
    media_text,
    parent_text,
    repeats_of,
    repeats_text,
)
from runstore.cli.shown.layout import PagePart
from runstore.cli.sparkline import sparkline
from runstore.errors import NotFoundError, StoreCorruptError
from runstore.model.display.formatting import (
    ago_text,
    brief_number,
    counted,
    size_text,
    tags_text,
)
from runstore.model.display.short_names import short_name, short_names
from runstore.model.display.suggestions import some_of
from runstore.model.logged.media import is_media
from runstore.model.run import start_text
from runstore.model.status import Status
from runstore.model.text.output import plain_text
from runstore.reading.output.windows import window_of
from runstore.reading.shown.facts import command_text, commit_text, head_of, lifetime_text
from runstore.reading.shown.last_metrics import telling_metrics
from runstore.reading.shown.run import flattened

if TYPE_CHECKING:
    from runstore.model.artifacts import Artifact
    from runstore.model.metrics import MetricSummary
    from runstore.model.params.parameter_set import ParameterSet
    from runstore.model.run import Run
    from runstore.store import Store

_SPARK_WIDTH, _SPARK_STRETCHES = 12, 50
_SETS, _PARAMETERS, _METRICS, _FILES, _LINES = 4, 24, 8, 4, 8
_HASH = 10  # characters of a commit
_METRIC_HEAD = ("metrics", "", "last", "min", "max", "points")
_IN_HEAD = frozenset({"damaged", "error"})
_FRAME, _FRAME_LINES = '  File "', 3
# Parts of a frame in an installed package or in Python itself.
_PACKAGES = ("/site-packages/", "/dist-packages/", "/lib/python3.", '"<')
_FAILED = frozenset({Status.ERROR, Status.LOST})


def heading(run: Run, width: int) -> Iterator[str]:
    """Yield the short name of a run, its status, age and duration, in one line if they fit."""
    status = run.status_text
    about = [start_text(run, lambda at: ago_text(at, datetime.now(timezone.utc)))]
    if lifetime := lifetime_text(run):
        is_silent = lifetime.startswith("silent")
        word = "" if is_silent else "took " if run.status.is_final else "so far "
        about.append(f"{word}{lifetime}")
    name = output.terminal_safe(short_name(run))
    parts = (
        (name, "bold"),
        (status, output.STATUS_STYLES.get(status, "")),
        (", ".join(about), "dim"),
    )
    if output.cell_len("  ".join(text for text, _ in parts)) <= width:
        yield "  ".join(output.styled(text, style) for text, style in parts)
    else:
        for text, style in parts:
            yield from (output.styled(part, style) for part in output.folded(text, width))


def brief_sections(store: Store, run: Run) -> Iterator[PagePart]:
    """Yield the parts of a run that fit on a screen, below `heading`; `--full` shows all."""
    more: list[str] = []
    yield PagePart("", [(label, text) for label, text in head_of(run) if label in _IN_HEAD])
    if run.exit_code and not run.error:
        yield PagePart("", [("exit code", str(run.exit_code))])
    yield from _parameters(run.parameter_sets, more)
    yield _metrics(run, more)
    more += _hidden(store, run)
    below = [("more", f"--full shows {', '.join(more)}")] if more else []
    yield PagePart("", [*_about(store, run), *below], is_apart=True)
    yield _traceback(run) if run.traceback else _last_output(store, run)


def _parameters(sets: Sequence[ParameterSet], more: list[str]) -> Iterator[PagePart]:
    for one in sets[:_SETS]:
        place = f"{one.file}: " if one.file else ""
        is_only = len(sets) == 1 and one.name == "default"
        title = "parameters" if is_only else f"parameters {place}{one.name}"
        lines = list(flattened(one.values)) or [("", "no values are known")]
        yield PagePart(title, lines[:_PARAMETERS], is_short=True)
        if len(lines) > _PARAMETERS:
            more.append(counted(len(lines) - _PARAMETERS, "parameter"))
    if len(sets) > _SETS:
        more.append(counted(len(sets) - _SETS, "parameter set"))


def _metrics(run: Run, more: list[str]) -> PagePart:
    """Return the most important metrics: a summary and a sparkline of each."""
    found = run.metrics
    keys = telling_metrics([{key: one.last for key, one in found.items()}])
    if len(keys) > _METRICS:
        more.append(counted(len(keys) - _METRICS, "metric"))
    if samples := len(found) - len(keys):
        more.append(counted(samples, "system metric"))
    shown = {key: found[key] for key in keys[:_METRICS]}
    rows = [_metric_row(run, key, one) for key, one in shown.items()]
    return PagePart("metrics", [(row[0], row[2]) for row in rows], head=_METRIC_HEAD, rows=rows)


def _metric_row(run: Run, key: str, one: MetricSummary) -> tuple[str, ...]:
    picture = ""
    if one.count > 1:
        values = run.outline(one.key, one.set_name, stretches=_SPARK_STRETCHES).values
        picture = sparkline(values, _SPARK_WIDTH)
    numbers = map(brief_number, (one.last, one.min, one.max))
    return key, picture, *numbers, f"{one.count:,}"


def _about(store: Store, run: Run) -> Iterator[tuple[str, str]]:
    notebook = run.facts.values.get("notebook.path")
    commit = commit_text(run)
    if commit and run.commit:
        commit = commit.replace(run.commit, run.commit[:_HASH], 1)
    saved = [one for one in run.artifacts.values() if not is_media(one.path)]
    for label, text in (
        ("tags", tags_text(run.tags)),
        ("notes", _first_lines(run.notes or "")),
        ("artifacts", some_of([_file(one) for one in saved], _FILES)),
        *islice(((name, media_text(one)) for name, one in run.media.items()), _FILES),
        *(("reads", f"{one.name}  {input_text(store, one)}") for one in run.inputs[:_FILES]),
        ("read by", _some(store.readers_of(run.uid))),
        ("notebook", str(notebook or "")),
        ("command", "" if notebook else command_text(run)),
        ("commit", commit),
        ("parent", parent_text(store, run)),
        ("children", _some(store.children(run.uid))),
        ("repeats", repeats_text(store, run)),
        ("repeated by", _some(repeats_of(store, run))),
        ("files", str(store.folder_of(run.reference)) if run.full_store else ""),
        ("reproduce", run.reproduce),
        ("reference", run.reference),
    ):
        if text:
            yield label, text


def _file(one: Artifact) -> str:
    return f"{one.path} ({size_text(one.size_bytes)})"


def _some(runs: Sequence[Run]) -> str:
    named = zip(short_names(runs), runs, strict=True)
    return some_of([f"{name} {one.status_text}" for name, one in named])


def _first_lines(text: str) -> str:
    lines = text.strip().splitlines()
    hidden = len(lines) - _LINES
    return "\n".join(lines[:_LINES]) + (
        f"\n… {counted(hidden, 'more line')}; --full shows all" if hidden > 0 else ""
    )


def _traceback(run: Run) -> PagePart:
    lines = (run.traceback or "").rstrip().splitlines()
    hidden = len(lines) - _LINES
    if hidden <= 1:
        return PagePart("traceback", [("", line) for line in lines])
    # A whole frame comes first, not the marks below a line that is not shown.
    frames = [at for at, line in enumerate(lines) if line.startswith(_FRAME)]
    begin = next((at for at in frames if at >= hidden), hidden)
    # The last line of the user's own code has the cause, however deep a package failed.
    own = [at for at in frames if not any(place in lines[at] for place in _PACKAGES)]
    first = own[-1] if own and own[-1] < begin else begin
    end = min(next((at for at in frames if at > first), begin), begin, first + _FRAME_LINES)
    shown = [f"… {counted(first, 'line')} above; --full shows all", *lines[first:end]]
    shown += [f"  … {counted(begin - end, 'line')}"] if end < begin else []
    return PagePart("traceback", [("", line) for line in [*shown, *lines[begin:]]])


def _last_output(store: Store, run: Run) -> PagePart:
    """Return the end of the output of a failed program, which often has the reason."""
    lines: list[str] = []
    if run.status in _FAILED:
        with suppress(NotFoundError, StoreCorruptError):
            found = window_of(store.backend, run, start=-_LINES, count=_LINES)
            lines = [plain_text(one.line.text) for one in found.lines]
            if found.start:
                above = f"… {counted(found.start, 'line')} above; runstore output shows all"
                lines.insert(0, above)
    return PagePart("output", [("", line) for line in lines])


def _hidden(store: Store, run: Run) -> Iterator[str]:
    """Yield the parts that only `--full` shows."""
    if run.facts.values:
        yield "environment"
    if documents := store.documents(run.uid):
        yield ", ".join(documents)
    if edits := len(store.events(run.uid)):
        yield counted(edits, "edit")

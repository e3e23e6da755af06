"""runstore show: everything about one run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click

from runstore.cli import output
from runstore.cli.completions import complete_runs
from runstore.cli.context import open_store
from runstore.cli.options import json_option
from runstore.cli.sparkline import sparkline
from runstore.errors import NotFoundError, StoreError
from runstore.model.artifacts import Artifact, Input
from runstore.model.display.as_json import event_as_json
from runstore.model.display.formatting import local_time, size_text
from runstore.model.logged.media import MediaSeries, is_media
from runstore.model.results.events import Event, edit_text
from runstore.model.run import Run
from runstore.reading.grid.record import full_record
from runstore.reading.shown.facts import commit_text, head_of
from runstore.reading.shown.run import flattened
from runstore.store import Store

_LABEL_WIDTH = 24
_SPARK_WIDTH = 16
_TEXT_WIDTH = 60
_SPARK_STRETCHES = 50
_DRAWN = 50  # metrics; of more, only the numbers
_LEFT_OUT = (
    "command.", "git.commit", "git.branch", "git.dirty", "git.has_untracked", "untracked.",
)  # fmt: skip


@click.command(short_help="Show one run.")
@click.argument("run", default="latest", shell_complete=complete_runs)
@json_option
@click.option("--history", is_flag=True, help="Show the edits alone, each with its old value.")
@click.option(
    "--document",
    metavar="NAME",
    help="Print a captured text: patch, packages, untracked, modules, cells.",
)
@click.option("--patch", "document", flag_value="patch", help="The same as --document patch.")
@click.option(
    "--packages", "document", flag_value="packages", help="The same as --document packages."
)
def command(run: str, document: str | None, *, as_json: bool, history: bool) -> None:
    """Show everything about RUN; without it, about the newest.

    RUN is a reference, a unique beginning of one, mnist#7, mnist#-1 (the newest of mnist), a uid,
    or latest.
    """
    with open_store() as store:
        found = store.get(run)
        if document is not None:
            output.print_raw(_document(store, found, document))
        elif history:
            _print_history(store, found, as_json=as_json)
        elif as_json:
            output.print_json(full_record(store.backend, found))
        else:
            _print_sections(_sections(store, found))


def _document(store: Store, run: Run, name: str) -> str:
    text = store.document(run.uid, name)
    if text is None:
        known = ", ".join(store.documents(run.uid)) or "none"
        raise NotFoundError(f"{run.reference} has no document {name!r}.", hint=f"It has: {known}.")
    return text


def _print_history(store: Store, run: Run, *, as_json: bool) -> None:
    events = store.events(run.uid)
    if as_json:
        output.print_json([event_as_json(event) for event in events])
    elif events:
        _print_lines([(local_time(event.at), _edit(event)) for event in events])
    else:
        output.say(f"runstore: nobody edited {run.reference}.", err=True)


Section = tuple[str, list[tuple[str, str]]]


def _sections(store: Store, run: Run) -> Iterator[Section]:
    """Yield the title and the lines of each part; parts without lines are left out."""
    yield "", list(_head(store, run))
    for one in run.parameter_sets:
        place = f"{one.file}: " if one.file else ""
        title = f"parameters {place}{one.name}  {one.hash}"
        yield title, list(flattened(one.values)) or [("", "no values are known")]
    yield "metrics", list(_metrics(run))
    yield "media", [(name, _media(one)) for name, one in run.media.items()]
    saved = [one for one in run.artifacts.values() if not is_media(one.path)]
    yield "artifacts", [(one.path, _artifact(one)) for one in saved]
    yield "reads", [(one.name, _input(store, one)) for one in run.inputs]
    yield "read by", [(one.reference, one.status_text) for one in store.readers_of(run.uid)]
    yield "code", list(_code(store, run))
    yield (
        "environment",
        [
            (name, _fact(value))
            for name, value in sorted(run.facts.values.items())
            if not name.startswith(_LEFT_OUT)
        ],
    )
    yield "unknown", sorted(run.facts.unknown.items())
    yield (
        "runs inside",
        [(child.reference, child.status_text) for child in store.children(run.uid)],
    )
    yield "edits", [(local_time(event.at), _edit(event)) for event in store.events(run.uid)]
    if run.traceback:
        yield "traceback", [("", line) for line in run.traceback.rstrip().splitlines()]


def _head(store: Store, run: Run) -> Iterator[tuple[str, str]]:
    yield from head_of(run)
    for label, text in (
        ("parent", _parent(store, run)),
        ("files", str(store.folder_of(run.reference)) if run.full_store else None),
        ("reproduce", run.reproduce),
        ("uid", run.uid),
    ):
        if text:
            yield label, text


def _parent(store: Store, run: Run) -> str | None:
    if run.parent_uid is None:
        return None
    return store.name_of(run.parent_uid) or f"{run.parent_uid} (not in this store)"


def _code(store: Store, run: Run) -> Iterator[tuple[str, str]]:
    if text := commit_text(run):
        yield "commit", text
    for name in store.documents(run.uid):
        lines = (store.document(run.uid, name) or "").count("\n")
        shown = shlex.quote(run.reference)
        yield name, f"{lines} lines; print with: runstore show {shown} --document {name}"


def _fact(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _metrics(run: Run) -> Iterator[tuple[str, str]]:
    """Yield each metric: a small picture of its course on a terminal, and its summary."""
    draws = output.is_terminal()
    for count, (key, one) in enumerate(run.metrics.items()):
        numbers = (one.last, one.min, one.max, one.mean)
        last, low, high, mean = (f"{number:.6g}" for number in numbers)
        told = f"{last}  (min {low}, max {high}, mean {mean}; {one.count:,} points)"
        if draws and count < _DRAWN and one.count > 1:
            values = run.outline(one.key, one.set_name, stretches=_SPARK_STRETCHES).values
            told = f"{sparkline(values, _SPARK_WIDTH):{_SPARK_WIDTH}}  {told}"
        yield key, told


def _media(one: MediaSeries) -> str:
    steps = f"{len(one):,} steps, {one.steps[0]:,} to {one.steps[-1]:,}"
    if len(one) == 1:
        steps = f"step {one.steps[0]:,}"
    return steps if one.kind == "image" else f"{steps}; last: {_last_of(one)}"


def _last_of(one: MediaSeries) -> str:
    """Return the beginning of the last text, or a drawing of the last histogram."""
    try:
        last = one.read()
    except (NotFoundError, StoreError) as error:
        return str(error)
    if one.kind == "histogram":
        drawn = sparkline(last.counts, _SPARK_WIDTH)
        return f"{drawn} {last.edges[0]:.6g} to {last.edges[-1]:.6g}"
    text = " ".join(last.split())
    return text if len(text) <= _TEXT_WIDTH else text[: _TEXT_WIDTH - 1] + "…"


def _artifact(one: Artifact) -> str:
    return f"{size_text(one.size_bytes)}  {one.media_type}  {one.digest[:12]}"


def _input(store: Store, one: Input) -> str:
    size = "" if one.size_bytes is None else size_text(one.size_bytes)
    digest = "" if one.digest is None else one.digest[:12]
    told = "  ".join(part for part in (size, digest) if part)
    if one.source_uid is None:
        return told or "no digest"
    source = store.name_of(one.source_uid) or f"{one.source_uid} (not in this store)"
    return f"{told}  saved by {source}"


def _edit(event: Event) -> str:
    told = f"{event.author}: {edit_text(event.field, event.old, event.new)}"
    return f"{told} (undo)" if event.undoes else told


def _print_sections(sections: Iterator[Section]) -> None:
    """Print label and text side by side; on a terminal long texts go on below themselves."""
    is_first = True
    for title, lines in sections:
        if not lines:
            continue
        if not is_first:
            output.say()
        is_first = False
        if title:
            _print_title(title)
        _print_lines(lines)


def _print_title(title: str) -> None:
    safe = output.terminal_safe(title)
    if not output.is_terminal():
        output.say(safe)
        return
    from rich.text import Text

    output.console().print(Text(safe, style="bold"))


def _print_lines(lines: list[tuple[str, str]]) -> None:
    width = min(_LABEL_WIDTH, max(len(label) for label, _ in lines))
    # Lines without labels stay whole: a terminal wraps them such that they can be copied.
    if not width or not output.is_terminal():
        for label, text in lines:
            shown = output.terminal_safe(text, keep_lines=True).replace(
                "\n", "\n" + " " * (width + 4)
            )
            said = f"  {output.terminal_safe(label):{width}}  {shown}"
            output.say(said.rstrip(), keep_lines=True)
        return
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    drawn = output.console()
    table.add_column(width=min(width, drawn.width // 2), overflow="fold", style="dim")
    table.add_column(overflow="fold", ratio=1)
    for label, text in lines:
        style = output.STATUS_STYLES.get(text, "") if label == "status" else ""
        table.add_row(
            Text(output.terminal_safe(label)),
            Text(output.terminal_safe(text, keep_lines=True), style=style),
        )
    drawn.print(Padding(table, (0, 0, 0, 2)))

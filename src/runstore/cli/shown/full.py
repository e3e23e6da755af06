"""All recorded facts about a run, in sections."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress

from runstore.cli import output
from runstore.cli.context import for_this_store
from runstore.cli.shown.layout import PagePart
from runstore.cli.sparkline import sparkline
from runstore.errors import NotFoundError, StoreCorruptError, StoreError
from runstore.model.artifacts import Artifact, Input
from runstore.model.code.documents import (
    IMPORTED_MODULES,
    LATE_MODULES,
    MODULES,
    NEW_FILES,
    entries_of,
)
from runstore.model.display.formatting import (
    brief_number,
    counted,
    cropped,
    local_time,
    size_text,
)
from runstore.model.facts import REPEATS
from runstore.model.logged.media import MediaSeries, is_media
from runstore.model.metrics import MetricSummary
from runstore.model.results.events import Event, edit_text
from runstore.model.run import Run
from runstore.reading.shown.facts import commit_text, head_of, is_sample
from runstore.reading.shown.run import flattened
from runstore.store import Store

_DIGITS = 6
_SPARK_WIDTH = 16
_TEXT_WIDTH = 60
_SPARK_STRETCHES = 50
_REPEATS = 20
_DRAWN = 50  # maximum number of metrics with sparklines
# Documents of entries, and what these are.
_ENTRIES = {NEW_FILES: "file"} | dict.fromkeys((MODULES, LATE_MODULES, IMPORTED_MODULES), "module")
_LEFT_OUT = (
    "command.", "git.commit", "git.branch", "git.dirty", "git.has_untracked", "untracked.",
    "patch.", "rerun.", "exec.",
)  # fmt: skip


def full_sections(store: Store, run: Run, *, is_brief: bool = False) -> Iterator[PagePart]:
    """Yield the parts of a run.

    Args:
        store: The store of the run.
        run: The run.
        is_brief: Whether environment, samples of the machine, unknown facts and edits are left
            out.
    """
    yield PagePart("", list(_head(store, run)))
    for one in run.parameter_sets:
        place = f"{one.file}: " if one.file else ""
        title = f"parameters {place}{one.name}  {one.hash}"
        yield PagePart(title, list(flattened(one.values)) or [("", "no values are known")])
    yield PagePart("metrics", list(_metrics(run, has_samples=not is_brief)))
    yield PagePart("media", [(name, media_text(one)) for name, one in run.media.items()])
    saved = [one for one in run.artifacts.values() if not is_media(one.path)]
    yield PagePart("artifacts", [(one.path, _artifact(one)) for one in saved])
    yield PagePart("reads", [(one.name, input_text(store, one)) for one in run.inputs])
    readers = store.readers_of(run.uid)
    yield PagePart("read by", [(one.reference, one.status_text) for one in readers])
    yield PagePart("code", list(_code(store, run)))
    children = store.children(run.uid)
    yield PagePart("children", [(child.reference, child.status_text) for child in children])
    repeats = repeats_of(store, run)
    yield PagePart("repeated by", [(one.reference, one.status_text) for one in repeats])
    if not is_brief:
        yield from _surroundings(store, run)
    if run.traceback:
        lines = run.traceback.rstrip().splitlines()
        yield PagePart("traceback", [("", line) for line in lines])


def _surroundings(store: Store, run: Run) -> Iterator[PagePart]:
    facts = [
        (name, _fact(value))
        for name, value in sorted(run.facts.values.items())
        if not name.startswith(_LEFT_OUT)
    ]
    yield PagePart("environment", facts)
    yield PagePart("unknown", sorted(run.facts.unknown.items()))
    edits = [(local_time(event.at), edit_line(event)) for event in store.events(run.uid)]
    yield PagePart("edits", edits)


def _head(store: Store, run: Run) -> Iterator[tuple[str, str]]:
    yield from head_of(run)
    for label, text in (
        ("parent", parent_text(store, run)),
        ("repeats", repeats_text(store, run)),
        ("files", str(store.folder_of(run.reference)) if run.full_store else None),
        ("reproduce", run.reproduce),
        ("uid", run.uid),
    ):
        if text:
            yield label, text


def parent_text(store: Store, run: Run) -> str | None:
    """Return the name of the run that started this one."""
    if run.parent_uid is None:
        return None
    return store.name_of(run.parent_uid) or f"{run.parent_uid} (not in this store)"


def repeats_text(store: Store, run: Run) -> str | None:
    """Return the name of the run that this one repeats; see `runstore rerun`."""
    uid = run.facts.values.get(REPEATS)
    return None if uid is None else store.name_of(str(uid)) or f"{uid} (not in this store)"


def repeats_of(store: Store, run: Run) -> Sequence[Run]:
    """Return the newest runs that repeat this one; none if facts of any run are damaged."""
    with suppress(StoreCorruptError):
        return tuple(store.find(f"facts.{REPEATS} = '{run.uid}'", limit=_REPEATS))
    return ()


def _code(store: Store, run: Run) -> Iterator[tuple[str, str]]:
    if text := commit_text(run):
        yield "commit", text
    for name in store.documents(run.uid):
        shown = shlex.quote(run.reference)
        whole = for_this_store(f": runstore show {shown} --document {name}")
        yield name, f"{_length(name, store.document(run.uid, name) or '', run.reference)}{whole}"


def _length(name: str, text: str, reference: str) -> str:
    """Return the length of a document: its entries if it has some, otherwise its lines."""
    # Those of a resumed run have names such as `resumed.1.untracked`.
    kind = next((one for one in _ENTRIES if f".{name}".endswith(f".{one}")), None)
    if kind is None:
        return counted(text.count("\n") + (text[-1:] not in {"", "\n"}), "line")
    try:
        return counted(len(entries_of(kind, text, reference)), _ENTRIES[kind])
    except StoreCorruptError:
        return "damaged"


def _fact(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def metric_text(one: MetricSummary) -> str:
    """Return the summary of a metric in one line."""
    numbers = (one.last, one.min, one.max, one.mean)
    last, low, high, mean = (brief_number(number, _DIGITS) for number in numbers)
    points = counted(one.count, "point")
    if one.count == 1:
        return f"{last}  ({points})"
    return f"{last}  (min {low}, max {high}, mean {mean}; {points})"


def _metrics(run: Run, *, has_samples: bool) -> Iterator[tuple[str, str]]:
    """Yield each metric: its summary, with a sparkline on a terminal."""
    draws = output.is_terminal()
    shown = {key: one for key, one in run.metrics.items() if has_samples or not is_sample(key)}
    for count, (key, one) in enumerate((shown or run.metrics).items()):
        text = metric_text(one)
        if draws and count < _DRAWN and one.count > 1:
            values = run.outline(one.key, one.set_name, stretches=_SPARK_STRETCHES).values
            text = f"{sparkline(values, _SPARK_WIDTH):{_SPARK_WIDTH}}  {text}"
        yield key, text


def media_text(one: MediaSeries) -> str:
    """Return the steps of media, and the last text or histogram."""
    steps = f"{len(one):,} steps, {one.steps[0]:,} to {one.steps[-1]:,}"
    if len(one) == 1:
        steps = f"step {one.steps[0]:,}"
    return steps if one.kind == "image" else f"{steps}; last: {_last_of(one)}"


def _last_of(one: MediaSeries) -> str:
    """Return the beginning of the last text, or bars of the last histogram."""
    try:
        last = one.read()
    except (NotFoundError, StoreError) as error:
        return str(error)
    if one.kind == "histogram":
        drawn = sparkline(last.counts, _SPARK_WIDTH)
        return f"{drawn} {last.edges[0]:.6g} to {last.edges[-1]:.6g}"
    return cropped(" ".join(last.split()), _TEXT_WIDTH)


def _artifact(one: Artifact) -> str:
    return f"{size_text(one.size_bytes)}  {one.media_type}  {one.digest[:12]}"


def input_text(store: Store, one: Input) -> str:
    """Return the size and the digest of an input, and the run that saved it."""
    size = "" if one.size_bytes is None else size_text(one.size_bytes)
    digest = "" if one.digest is None else one.digest[:12]
    shown = "  ".join(part for part in (size, digest) if part)
    if one.source_uid is None:
        return shown or "no digest"
    source = store.name_of(one.source_uid) or f"{one.source_uid} (not in this store)"
    return f"{shown}  saved by {source}"


def edit_line(event: Event) -> str:
    """Return an edit: its author, the field, and both values."""
    text = f"{event.author}: {edit_text(event.field, event.old, event.new)}"
    return f"{text} (undo)" if event.undoes else text

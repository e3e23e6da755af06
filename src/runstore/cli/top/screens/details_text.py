"""The details of a run as sections of labels and texts; made for a thread."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from rich.text import Text

from runstore.cli.commands.output import shown_text
from runstore.cli.output import STATUS_STYLES, terminal_safe
from runstore.cli.top.texts import curve, parameter_texts
from runstore.errors import NotFoundError, StoreCorruptError
from runstore.model.artifacts import Artifact
from runstore.model.display.formatting import brief_number, counted, cropped, size_text, tags_text
from runstore.model.run import Run, start_text
from runstore.model.text.output import OutputLine
from runstore.reading.following import Follower
from runstore.reading.shown.facts import commit_text, lifetime_text
from runstore.store import Store
from runstore.value_classes import dataclass, field

_CURVE_WIDTH = 16
_CURVE_STRETCHES = 50
_DRAWN = 50  # metrics; of more, only the numbers
_SHOWN = 500  # entries of a section
_LINES_SHOWN = 30
_TRACEBACK_LINES = 20
_LONGEST = 2000  # characters of one text


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the details."""

    title: str
    lines: tuple[tuple[str, Text], ...] = field(default=())


class Details:
    """Reads the details of one run repeatedly; one thread at a time."""

    def __init__(self, uid: str) -> None:
        self._uid = uid
        self._printed = _Printed(uid)

    def read(self, store: Store, search: str = "") -> tuple[Run, tuple[Section, ...]]:
        """Return the run and its sections without the empty sections.

        Args:
            store: The store.
            search: A text that each line contains, ignoring case; empty for all lines. The whole
                output is searched.

        Raises:
            RunNotFoundError: It was deleted.
            StoreError: The store cannot be read now.
        """
        run = store.get(self._uid)
        found = tuple(_sections(run))
        if search:
            found = tuple(_matching(one, search) for one in found)
            printed = Section(f"output with {search!r}", _printed_with(run, search))
        else:
            printed = Section("last lines of output", self._printed.lines(store, run))
        shown = tuple(one for one in (*found, printed) if one.lines)
        nothing = Section(f"no line contains {search!r}", (("", Text()),))
        return run, shown or (nothing,)

    def close(self) -> None:
        """Close the files that are followed."""
        self._printed.close()


class _Printed:
    """The last lines that a run printed, followed while it is running."""

    def __init__(self, uid: str) -> None:
        self._uid = uid
        self._last: deque[OutputLine] = deque(maxlen=_LINES_SHOWN)
        self._open: OutputLine | None = None
        self._follower: Follower | None = None
        self._store: Store | None = None
        self._has_ended = False

    def lines(self, store: Store, run: Run) -> tuple[tuple[str, Text], ...]:
        """Return the lines; the last one may be incomplete."""
        try:
            self._read(store, run)
        except (NotFoundError, StoreCorruptError) as error:
            return (("", _text(str(error))),)
        whole = [*self._last, *([self._open] if self._open else [])]
        return tuple(("", Text.from_ansi(shown_text(line.text[:_LONGEST]))) for line in whole)

    def _read(self, store: Store, run: Run) -> None:
        if self._has_ended and run.status.is_final:
            return
        if self._follower is None and run.status.is_final:
            self._last.clear()
            self._last.extend(run.output)
            self._has_ended = True
            return
        if self._follower is None or self._store is not store:
            self.close()
            self._last.clear()
            self._follower, self._store = Follower(store.backend, self._uid), store
        whole, self._open, self._has_ended = self._follower.poll()
        self._last.extend(whole)

    def close(self) -> None:
        """Close the files."""
        if self._follower is not None:
            self._follower.close()
            self._follower = None


def _matching(section: Section, search: str) -> Section:
    """Return the lines of a section that contain a text."""
    wanted = search.casefold()
    lines = []
    for label, text in section.lines:
        if wanted in f"{label} {text.plain}".casefold():
            shown = text.copy()
            _highlight(shown, search)
            lines.append((label, shown))
    return Section(section.title, tuple(lines))


def _printed_with(run: Run, search: str) -> tuple[tuple[str, Text], ...]:
    """Return the last lines of the output that contain a text, with their numbers."""
    wanted = search.casefold()
    found: deque[tuple[str, Text]] = deque(maxlen=_SHOWN)
    try:
        for number, line in enumerate(run.output, start=1):
            if wanted in line.text.casefold():
                text = Text.from_ansi(shown_text(line.text[:_LONGEST]))
                _highlight(text, search)
                found.append((f"{number:,}", text))
    except (NotFoundError, StoreCorruptError) as error:
        return (*found, ("", _text(str(error))))
    return tuple(found)


def _highlight(text: Text, search: str) -> None:
    text.highlight_regex(re.compile(re.escape(search), re.IGNORECASE), "reverse")


def _text(text: str, style: str = "") -> Text:
    return Text(terminal_safe(cropped(text, _LONGEST), keep_lines=True).expandtabs(4), style=style)


def _sections(run: Run) -> Iterator[Section]:
    yield Section("", tuple(_head(run)))
    for one in run.parameter_sets:
        place = f"{one.file}: " if one.file else ""
        values = parameter_texts([one]).items()
        lines = _some((key, _text(text)) for key, text in values)
        yield Section(
            f"parameters {place}{one.name}", lines or (("", _text("no values are known")),)
        )
    yield Section("metrics", _some(_metrics(run)))
    yield Section(
        "artifacts", _some((path, _artifact(one)) for path, one in run.artifacts.items())
    )
    if run.traceback:
        last = run.traceback.rstrip().splitlines()[-_TRACEBACK_LINES:]
        yield Section("end of the traceback", tuple(("", _text(line)) for line in last))


def _some(lines: Iterator[tuple[str, Text]]) -> tuple[tuple[str, Text], ...]:
    found = list(lines)
    more = len(found) - _SHOWN
    return tuple(found if more <= 0 else [*found[:_SHOWN], ("", Text(f"and {more:,} more"))])


def _head(run: Run) -> Iterator[tuple[str, Text]]:
    yield "run", _text(run.reference)
    yield "status", _text(run.status_text, STATUS_STYLES.get(run.status_text, ""))
    yield "started", _text(start_text(run))
    if told := lifetime_text(run):
        yield "took" if run.status.is_final else "so far", _text(told)
    for label, text in (
        ("exit code", None if run.exit_code is None else str(run.exit_code)),
        ("error", run.error),
        ("tags", tags_text(run.tags)),
        ("notes", run.notes),
        ("commit", commit_text(run)),
        ("command", run.cli),
        ("host", run.hostname),
        ("uid", run.uid),
    ):
        if text:
            yield label, _text(text, "bold red" if label == "error" else "")


def _metrics(run: Run) -> Iterator[tuple[str, Text]]:
    for place, (key, one) in enumerate(run.metrics.items()):
        shown = Text()
        if place < _DRAWN and one.count > 1:
            values = run.outline(one.key, one.set_name, stretches=_CURVE_STRETCHES).values
            shown.append(f"{curve(values, _CURVE_WIDTH):{_CURVE_WIDTH}}  ", style="cyan")
        last, low, high = (brief_number(number) for number in (one.last, one.min, one.max))
        shown.append(f"{last}  (min {low}, max {high}; {counted(one.count, 'point')})")
        yield key, shown


def _artifact(one: Artifact) -> Text:
    return _text(f"{size_text(one.size_bytes)}  {one.media_type}")

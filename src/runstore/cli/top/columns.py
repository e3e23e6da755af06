"""The columns of the table: what stands in them, and which of them a terminal has room for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from runstore.cli.output import STATUS_STYLES
from runstore.cli.top.interest import telling_parameters
from runstore.cli.top.order import METRIC, STARTED, STATUS, TOOK
from runstore.cli.top.reading import CURVE_WIDTH, Row, Snapshot
from runstore.cli.top.texts import clean, fitted, number_text, started_text
from runstore.model.display.formatting import tags_text
from runstore.model.display.short_names import short_names
from runstore.reading.shown.facts import lifetime_text

MARK = "mark"
_GAP = 2
_WIDEST = 60
_PARAMETERS_SHOWN = 40
_METRIC_RANKS = (4, 7, 9, 11)
_KEY_WIDTH = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class TopColumn:
    """One column.

    Attributes:
        name: What it is called inside, and what runs are sorted by.
        header: What stands above it.
        cells: Its text for each run, by uid.
        narrowest: Columns of the terminal that it needs at least.
        rank: Who gets room first, from 0; who gets none is left out.
        natural: Columns of the terminal that show all of it.
        keeps_end: Whether a text that is too long keeps its end.
        short: Columns of a text that are shown where there is no room for all of them; None where
            a text may be cut anywhere.
    """

    name: str
    header: str
    cells: Mapping[str, Text]
    narrowest: int
    rank: int
    natural: int
    keeps_end: bool = False
    short: int | None = None

    def cell(self, uid: str, width: int) -> Text:
        """Return the text of a run, of exactly this many columns."""
        text = self.cells[uid]
        if self.short is not None:
            shown = text.copy() if width >= self.natural else text[: self.short]
            shown.truncate(width, overflow="crop", pad=True)
            return shown
        return Text(fitted(text.plain, width, keeps_end=self.keeps_end), style=text.style)


def widths_of(columns: Sequence[TopColumn], room: int) -> dict[int, int]:
    """Return the width of each column that there is room for, by its place."""
    ranked = sorted(range(len(columns)), key=lambda place: columns[place].rank)
    widths: dict[int, int] = {}
    for place in ranked:
        needed = min(columns[place].natural, columns[place].narrowest)
        gap = _GAP if widths else 0
        if widths and gap + needed > room:
            break
        widths[place] = min(needed, room)
        room -= gap + widths[place]
    wanted = {place: columns[place].natural - widths[place] for place in ranked[: len(widths)]}
    for place, more in wanted.items():
        if columns[place].short is not None and more <= room:
            widths[place] += more
            room -= more
    # What is left is shared; who needs little leaves more to the others.
    others = sorted((at for at in wanted if columns[at].short is None), key=wanted.__getitem__)
    for served, place in enumerate(others):
        more = max(0, min(wanted[place], room // (len(others) - served)))
        widths[place] += more
        room -= more
    return dict(sorted(widths.items()))


def line_of(parts: Sequence[Text]) -> Text:
    """Return the cells of a line side by side."""
    return Text(" " * _GAP, end="", no_wrap=True).join(parts)


def columns_of(snapshot: Snapshot) -> tuple[TopColumn, ...]:
    """Return every column that has something to show, in their order on the screen."""
    rows = snapshot.rows
    marks = {row.run.uid: Text("") for row in rows}
    fixed = (
        TopColumn(name=MARK, header="", cells=marks, narrowest=1, rank=0, natural=1),
        *_about_runs(snapshot),
        *(_metric(rows, key, rank) for key, rank in _ranked(snapshot.metric_keys)),
        *_about_contents(rows),
    )
    return tuple(fixed)


def _ranked(keys: Sequence[str]) -> Iterator[tuple[str, int]]:
    return zip(keys, _METRIC_RANKS, strict=False)


def _about_runs(snapshot: Snapshot) -> Iterator[TopColumn]:
    rows, now = snapshot.rows, snapshot.at
    names = short_names([row.run for row in rows])
    runs = {row.run.uid: Text(clean(name)) for row, name in zip(rows, names, strict=True)}
    yield _column("run", "run", runs, narrowest=14, rank=1, keeps_end=True)
    yield _column(STATUS, "status", {row.run.uid: _status(row) for row in rows}, 11, rank=2)
    began = {row.run.uid: Text(started_text(row.run.started_at, now)) for row in rows}
    yield _column(STARTED, "started", began, narrowest=11, rank=6)
    took = {row.run.uid: Text(lifetime_text(row.run, now)) for row in rows}
    yield _column(TOOK, "took", took, narrowest=9, rank=3)


def _status(row: Row) -> Text:
    word = row.run.status_text
    return Text(word, style=STATUS_STYLES.get(word, ""))


def _metric(rows: Sequence[Row], key: str, rank: int) -> TopColumn:
    """Return the last values of a metric, and beside them the small pictures of their course."""
    lasts = {row.run.uid: number_text(row.metrics[key].last) for row in rows if key in row.metrics}
    values = max(map(len, lasts.values()), default=0)
    header = clean(key)
    narrow = max(values, min(cell_len(header) + 1, _KEY_WIDTH - CURVE_WIDTH))
    cells = {}
    for row in rows:
        last = lasts.get(row.run.uid, "")
        cell = Text(last.rjust(values))
        cell.append(" " + row.curves.get(key, ""), style="cyan")
        cells[row.run.uid] = cell
    return TopColumn(
        name=f"{METRIC}{key}",
        header=header,
        cells=cells,
        narrowest=narrow,
        rank=rank,
        natural=max(narrow, values + 1 + CURVE_WIDTH),
        short=values,
    )


def _about_contents(rows: Sequence[Row]) -> Iterator[TopColumn]:
    """Yield the columns that are left out where no run has anything in them."""
    telling = telling_parameters([(row.run.experiment_name, row.parameters) for row in rows])
    parameters = {
        row.run.uid: Text(_parameters(row, telling[row.run.experiment_name])) for row in rows
    }
    tags = {row.run.uid: Text(clean(tags_text(row.run.tags))) for row in rows}
    notes = {row.run.uid: Text(clean(row.run.notes or "")) for row in rows}
    for name, cells, narrowest, rank in (
        ("parameters", parameters, 16, 5),
        ("tags", tags, 10, 8),
        ("notes", notes, 10, 10),
    ):
        if any(cell.plain for cell in cells.values()):
            yield _column(name, name, cells, narrowest, rank=rank)


def _parameters(row: Row, keys: Sequence[str]) -> str:
    shown = [key for key in keys if key in row.parameters][:_PARAMETERS_SHOWN]
    return clean(" ".join(f"{key}={row.parameters[key]}" for key in shown))


def _column(
    name: str,
    header: str,
    cells: Mapping[str, Text],
    narrowest: int,
    *,
    rank: int,
    keeps_end: bool = False,
) -> TopColumn:
    natural = max([cell_len(header) + 1, *(cell_len(cell.plain) for cell in cells.values())])
    return TopColumn(
        name=name,
        header=header,
        cells=cells,
        narrowest=narrowest,
        rank=rank,
        natural=min(natural, _WIDEST),
        keeps_end=keeps_end,
    )

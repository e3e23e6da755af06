"""The columns of the table, and their widths in a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.text import Text

from runstore.cli.output import STATUS_STYLES
from runstore.cli.top.data.families import PlacedRow
from runstore.cli.top.data.interest import telling_parameters
from runstore.cli.top.data.order import METRIC, STARTED, STATUS, TOOK, names_in, text_of
from runstore.cli.top.data.reading import CURVE_WIDTH, Row, Snapshot
from runstore.cli.top.texts import clean, fitted, started_text
from runstore.model.display.formatting import brief_number, tags_text
from runstore.model.display.short_names import short_names
from runstore.model.run import start_text
from runstore.reading.shown.facts import lifetime_text
from runstore.value_classes import dataclass, replace

MARK = "mark"
_GAP = 2
_WIDEST = 60
_PARAMETERS_SHOWN = 40
_METRIC_RANKS = (4, 7, 9, 11)
_CHOSEN_RANK = 3
# Columns that can be chosen beside metrics, parameters and facts.
OTHERS = (STATUS, STARTED, TOOK, "parameters", "tags", "notes")
_KEY_WIDTH = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class TopColumn:
    """One column.

    Attributes:
        name: Its name, also as a sort key.
        header: Its heading.
        cells: Its text for each run, by uid.
        narrowest: Its smallest width.
        rank: Its place in the queue for room, from 0; columns without room are left out.
        natural: The width that shows all of it.
        keeps_end: Whether a text that is too long keeps its end.
        short: The width to which a text is cut if there is no room for all of it; None if it can
            be cut anywhere.
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
        """Return the text of a run, exactly this wide."""
        text = self.cells[uid]
        if self.short is not None:
            shown = text.copy() if width >= self.natural else text[: self.short]
            shown.truncate(width, overflow="crop", pad=True)
            return shown
        return Text(fitted(text.plain, width, keeps_end=self.keeps_end), style=text.style)


def widths_of(columns: Sequence[TopColumn], room: int) -> dict[int, int]:
    """Return the width of each column that has room, by its place."""
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
    # The rest is shared; columns that need little leave more to the others.
    others = sorted((at for at in wanted if columns[at].short is None), key=wanted.__getitem__)
    for served, place in enumerate(others):
        more = max(0, min(wanted[place], room // (len(others) - served)))
        widths[place] += more
        room -= more
    return dict(sorted(widths.items()))


def line_of(parts: Sequence[Text]) -> Text:
    """Return the cells of a line side by side."""
    return Text(" " * _GAP, end="", no_wrap=True).join(parts)


def columns_of(
    snapshot: Snapshot, placed: Sequence[PlacedRow], chosen: Collection[str] | None, by: str
) -> tuple[TopColumn, ...]:
    """Return the columns in their order on the screen."""
    rows = snapshot.rows
    marks = {row.run.uid: Text("") for row in rows}
    mark = TopColumn(name=MARK, header="", cells=marks, narrowest=1, rank=0, natural=1)
    names = names_in(rows)
    if chosen is None:
        keys = [f"{METRIC}{key}" for key in snapshot.metric_keys]
        ranks = dict(zip(keys, _METRIC_RANKS, strict=False))
        ends = _about_contents(rows)
    else:
        ranks = {name: _CHOSEN_RANK for name in names if name in chosen}
        ends = (replace(one, rank=_CHOSEN_RANK) for one in _about_contents(rows))
    if by in names:
        ranks.setdefault(by, _CHOSEN_RANK)
    every = (
        mark,
        _names(placed),
        *_about_runs(snapshot),
        *(_named(rows, name, rank) for name, rank in ranks.items()),
        *ends,
    )
    if chosen is None:
        return every
    shown = {MARK, "run", *ranks, *chosen}
    return tuple(one for one in every if one.name in shown)


def _names(placed: Sequence[PlacedRow]) -> TopColumn:
    """Return the names of runs, with children indented."""
    names = short_names([one.row.run for one in placed])
    cells = {
        one.uid: Text(
            f"{'  ' * (one.depth - 1)}└ " * bool(one.depth)
            + clean(name)
            + f" +{one.folded}" * bool(one.folded)
        )
        for one, name in zip(placed, names, strict=True)
    }
    return _column("run", "run", cells, narrowest=14, rank=1, keeps_end=True)


def _about_runs(snapshot: Snapshot) -> Iterator[TopColumn]:
    rows, now = snapshot.rows, snapshot.at
    yield _column(STATUS, "status", {row.run.uid: _status(row) for row in rows}, 11, rank=2)
    began = {
        row.run.uid: Text(start_text(row.run, lambda at: started_text(at, now))) for row in rows
    }
    yield _column(STARTED, "started", began, narrowest=11, rank=6)
    took = {row.run.uid: Text(lifetime_text(row.run, now)) for row in rows}
    yield _column(TOOK, "took", took, narrowest=9, rank=3)


def _named(rows: Sequence[Row], name: str, rank: int) -> TopColumn:
    """Return the column of a metric, a parameter or a fact."""
    if name.startswith(METRIC):
        return _metric(rows, name.removeprefix(METRIC), rank)
    cells = {row.run.uid: Text(clean(text_of(row, name) or "")) for row in rows}
    return _column(name, clean(name.partition(".")[2]), cells, narrowest=8, rank=rank)


def _status(row: Row) -> Text:
    word = row.run.status_text
    return Text(word, style=STATUS_STYLES.get(word, ""))


def _metric(rows: Sequence[Row], key: str, rank: int) -> TopColumn:
    """Return the last values of a metric, each with a sparkline."""
    lasts = {
        row.run.uid: brief_number(row.metrics[key].last) for row in rows if key in row.metrics
    }
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
    """Yield the columns that are left out if they are empty."""
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

"""Draw the rooms of the package and three ways through them: python docs/pictures/draw_rooms.py.

The floors are those of the guard test, so the picture cannot show others.
"""

import sys
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent.parent / "tests")]

from tests.guards.test_layering import FLOORS, PLANNED  # noqa: E402 - needs the path above

WIDTH, ROW, TOP, LEFT = 1000, 46, 64, 16
ROOMS_WIDTH = 560
LANES = {
    "a run": (
        ("start", "start_run: which store, which settings"),
        ("store", "opened once in a process"),
        ("recording", "checks; was the same run before?"),
        ("capture", "git, command, host: quick facts"),
        ("storage", "one transaction: number, row, params"),
        ("recording", "ActiveRun; the rest is captured later"),
    ),
    "a point": (
        ("recording", "run.log: one record in a mapped file"),
        ("storage", "each second: the file synced, chunks"),
        ("inflight", "after a crash: the next reader"),
        ("reading", "run.metric: chunks and file as one"),
    ),
    "a filter": (
        ("cli", "runstore ls 'params.lr > 0.1'"),
        ("store", "Store.find"),
        ("model", "text to a typed tree"),
        ("reading", "what must be up to date first"),
        ("storage", "tree to SQL, newest first, one page"),
    ),
}
COLOURS = ("#0b6e99", "#b4540a", "#3f7d20")


def shown_floors():
    """Return the floors with the rooms that exist, from top to bottom."""
    floors = [sorted(floor - PLANNED - {"root"}) for floor in FLOORS]
    return [floor for floor in floors if floor]


def boxes(floors):
    """Yield the rooms, one row for each floor."""
    for row, floor in enumerate(floors):
        width = (ROOMS_WIDTH - 8 * (len(floor) - 1)) / len(floor)
        for place, room in enumerate(floor):
            x, y = LEFT + place * (width + 8), TOP + row * ROW
            yield (
                f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{ROW - 10}" rx="5"'
                ' fill="#f4f4f1" stroke="#8a8a80"/>'
                f'<text x="{x + width / 2:.0f}" y="{y + 23}" text-anchor="middle">{room}</text>'
            )


def lanes(floors):
    """Yield the three ways: a line down, a dot and a number at each room that takes part."""
    rows = {room: row for row, floor in enumerate(floors) for room in floor}
    for lane, ((name, steps), colour) in enumerate(zip(LANES.items(), COLOURS, strict=True)):
        x = LEFT + ROOMS_WIDTH + 60 + lane * 140
        places = [TOP + rows[room] * ROW + 18 for room, _ in steps]
        yield f'<text x="{x}" y="40" text-anchor="middle" fill="{colour}">{name}</text>'
        yield (
            f'<line x1="{x}" y1="{min(places)}" x2="{x}" y2="{max(places)}"'
            f' stroke="{colour}" stroke-width="2"/>'
        )
        for number, ((room, _), y) in enumerate(zip(steps, places, strict=True), 1):
            # Two steps on one floor stand side by side.
            there = x + 26 * places[: number - 1].count(y)
            yield (
                f'<circle cx="{there}" cy="{y}" r="11" fill="{colour}"/>'
                f'<text x="{there}" y="{y + 5}" text-anchor="middle" fill="white">{number}</text>'
                f"<title>{escape(room)}</title>"
            )


def keys(floors):
    """Yield what happens at each number, below the rooms."""
    y = TOP + len(floors) * ROW + 24
    for (name, steps), colour in zip(LANES.items(), COLOURS, strict=True):
        yield f'<text x="{LEFT}" y="{y}" fill="{colour}" font-weight="bold">{name}</text>'
        for number, (room, step) in enumerate(steps, 1):
            y += 20
            yield (
                f'<text x="{LEFT + 12}" y="{y}"><tspan fill="{colour}">{number}</tspan>'
                f"  {escape(room)}: {escape(step)}</text>"
            )
        y += 30


def picture():
    """Return the picture."""
    floors = shown_floors()
    steps = sum(map(len, LANES.values()))
    height = TOP + len(floors) * ROW + 24 + steps * 20 + len(LANES) * 30
    parts = "\n".join((*boxes(floors), *lanes(floors), *keys(floors)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="ui-sans-serif, system-ui, sans-serif" font-size="15">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n'
        f'<text x="{LEFT}" y="40" font-weight="bold">Imports go down only</text>\n'
        f"{parts}\n</svg>\n"
    )


if __name__ == "__main__":
    (HERE / "rooms.svg").write_text(picture(), encoding="utf-8")

"""runstore top: runs on a full screen, read again and again."""

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from functools import partial

import pytest
from textual import events
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Input

import command_server
from commands import messages, python, runstore
from places import store_at
from runstore import Store
from runstore.cli.top.app import TopApp
from runstore.cli.top.data.reading import Reader
from runstore.cli.top.dialogs.filter_line import FilterLine
from runstore.cli.top.table.view import RunsView
from runstore.cli.top.texts import NOTHING
from runstore.lasting import LastingStore
from top_screen import PATIENCE_S, answer, header, names, record, rows, screen, shown, until

NAMES = {"/": "slash"}  # of keys, as Textual calls them
# A run whose process is gone without a word.
KILLED = """
import os, sys, runstore
runstore.Store.open(sys.argv[1]).start("killed", capture=False)
os._exit(1)
"""
# A run that prints what it is told.
ECHO = """
import sys, runstore
with runstore.Store.open(sys.argv[1]).start("fit", capture=False) as run:
    run.keep_output()
    for line in sys.stdin:
        print(line, end="", flush=True)
"""
HOSTILE = "[red]a[/red] [@click=app.quit]b[/] \x1b[2J\x07 \u202ec\tд 字"
HOSTILE_NAME = "[red]a[/red] [@click=app.quit]b[/] 字"


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    with store_at(tmp_path / ".runstore") as opened:
        yield opened


# The table


def test_running_runs_stand_on_top_and_then_the_newest(store):
    async def look():
        async with shown(store) as (app, _):
            assert names(app) == ["old#1", "fit#2", "fit#1"]
            assert "running" in rows(app)[0]
            assert "complete" in rows(app)[1]

    with store.start("old", capture=False):
        record(store)
        record(store)
        asyncio.run(look())


def test_a_run_shows_what_is_known_of_it(store):
    async def look():
        async with shown(store, size=(160, 40)) as (app, _):
            told = rows(app)[0]
            for part in ("fit#2", "complete", "0.25", "█▁", "lr=0.2", "keep", "second try"):
                assert part in told
            assert "layers" not in told  # both runs have as many

    record(store, params={"lr": 0.1, "layers": 2})
    run = record(store, params={"lr": 0.2, "layers": 2}, loss=(1.0, 0.25), notes="second try")
    store.tag(run.reference, {"keep": ""})
    asyncio.run(look())


def test_metrics_that_say_nothing_have_no_column(store):
    async def look():
        async with shown(store, size=(200, 40)) as (app, _):
            found = [key for key in keys if key in header(app)]
            assert found == ["acc", "loss", "val/loss", "rare"]

    keys = ["acc", "loss", "val/loss", "rare", "same", "system/memory"]
    for number in range(2):
        run = record(store, ended=False)
        run.log({"acc": number, "val/loss": number, "same": 7, "system/memory": number})
        if number:
            run.log(rare=1)
            run.log(rare=2)
        run.finish()
    asyncio.run(look())


@pytest.mark.parametrize(
    ("columns", "there", "gone"),
    [
        (120, ["run", "status", "started", "took", "loss", "parameters", "tags", "notes"], []),
        (80, ["run", "status", "started", "took", "loss", "parameters"], []),
        (40, ["run", "status", "took", "loss"], ["started", "parameters", "tags", "notes"]),
        (20, ["run"], ["took", "loss", "started", "parameters", "tags", "notes"]),
    ],
)
def test_columns_drop_out_where_there_is_no_room(store, columns, there, gone):
    async def look():
        async with shown(store, size=(columns, 20)) as (app, pilot):
            assert [name for name in there if name not in header(app)] == []
            assert [name for name in gone if name in header(app)] == []
            assert max(map(len, screen(app).splitlines())) <= columns
            words = ("details", "mark", "differences", "filter", "sort", "help", "quit")
            await until(pilot, lambda: [one for one in words if one not in screen(app)] == [])

    for lr in (0.1, 0.2):
        run = record(store, params={"lr": lr}, notes="a try")
        store.tag(run.reference, {"keep": ""})
    asyncio.run(look())


def test_an_empty_store_says_so(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("enter", "space", "y", "end", "s", "r", "d", "escape")
            await until(pilot, lambda: "0 runs" in screen(app))

    asyncio.run(look())


def test_a_run_that_ends_meanwhile_is_shown_as_ended(store):
    async def look():
        async with shown(store) as (app, pilot):
            assert "running" in rows(app)[0]
            run.log(loss=0.125)
            await until(pilot, lambda: "0.125" in rows(app)[0])
            run.finish("error", error="it broke")
            await until(pilot, lambda: "error" in rows(app)[0])
            assert "1 run, 0 running" in screen(app)

    run = record(store, ended=False)
    asyncio.run(look())


def test_cursor_marks_and_view_stay_with_their_runs(store):
    async def look():
        async with shown(store, size=(100, 20)) as (app, pilot):
            table = app.screen.query_one(RunsView)
            await pilot.press("end", "up", "up", "space")
            before, current = rows(app), table.current.uid
            top = table.scroll_offset.y
            assert top > 0
            record(store)
            record(store)
            await until(pilot, lambda: "62 runs" in screen(app))
            assert [row[:9] for row in rows(app)] == [row[:9] for row in before]
            assert table.current.uid == current
            assert table.scroll_offset.y == top + 2
            assert [row[3:8] for row in rows(app) if row[0] == "●"] == ["fit#3"]

    for _ in range(60):
        record(store, loss=())
    asyncio.run(look())


def test_keys_move_the_cursor(store):
    async def look():
        async with shown(store, size=(100, 20)) as (app, pilot):
            table, found = app.screen.query_one(RunsView), []
            for key in ("down", "pagedown", "pageup", "end", "up", "home"):
                await pilot.press(key)
                found.append(table.current.run_number)
            page = table.size.height - 1
            assert found == [39, 39 - page, 39, 1, 2, 40]

    for _ in range(40):
        record(store, loss=())
    asyncio.run(look())


def test_a_click_chooses_a_run_and_a_second_one_opens_it(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.click(RunsView, offset=(5, 2))
            assert app.screen.query_one(RunsView).current.run_number == 1
            await pilot.click(RunsView, offset=(5, 2))
            await until(pilot, lambda: first.reference in screen(app))

    first = record(store)
    record(store)
    asyncio.run(look())


async def sort_by(pilot, name):
    """Choose a sort key by the beginning of its name."""
    await answer(pilot, name, "s")


def test_runs_are_sorted_by_a_key_from_a_list_and_reversed(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("r")
            assert names(app) == ["a#1", "b#1", "none#1"]
            for key, expected in (
                ("status", ["none#1", "a#1", "b#1"]),
                ("loss", ["a#1", "b#1", "none#1"]),
                ("lr", ["a#1", "b#1", "none#1"]),
                ("model", ["none#1", "b#1", "a#1"]),
            ):
                await sort_by(pilot, key[:4])
                assert "▼" + key in header(app)
                assert names(app) == expected
            await sort_by(pilot, "loss")
            await pilot.press("r")
            assert names(app) == ["b#1", "a#1", "none#1"]

    record(store, "a", loss=(3.0, 2.0), params={"lr": 10, "model": "big"})
    run = record(store, "b", loss=(1.0, 0.5), params={"lr": 9.5, "model": "s"}, ended=False)
    run.finish("error", error="it broke")
    record(store, "none", loss=(), params={"model": "x"})
    asyncio.run(look())


def test_a_pause_shows_what_was_read_last(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("p")
            await until(pilot, lambda: not app.screen._is_reading)
            record(store)
            await pilot.press("down")
            assert names(app) == ["fit#1"]
            assert "paused" in screen(app)
            await pilot.press("p")
            await until(pilot, lambda: names(app) == ["fit#2", "fit#1"])

    record(store)
    asyncio.run(look())


def test_the_reference_is_copied_and_shown(store):
    async def look():
        async with shown(store, size=(40, 20)) as (app, pilot):
            await pilot.press("y")
            assert app._clipboard == run.reference
            assert run.reference in screen(app).replace("\n", "").replace(" ", "")

    run = record(store, "a_long_name_of_an_experiment")
    asyncio.run(look())


def test_all_keys_are_told(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("question_mark")
            await until(pilot, lambda: "Show this page." in screen(app))
            await pilot.press("escape")
            assert names(app) == ["fit#1"]

    record(store)
    asyncio.run(look())


def test_a_click_on_a_key_does_what_the_key_does(store):
    async def look():
        async with shown(store) as (app, pilot):
            await until(pilot, lambda: "p pause" in screen(app))
            for word, found in (("p pause", "paused"), ("? help", "Show this page.")):
                lines = screen(app).splitlines()
                y = next(y for y, line in enumerate(lines) if word in line)
                await pilot.click(offset=(lines[y].index(word) + 3, y))
                await until(pilot, lambda found=found: found in screen(app))

    record(store)
    asyncio.run(look())


# The filter


def test_a_filter_chooses_while_it_is_typed(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("slash", *"WARM")
            await until(pilot, lambda: names(app) == ["fit#1"])
            await pilot.press("enter")
            assert "filter: WARM" in screen(app)
            assert not app.screen.query_one(FilterLine).is_open
            await pilot.press("slash", *"er")
            await until(pilot, lambda: names(app) == [])
            await pilot.press("escape")
            await until(pilot, lambda: names(app) == ["fit#1"])
            await pilot.press("slash", *["backspace"] * 4, "enter")
            await until(pilot, lambda: len(names(app)) == 3)

    record(store, notes="first warmup")
    record(store, "other", params={"lr": 0.1})
    record(store)
    asyncio.run(look())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("other", ["other#1"]),
        ("_2_", ["fit#2"]),
        ("fit#2", ["fit#2"]),
        ("error", ["fit#1"]),
        ("LR", ["other#1"]),
        ("params.lr = 0.1", ["other#1"]),
    ],
)
def test_a_filter_looks_at_name_status_notes_and_parameters(store, text, found):
    record(store, ended=False).finish("error", error="it broke")
    record(store, "other", params={"lr": 0.1})
    record(store)

    rows = Reader(LastingStore(store), limit=5).read(text).rows

    assert [f"{row.run.experiment_name}#{row.run.run_number}" for row in rows] == found


def test_a_mistake_in_a_filter_is_shown_below_it(store):
    async def look():
        async with shown(store) as (app, pilot):
            line = app.screen.query_one(FilterLine)
            await pilot.press("slash", *"statu=error")
            await until(pilot, lambda: "There is no field" in str(line.problem))

    record(store)
    asyncio.run(look())


def test_keys_are_letters_while_a_filter_is_typed(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("slash", *"qdsrpy", "space", "question_mark")
            assert app.screen.query_one(Input).value == "qdsrpy ?"
            assert app.is_running

    record(store)
    asyncio.run(look())


def test_what_is_typed_in_haste_after_the_slash_belongs_to_the_filter(store):
    async def look():
        async with shown(store) as (app, pilot):
            for letter in "/val/q":
                app.post_message(events.Key(NAMES.get(letter, letter), letter))
            await until(pilot, lambda: app.screen.query_one(Input).value == "val/q")

    record(store)
    asyncio.run(look())


def test_escape_restores_the_filter_before_a_wrong_one_and_then_q_quits(store):
    async def look():
        async with shown(store) as (app, pilot):
            line = app.screen.query_one(FilterLine)
            await pilot.press("slash", *"keep")
            await until(pilot, lambda: names(app) == ["fit#1"])
            for wrong in ("=", "=="):  # enter may be quicker than the reading
                await pilot.press(*wrong, "enter")
                await until(pilot, lambda: line.is_open and line.problem)
                assert "Ctrl-C quit" in screen(app)
                assert "q quit" not in screen(app)
            await pilot.press("escape")
            await until(pilot, lambda: not line.problem and len(names(app)) == 2)
            await until(pilot, lambda: "q quit" in screen(app))
            await pilot.press("q")
            assert not app.is_running

    record(store, notes="keep")
    record(store)
    asyncio.run(look())


def test_runs_of_a_filter_that_was_left_do_not_open_its_line_again(store, monkeypatch):
    """What was being read when escape was pressed comes before the request to read again."""
    late = []

    async def look():
        async with shown(store, refresh_s=0.01) as (app, pilot):
            line = app.screen.query_one(FilterLine)
            await pilot.press("slash", "=")
            await until(pilot, lambda: line.problem)
            monkeypatch.setattr(line, "post_message", put_aside(line.post_message))
            readings = counted_readings(app.screen._reader, monkeypatch)
            line.action_leave()
            seen = len(readings)
            await until(pilot, lambda: len(readings) > seen + 2)
            assert not line.is_open
            for send in late:
                send()
            await until(pilot, lambda: not line.problem)
            assert not line.is_open
            assert len(names(app)) == 1

    def put_aside(post):
        def posted(message):
            if isinstance(message, FilterLine.Changed):
                late.append(lambda: post(message))
                return True
            return post(message)

        return posted

    record(store)
    asyncio.run(look())


def counted_readings(reader, monkeypatch):
    """Return a list that grows with each reading of the runs."""
    found, read = [], reader.read

    def counted(wanted, keys):
        found.append(wanted)
        return read(wanted, keys)

    monkeypatch.setattr(reader, "read", counted)
    return found


def test_a_wrong_request_is_shown_below_the_filter(store):
    async def look():
        async with shown(store, limit=0) as (app, pilot):
            line = app.screen.query_one(FilterLine)
            await until(pilot, lambda: line.problem)
            assert "Expected limit as an int, 1 or more" in screen(app)
            await pilot.press("enter")
            assert line.is_open

    asyncio.run(look())


def test_a_filter_with_an_unknown_name_has_a_hint(store):
    async def look():
        async with shown(store, filter_text="params.lrr > 0.1") as (app, pilot):
            await until(pilot, lambda: "No run has the parameter 'lrr'" in screen(app))
            assert "lr" in screen(app)
            await pilot.press("slash", "ctrl+u")
            await until(pilot, lambda: names(app) == ["fit#1"])
            assert "No run has" not in screen(app)

    record(store, params={"lr": 0.2})
    asyncio.run(look())


# Details and differences


def test_details_show_everything_about_a_run(store):
    async def look():
        async with shown(store, size=(120, 80)) as (app, pilot):
            await pilot.press("enter")
            await until(pilot, lambda: "last lines of output" in screen(app))
            for part in (
                *(run.reference, "error", "ValueError: it broke", "parameters a", "lr", "0.125"),
                *("acc", "▁█", "2 points", "phase=pilot", "a try", "model.bin", "5 bytes"),
                *("end of the traceback", "raise ValueError", "hello from the run"),
            ):
                assert part in screen(app), part
            await pilot.press("escape")
            assert names(app) == ["fit#1"]

    def fail():
        nonlocal run
        sets = [{"name": "a", "lr": 0.125}]
        with store.start("fit", params=sets, notes="a try", capture=False) as run:
            run.keep_output()
            print("hello from the run")
            run.log(acc=1)
            run.log(acc=2)
            run.save("model.bin", b"12345")
            run.tags["phase"] = "pilot"
            raise ValueError("it broke")

    run = None
    with pytest.raises(ValueError, match="it broke"):
        fail()
    asyncio.run(look())


def test_details_follow_a_run_until_it_ends(store):
    def say(line):
        process.stdin.write(f"{line}\n")
        process.stdin.flush()

    async def look():
        async with shown(store, size=(100, 30)) as (app, pilot):
            await until(pilot, lambda: names(app) == ["fit#1"])
            await pilot.press("enter")
            await until(pilot, lambda: "so far" in screen(app))
            # Before the last line has come the end is elsewhere.
            await until(pilot, lambda: "line 39" in screen(app), pressing=["end"])
            say("and one more")
            await until(pilot, lambda: "and one more" in screen(app))
            process.stdin.close()
            await until(pilot, lambda: "complete" in screen(app), pressing=["home"])

    process = subprocess.Popen(
        [sys.executable, "-c", ECHO, store.backend.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        say("\n".join(f"line {number}" for number in range(40)))
        asyncio.run(look())
    finally:
        process.stdin.close()
        assert process.wait(timeout=PATIENCE_S) == 0


def test_who_is_on_the_way_back_from_the_end_stays_on_it(store):
    async def look():
        async with shown(store, size=(100, 30), refresh_s=3600) as (app, pilot):
            await pilot.press("enter")
            await until(pilot, lambda: "line 1" in screen(app))
            body = app.screen.query_one(VerticalScroll)
            await until(pilot, lambda: "line 59" in screen(app), pressing=["end"])
            await until(pilot, lambda: body.scroll_offset.y == body.max_scroll_y)
            body.scroll_to(y=0, duration=600, force=True, immediate=True)

            await app.screen._show(app.screen._sections)
            await pilot.pause()

            assert body.scroll_target_y == 0

    record(store, notes="\n".join(f"line {number}" for number in range(60)))
    asyncio.run(look())


def test_differences_of_marked_runs_are_shown(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("space", "d")
            assert "Mark two or more runs" in screen(app)
            await pilot.press("space", "d")
            await until(pilot, lambda: "Differences between 2 runs" in screen(app))
            table = app.screen.query_one(DataTable)
            cells = [[cell.plain for cell in table.get_row_at(y)] for y in range(table.row_count)]
            assert [column.label.plain for column in table.columns.values()] == [
                *("", "fit#2", "fit#1"),
            ]
            assert cells == [
                ["params.lr", "0.2", "0.1"],
                ["params.model", NOTHING, "'big'"],
                ["metrics.loss", "0.25", "0.5"],
                ["tags.phase", "pilot", NOTHING],
            ]

    record(store, params={"lr": 0.1, "layers": 2, "model": "big"})
    run = record(store, params={"lr": 0.2, "layers": 2}, loss=(1, 0.25))
    store.tag(run.reference, {"phase": "pilot"})
    asyncio.run(look())


def test_runs_without_a_difference_are_said_to_be_the_same(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("space", "space", "d")
            await until(pilot, lambda: "are the same" in screen(app))

    record(store)
    record(store)
    asyncio.run(look())


# What may go wrong


@pytest.mark.folder_only("moves the folder away")
def test_a_store_that_goes_away_and_comes_back_is_read_again(store, tmp_path):
    async def look():
        async with shown(store) as (app, pilot):
            store.path.rename(tmp_path / "away")
            await until(pilot, lambda: "There is no store at" in screen(app))
            assert names(app) == ["fit#1"]
            await pilot.press("enter")
            await until(pilot, lambda: "There is no store at" in screen(app))
            await pilot.press("escape")
            with Store.open(tmp_path / "away") as moved:
                record(moved)
            (tmp_path / "away").rename(store.path)
            await until(pilot, lambda: names(app) == ["fit#2", "fit#1"])
            assert "There is no store" not in screen(app)

    record(store)
    asyncio.run(look())


@pytest.mark.folder_only("holds the lock of SQLite")
def test_while_the_store_is_locked_a_run_that_is_gone_is_shown_as_lost(store):
    """What cannot be written down yet is shown all the same, and written down later."""
    python("-c", KILLED, store.path, cwd=store.path.parent)

    async def look():
        other = sqlite3.connect(store.path / "runstore.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # so nobody can write down that the run is lost
        app = TopApp(Store.open(store.path), refresh_s=0.1)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: len(rows(app)) == 1 and "lost" in rows(app)[0])
            assert other.execute("SELECT status FROM runs").fetchone() == ("running",)
            other.execute("ROLLBACK")
            is_lost = partial(other.execute, "SELECT 1 FROM runs WHERE status = 'lost'")
            await until(pilot, lambda: is_lost().fetchone())
        other.close()
        app.close()

    asyncio.run(look())


def test_hostile_texts_are_shown_as_they_are(store):
    async def look():
        async with shown(store, size=(200, 50)) as (app, pilot):
            for keys in ((), ("enter",), ("escape", "space", "space", "d")):
                await pilot.press(*keys)
                await until(pilot, lambda: "reading …" not in screen(app))
                await until(pilot, lambda: "[red]a[/red]" in screen(app))
                text = screen(app)
                assert "[red]a[/red]" in text
                assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
                await pilot.click(offset=(60, 2))
                assert app.is_running

    for lr in (1, 2):
        run = record(store, HOSTILE_NAME, params={HOSTILE: lr, "x": HOSTILE}, notes=HOSTILE)
        store.tag(run.reference, {"t": HOSTILE})
    with store.start(HOSTILE_NAME, capture=False) as run:
        run.log({"[red]a[/red]": 1})
        run.log({"[red]a[/red]": 2})
    asyncio.run(look())


@pytest.mark.folder_only("counts statements of SQLite")
def test_the_newest_runs_alone_are_read_and_ended_ones_once(store):
    for _ in range(20):
        record(store)
    asked = []
    reader = Reader(LastingStore(store), limit=5)

    with store.backend.database.driver.read() as connection:
        connection.set_trace_callback(asked.append)
    first = reader.read("")
    at_first = sum("metric_" in statement for statement in asked)
    asked.clear()
    second = reader.read("")

    assert len(first.rows) == 5
    assert at_first > 0
    assert [statement for statement in asked if "metric_" in statement] == []
    assert [row.metrics["loss"].last for row in second.rows] == [0.5] * 5
    assert [row.curves["loss"] for row in second.rows] == ["█▁"] * 5


# In a terminal


def in_terminal(folder, keys, *arguments):
    """Start the command in a terminal, wait for the table, press keys; return how it ended."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(side)
    command_server.load("runstore.cli.top.app")
    env = {**os.environ, "TERM": "xterm-256color"}
    process = command_server.Command(
        ("top", *arguments), cwd=folder, env=env, streams=(side, side, side)
    )
    data, is_pressed, deadline = b"", False, time.monotonic() + PATIENCE_S
    try:
        while not process.has_ended() or select.select([main], [], [], 0)[0]:
            assert time.monotonic() < deadline, data
            if select.select([main], [], [], 0.05)[0]:
                data += os.read(main, 65536)
            if b"fit#1" in data and not is_pressed:
                os.write(main, keys)
                is_pressed = True
        return process.wait(), data.decode(), before == termios.tcgetattr(side)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        os.close(side)
        os.close(main)


@pytest.mark.parametrize("keys", [b"q", b"\x03", b"/abc\x03"])
def test_leaving_restores_the_terminal(store, tmp_path, keys):
    record(store)
    store.close()

    code, printed, is_restored = in_terminal(tmp_path, keys)

    assert code == 0, printed
    assert is_restored
    for on, off in (("\x1b[?1049h", "\x1b[?1049l"), ("\x1b[?1000h", "\x1b[?1000l")):
        assert 0 <= printed.rfind(on) < printed.rfind(off)
    assert printed.rfind("\x1b[?25l") < printed.rfind("\x1b[?25h")


def test_a_kept_filter_is_taken_by_its_name(store, tmp_path):
    store.queries["good"] = "notes = 'kept'"
    record(store, notes="kept")
    record(store, "other")
    store.close()

    code, printed, _ = in_terminal(tmp_path, b"q", "@good")

    assert (code, "fit#1" in printed, "other#1" in printed) == (0, True, False), printed


@pytest.mark.parametrize("wrong", ["statu = error", "params.lr >", "lr > 'x", "@nope"])
def test_a_wrong_filter_ends_before_the_screen_opens(store, tmp_path, wrong):
    record(store, params={"lr": 0.1})
    store.close()
    listed = runstore("ls", wrong, cwd=tmp_path)

    code, printed, is_restored = in_terminal(tmp_path, b"q", wrong)

    assert code == listed.returncode
    assert is_restored
    assert messages(listed)[0] in printed
    assert "\x1b[?1049h" not in printed


def test_without_a_terminal_there_is_a_hint(store, tmp_path):
    ended = runstore("top", cwd=tmp_path)

    assert ended.returncode == 2
    assert messages(ended)[0].startswith("runstore: runstore top fills the screen")
    assert "runstore ls" in ended.stderr


def test_without_textual_there_is_a_hint(store, tmp_path):
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "textual.py").write_text("raise ImportError('not here')\n")

    # In an interpreter of its own, which has not loaded Textual.
    ended = runstore("top", cwd=tmp_path, env={"PYTHONPATH": "without"}, errors="strict")

    assert ended.returncode == 6
    assert messages(ended)[0] == "runstore: textual is not installed."
    assert "[top]" in ended.stderr


@pytest.mark.folder_only("SQLite alone takes values of other types")
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE runs SET facts = '{', status = 'odd' WHERE run_number = 2",
        "UPDATE runs SET started_at = 'noon', pid = 'x' WHERE run_number = 2",
        "UPDATE param_values SET tree = '['",
        "UPDATE metric_chunks SET chunk = x'00' WHERE run_id = 2",
        "UPDATE metric_summaries SET last = 'x', count = 'y' WHERE run_id = 2",
    ],
)
def test_a_damaged_run_is_shown_beside_the_others(store, damage):
    for place in range(2):
        record(store, params={"lr": place})
    with contextlib.closing(sqlite3.connect(store.path / "runstore.db")) as database, database:
        database.execute(damage)

    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("enter")
            await until(pilot, lambda: "reading …" not in screen(app))
            await pilot.press("escape")
            await until(pilot, lambda: "fit" in screen(app))
            return screen(app)

    drawn = asyncio.run(look())

    assert "complete" in drawn or "damaged" in drawn
